"""One night with every kind of bad input: each ends in a sentence, the rest goes on."""

import json
from pathlib import Path

import pytest

from astro_assets.store import sha256_of
from astro_assets_tests.bad_input.conftest import WRONG, BadNight
from astro_assets_tests.bad_input.frames import NIGHT

GARDEN = f"{NIGHT}_NGC7000_Attic-camera"
ROOF = f"{NIGHT}_M42_Attic-camera"
T20 = f"{NIGHT}_NGC7000_T20"


def test_something_failed_so_the_status_says_so(bad_night: BadNight):
    assert bad_night.ended.status == 1


def test_once_the_settings_are_mended_all_is_well_and_nothing_runs_again(bad_night: BadNight):
    assert bad_night.again.status == 0, bad_night.again.said
    assert bad_night.again.err == ""
    assert "0 runs" in bad_night.again.out


@pytest.mark.parametrize(
    "words",
    [
        ("cut.fits is cut", "ask the source for it again"),
        ("no-exposure.fits", "EXPTIME", "add the keyword"),
        ("230007-Red", "is empty", "ask the source for it again"),
        ("telescope_org:", "refuses user", "check the variables", "WRONG"),
        ("other:", "refuses user", "check the variables", "WRONG"),
        ("observatory.toml: sources.lent.password_env", "SIM_ITELESCOPE_PASSWORT", ".env"),
        ("shed:", "127.0.0.1", "is not reached"),
        ("cellar:", "there is no folder", "no-such-folder", "correct its path"),
    ],
    ids=lambda words: words[0].rstrip(":"),
)
def test_a_failure_names_the_thing_and_the_way_out(bad_night: BadNight, words: tuple[str, ...]):
    (line,) = [line for line in bad_night.ended.err.splitlines() if words[0] in line]
    assert line.startswith("failed: ")
    assert all(word in line for word in words)


def test_a_typo_in_one_source_is_named_with_what_was_meant(bad_night: BadNight):
    line = bad_night.ended.line("settings:")
    assert str(bad_night.bench.settings) in line
    assert "attic" in line
    assert "paht" in line
    assert "did you mean 'path'?" in line


def test_a_telescope_that_is_off_is_no_failure(bad_night: BadNight):
    line = bad_night.ended.line("skipped:")
    assert "vespera" in line
    assert "vespera" not in bad_night.ended.err


def test_missing_masters_and_dates_are_told_and_stop_nothing(bad_night: BadNight):
    line = bad_night.ended.line("note:", ROOF, "no master dark")
    assert "add such frames to the source" in line
    line = bad_night.ended.line("note:", GARDEN, "undated.fits")
    assert "DATE-OBS" in line
    assert "add the keyword" in line


def test_no_secret_is_told(bad_night: BadNight):
    said = bad_night.ended.said + bad_night.again.said
    for name, value in bad_night.observatory.environment.items():
        assert "PASSWORD" not in name or value not in said
    assert WRONG not in said


def test_a_refused_password_is_not_tried_again(bad_night: BadNight):
    assert bad_night.logins_refused == {"itelescope": 1, "telescope_org": 1}


def test_the_other_frames_of_the_session_go_on(bad_night: BadNight):
    frames = bad_night.bench.frames("garden", GARDEN)
    good = frames[frames["accepted"]]
    assert len(good) == 5
    assert any(name.startswith("undated") for name in good.index)
    assert (bad_night.bench.store.stacks("garden", GARDEN) / "Green.fits").is_file()
    assert (bad_night.bench.store.stacks("garden", GARDEN) / "color.png").is_file()


@pytest.mark.parametrize(
    ("name", "stage", "reason"),
    [
        ("cut", "fetch", "is cut"),
        ("no-exposure", "calibrate", "EXPTIME"),
        ("black", "solve", "0 stars"),
        ("saturated", "solve", "saturated"),
    ],
)
def test_a_bad_frame_is_in_the_table_with_its_reason(
    bad_night: BadNight, name: str, stage: str, reason: str
):
    frames = bad_night.bench.frames("garden", GARDEN)
    (row,) = [row for frame, row in frames.iterrows() if str(frame).startswith(name)]
    assert not row["accepted"]
    assert row["stage"] == stage
    assert reason in row["reason"]
    bad_night.ended.line("rejected", "garden", name, reason)


def test_a_black_and_a_saturated_frame_are_no_failure(bad_night: BadNight):
    assert "black" not in bad_night.ended.err
    assert "saturated" not in bad_night.ended.err


def test_one_frame_is_a_session(bad_night: BadNight):
    frames = bad_night.bench.frames("roof", ROOF)
    assert len(frames) == 1
    assert frames["accepted"].all()
    assert (bad_night.bench.store.stacks("roof", ROOF) / "color.tif").is_file()


def test_the_other_sources_go_on(bad_night: BadNight):
    frames = bad_night.bench.frames("itelescope", T20)
    assert len(frames) == 15
    assert (frames["stage"] == "fetch").sum() == 3
    assert frames["accepted"].sum() == 10  # two are spoiled by the simulated night
    for product in ("Red.fits", "Green.fits", "Blue.fits", "color.png"):
        assert (bad_night.bench.store.stacks("itelescope", T20) / product).is_file()
    for target in ("NGC7000", "M42"):
        assert (bad_night.bench.store.composite(target) / "color.png").is_file()
    assert (bad_night.bench.store.report(NIGHT) / "index.html").is_file()


def test_quarantine_holds_bytes_and_reason(bad_night: BadNight):
    broken = [bad_night.bench.folder / "garden/cut.fits"]
    broken += sorted((bad_night.served / "itelescope").rglob("*-23000*.zip"))
    assert len(broken) == 4
    for path in broken:
        kept, notes = _quarantined(bad_night.bench.folder / "data/quarantine", path.name)
        assert sha256_of(kept) == sha256_of(path) == notes["sha256"]
        assert path.name in notes["reason"]


def _quarantined(root: Path, name: str) -> tuple[Path, dict[str, str]]:
    (reason,) = root.rglob(f"{name}.reason.json")
    return reason.with_name(name), json.loads(reason.read_text())


def test_frames_that_cannot_be_used_are_kept_as_they_came(bad_night: BadNight):
    raw = bad_night.bench.store.raw("garden", GARDEN)
    for name in ("no-exposure.fits", "undated.fits", "black.fits", "saturated.fits"):
        assert sha256_of(raw / name) == sha256_of(bad_night.bench.folder / "garden" / name)


def test_the_report_names_the_bad_frames(bad_night: BadNight):
    page = (bad_night.bench.store.report(NIGHT) / "index.html").read_text()
    for words in ("cut.fits is cut", "no-exposure.fits", "0 stars"):
        assert words in page
