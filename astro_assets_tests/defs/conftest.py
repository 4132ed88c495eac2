"""What the tests of the Dagster side share: an instance, settings, and a hand that runs things."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, SensorDefinition
from dagster._core.definitions.partitions.context import partition_loading_context

from astro_assets.definitions import build_defs
from astro_assets.settings import Settings, load_settings
from astro_assets_tests.sources.conftest import night

__all__ = ["night"]
"""a fixture"""

SITE = """
[site]
name = "La Palma"
latitude_deg = 28.76
longitude_deg = -17.88
elevation_m = 2396.0
timezone = "Atlantic/Canary"
"""
FIVE_KINDS = f"""
root = "data"
{SITE}
[[sources]]
name = "rented"
kind = "itelescope"
user_env = "U"
password_env = "P"

[[sources]]
name = "smart"
kind = "vespera"

[[sources]]
name = "robotic"
kind = "telescope_org"
user_env = "U"
password_env = "P"

[[sources]]
name = "garden"
kind = "pi"
host = "localhost"
user_env = "U"
password_env = "P"

[[sources]]
name = "archive"
kind = "folder"
path = "frames"
"""
SOURCE_OF_KIND = {
    "itelescope": "rented",
    "vespera": "smart",
    "telescope_org": "robotic",
    "pi": "garden",
    "folder": "archive",
}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterInstance]:
    """An instance with real databases, as a user has it."""
    with DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as opened:
        yield opened


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[[str], Settings]:
    """Settings from the text of an `observatory.toml`."""

    def settings(text: str) -> Settings:
        file = tmp_path / "observatory.toml"
        file.write_text(text)
        return load_settings(file)

    return settings


@dataclass
class Hand:
    """Does by hand what the daemon does: ticks sensors, keeps their cursors, runs requests."""

    defs: dg.Definitions
    instance: DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def over(cls, settings: Settings, instance: DagsterInstance) -> "Hand":
        return cls(build_defs(settings), instance)

    def tick(self, sensor: str) -> tuple[list[dg.RunRequest], str | None]:
        """The run requests of a tick, and why there are none."""
        definition = self.defs.resolve_sensor_def(sensor)
        assert isinstance(definition, SensorDefinition)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            repository_def=self.defs.get_repository_def(),
            sensor_name=sensor,
        )
        with partition_loading_context(dynamic_partitions_store=self.instance):
            outcome = definition.evaluate_tick(context)
        self.cursors[sensor] = outcome.cursor
        return list(outcome.run_requests or []), outcome.skip_message

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        assert request.job_name
        return self.defs.resolve_job_def(request.job_name).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )

    def run_well(self, requests: list[dg.RunRequest]) -> None:
        """Run what a tick asked for; a failure is told with its first step's words."""
        for request in requests:
            result = self.run(request)
            assert result.success, [
                (event.step_key, event.step_failure_data.error)
                for event in result.all_events
                if event.is_step_failure
            ]
