"""What Dagster loads, with good settings, with a mistake in them, and with none."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from astro_assets import definitions
from astro_assets.definitions import build_defs
from astro_assets.settings import SETTINGS_VARIABLE, Settings
from astro_assets_tests.defs.conftest import FIVE_KINDS, SITE, SOURCE_OF_KIND

SESSION = ["raw_lights", "calibrated", "solved", "stack"]
CALIBRATION = {
    "raw_calibrations": "calibration_sets",
    "master_bias": "bias_sets",
    "master_dark": "dark_sets",
    "master_flat": "flat_sets",
    "bad_pixel_map": "cameras",
}
CALIBRATED_THERE = ("itelescope", "telescope_org")
CHECKS = {"solved_fraction", "residual", "fwhm", "matched_masters"}
Given = Callable[[str], Settings]


@pytest.fixture
def five(settings_of: Given) -> dg.Definitions:
    return build_defs(settings_of(FIVE_KINDS))


def loaded(monkeypatch: pytest.MonkeyPatch, file: Path) -> dg.Definitions:
    """What Dagster finds in the module when the settings are in ``file``."""
    monkeypatch.setenv(SETTINGS_VARIABLE, str(file))
    defs = runpy.run_path(definitions.__file__)["defs"]
    assert isinstance(defs, dg.Definitions)
    dg.Definitions.validate_loadable(defs)
    return defs


def node(defs: dg.Definitions, *key: str) -> dg.AssetSpec:
    return next(
        spec for spec in defs.resolve_all_asset_specs() if spec.key == dg.AssetKey(list(key))
    )


def assets_of(defs: dg.Definitions, group: str) -> set[str]:
    return {s.key.path[-1] for s in defs.resolve_all_asset_specs() if s.group_name == group}


def deps(spec: dg.AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}


def partitions(spec: dg.AssetSpec) -> str | None:
    definition = spec.partitions_def
    return definition.name if isinstance(definition, dg.DynamicPartitionsDefinition) else None


OBSERVED = dg.AssetKey(["garden", "capture"])
"""the camera on the Pi, which nothing here makes"""


# With settings


def test_all_five_kinds_load(five: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(five)
    groups = {spec.group_name for spec in five.resolve_all_asset_specs()}
    assert groups == {*SOURCE_OF_KIND.values(), "night"}


@pytest.mark.parametrize("kind", SOURCE_OF_KIND)
def test_each_lane_has_the_assets_of_the_design(five: dg.Definitions, kind: str) -> None:
    source = SOURCE_OF_KIND[kind]
    expected = dict.fromkeys(SESSION, "sessions")
    if kind not in CALIBRATED_THERE:
        expected |= CALIBRATION
    observed = {"capture"} if kind == "pi" else set()
    assert assets_of(five, source) == set(expected) | observed
    for asset, sets in expected.items():
        assert partitions(node(five, source, asset)) == f"{source}_{sets}"
    assert kind in node(five, source, "raw_lights").kinds


def test_every_asset_says_what_it_is(five: dg.Definitions) -> None:
    for spec in five.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.description.endswith((".", ". "))
        assert spec.code_version or spec.key == OBSERVED, spec.key
        assert 1 <= len(spec.kinds) <= 3, spec.key


def test_the_night_brings_all_sources_together(five: dg.Definitions) -> None:
    assert assets_of(five, "night") == {"composite", "frames", "night_report"}
    assert partitions(node(five, "composite")) == "targets"
    assert partitions(node(five, "frames")) is None
    assert partitions(node(five, "night_report")) == "nights"
    sources = SOURCE_OF_KIND.values()
    assert deps(node(five, "composite")) == {f"{source}/stack" for source in sources}
    assert deps(node(five, "frames")) == {f"{source}/solved" for source in sources}


def test_the_graph_shows_where_a_picture_comes_from(five: dg.Definitions) -> None:
    assert deps(node(five, "garden", "calibrated")) == {
        f"garden/{asset}"
        for asset in ("raw_lights", "master_bias", "master_dark", "master_flat", "bad_pixel_map")
    }
    assert deps(node(five, "rented", "calibrated")) == {"rented/raw_lights"}
    assert deps(node(five, "garden", "master_flat")) == {
        f"garden/{asset}" for asset in ("raw_calibrations", "master_bias", "master_dark")
    }
    assert deps(node(five, "garden", "stack")) == {"garden/solved"}


def test_checks_stand_at_what_they_judge(five: dg.Definitions) -> None:
    graph = five.resolve_asset_graph()
    found = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}
    assert {name for asset, name in found if asset.startswith("garden/")} == CHECKS
    assert ("garden/calibrated", "matched_masters") in found
    assert {f"{source}/solved" for source in SOURCE_OF_KIND.values()} == {
        asset for asset, name in found if name == "residual"
    }


def test_a_server_sees_one_connection_of_each_lane(five: dg.Definitions) -> None:
    pools = {
        pool
        for assets in five.resolve_asset_graph().assets_defs
        if assets.is_executable
        for op in assets.node_def.iterate_op_defs()
        if (pool := op.pool)
    }
    assert pools == {f"server_{source}" for source in SOURCE_OF_KIND.values()}


def test_jobs_sensors_and_schedule(five: dg.Definitions) -> None:
    repository = five.get_repository_def()
    jobs = {name for name in repository.job_names if not name.startswith("__")}
    lane = ("raw_calibrations", "master_bias", "master_dark", "master_flat", "bad_pixel_map")
    assert jobs == {
        *(f"{source}_session" for source in SOURCE_OF_KIND.values()),
        *(f"{s}_{job}" for s in ("smart", "garden", "archive") for job in lane),
        "compose",
        "morning",
        "nightly_capture",
        "stop_capture",
        "take_calibrations",
        "capture_log",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        *(f"watch_{source}" for source in SOURCE_OF_KIND.values()),
        "after_sessions",
        "follow_garden",
    }
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in repository.sensor_defs)
    (schedule,) = repository.schedule_defs
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_whatever_is_launched_runs_in_one_process(five: dg.Definitions) -> None:
    jobs = five.get_repository_def().get_all_jobs()
    assert {job.executor_def.name for job in jobs} == {"in_process"}


def test_a_source_that_is_switched_off_is_not_there(settings_of: Given) -> None:
    text = FIVE_KINDS.replace('name = "garden"\n', 'name = "garden"\nenabled = false\n')
    defs = build_defs(settings_of(text))
    dg.Definitions.validate_loadable(defs)
    assert not assets_of(defs, "garden")
    assert not defs.get_repository_def().schedule_defs


def test_no_source_is_enough_to_load(settings_of: Given) -> None:
    dg.Definitions.validate_loadable(build_defs(settings_of(f'root = "data"\n{SITE}')))


# With mistakes


def test_a_typo_in_one_source_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "observatory.toml"
    file.write_text(FIVE_KINDS.replace('host = "localhost"', 'hots = "localhost"'))
    defs = loaded(monkeypatch, file)
    groups = {spec.group_name for spec in defs.resolve_all_asset_specs()}
    assert groups == {"rented", "smart", "robotic", "archive", "night", "start_here"}
    (notice,) = (s for s in defs.resolve_all_asset_specs() if s.group_name == "start_here")
    assert notice.description
    for part in (str(file), "garden", "host", "reload"):
        assert part in notice.description


def test_without_settings_the_graph_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "observatory.toml"
    (notice,) = loaded(monkeypatch, file).resolve_all_asset_specs()
    assert notice.group_name == "start_here"
    assert notice.description
    assert str(file) in notice.description
    assert "astro-assets init" in notice.description


def test_settings_that_are_no_toml_say_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "observatory.toml"
    file.write_text("root = \n")
    (notice,) = loaded(monkeypatch, file).resolve_all_asset_specs()
    assert notice.description
    assert "line 1" in notice.description


def test_without_a_pi_no_ssh_is_loaded(settings_of: Given) -> None:
    """It costs every start some 25 MB."""
    attic = '[[sources]]\nname = "attic"\nkind = "folder"\npath = "there"\n'
    settings = settings_of(f'root = "data"\n{SITE}\n{attic}')
    told = subprocess.run(
        [sys.executable, "-c", "import sys, astro_assets.definitions; print(*sys.modules)"],
        env={**os.environ, SETTINGS_VARIABLE: str(settings.file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "paramiko" not in told.stdout.split()


def test_what_decides_what_to_run_loads_no_science() -> None:
    """It costs every start a second and 190 MB, which `sync` takes while it fetches."""
    code = (
        "import sys, astro_assets.cli.sync, astro_assets.definitions, astro_assets.defs.sync, "
        "astro_assets.defs.instance; print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numba", "scipy", "pandas", "pyarrow"} & set(told.stdout.split())
