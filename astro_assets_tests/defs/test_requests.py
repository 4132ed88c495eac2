"""Observation requests in Dagster: an asset, a job and a schedule for sources that are asked."""

from pathlib import Path

import dagster as dg

from astro_assets.definitions import build_defs
from astro_assets.settings import load_settings
from astro_assets_tests.sources.conftest import Night, put
from astro_assets_tests.sources.conftest import night as _night
from astro_assets_tests.sources.test_telescope_org import with_settings

night = _night

TABLE = """name,ra,dec,telescope,filter,exposure_s
M 31,,,galaxy,BVR,120
LMC,05:23:34,-69:45:22,galaxy,BVR,120
"""


def run(night: Night) -> dg.ExecuteInProcessResult:
    definitions = build_defs(load_settings(night.file))
    with dg.instance_for_test() as instance:
        job = definitions.resolve_job_def("telescope_org_requests")
        return job.execute_in_process(instance=instance)


def test_a_run_asks_once_and_tells_of_all(night: Night, tmp_path: Path) -> None:
    put(tmp_path / "requests.csv", TABLE)
    night = with_settings(night, 'requests_file = "requests.csv"')
    counts = night.observatory.requests["telescope_org"]
    for first in (True, False):
        result = run(night)
        (told,) = result.asset_materializations_for_node("telescope_org__requests")
        metadata = told.metadata
        assert metadata["requests"].value == 2
        assert metadata["submitted" if first else "new"].value == 1
        assert metadata["refused"].value == 1
        rows = metadata["table"].records  # type: ignore[attr-defined]
        assert [record.data["name"] for record in rows] == ["M 31", "LMC"]
        (reason,) = metadata["look_at"].value  # type: ignore[misc]
        assert "never rises at Tenerife" in reason
        assert counts.submissions == 1


def test_a_table_that_cannot_be_read_is_told(night: Night) -> None:
    night = with_settings(night, 'requests_file = "nothing.toml"')
    definitions = build_defs(load_settings(night.file))
    with dg.instance_for_test() as instance:
        result = definitions.resolve_job_def("telescope_org_requests").execute_in_process(
            instance=instance, raise_on_error=False
        )
    assert not result.success
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert "nothing.toml: cannot be read" in str(failure.step_failure_data.user_failure_data)


def test_at_noon_and_only_for_sources_with_a_table(night: Night) -> None:
    assert "telescope_org_requests" not in [
        schedule.name for schedule in build_defs(night.settings).schedules or ()
    ]
    night = with_settings(night, 'requests_file = "requests.csv"')
    definitions = build_defs(night.settings)
    (schedule,) = [s for s in definitions.schedules or () if s.name == "telescope_org_requests"]
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.cron_schedule == "0 12 * * *"
    assert schedule.execution_timezone == night.settings.site.timezone
    assert schedule.job_name == "telescope_org_requests"
