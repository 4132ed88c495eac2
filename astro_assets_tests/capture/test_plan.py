"""A plan's targets on the Pi: each in its hours, at its pace, as its header says."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from astropy.io import fits

from astro_assets.capture.plan import read_plan
from astro_assets.errors import SettingsError
from astro_assets_tests.capture.conftest import DUSK, Pi, write_plan
from astro_assets_tests.capture.night_of_faults import whole_frames

FAST = ("--speed", "20")


def at(minutes: float) -> str:
    return (DUSK + timedelta(minutes=minutes)).isoformat()


def test_each_target_in_its_hours_with_its_exposure_and_filter(pi: Pi) -> None:
    """M 31 for a minute, a minute of nothing, then M 42; after that the night is done."""
    items = [
        {"target": "M 31", "begin_utc": at(30), "end_utc": at(31), "exposure_s": 4.0,
         "cadence_s": 15.0, "filter": "L"},
        {"target": "M 42", "begin_utc": at(32), "end_utc": at(33), "exposure_s": 1.5,
         "cadence_s": 30.0, "gain": 250, "filter": "Ha"},
    ]  # fmt: skip
    plan = write_plan(pi.home, 10, items=items)
    done = pi.run("run", "--plan", str(plan), *FAST)
    assert done.returncode == 0, done.stderr
    assert pi.status()["phase"] == "done"
    taken: dict[str, list[datetime]] = {}
    for frame in whole_frames(pi):
        header = fits.getheader(frame)
        moment = datetime.strptime(frame.name[6:21], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        taken.setdefault(header["OBJECT"], []).append(moment)
        wanted = (4.0, 100, "L") if header["OBJECT"] == "M 31" else (1.5, 250, "Ha")
        assert (header["EXPTIME"], header["GAIN"], header["FILTER"]) == wanted
    assert 2 <= len(taken["M 31"]) <= 4
    assert 1 <= len(taken["M 42"]) <= 2
    for target, minutes in (("M 31", 30), ("M 42", 32)):
        begin = DUSK + timedelta(minutes=minutes)
        # The name tells when it was published, which is after the exposure.
        assert begin < min(taken[target])
        assert max(taken[target]) < begin + timedelta(seconds=100)


def test_of_two_targets_the_first_has_the_hours(tmp_path: Path) -> None:
    items = [
        {"target": "comet", "begin_utc": at(60), "end_utc": at(120)},
        {"target": "all sky"},
    ]
    plan = read_plan(write_plan(tmp_path, 10, items=items))
    names = [
        item.target if (item := plan.item_at(DUSK + timedelta(minutes=m))) else None
        for m in (-1, 0, 59, 60, 119, 120, 599, 600)
    ]
    assert names == [None, "all sky", "all sky", "comet", "comet", "all sky", "all sky", None]


@pytest.mark.parametrize(
    "entry", [{"exposure_s": 0}, {"cadence_s": -5}, {"begin_utc": "dusk"}, {"gain": "much"}, "M 31"]
)
def test_an_item_that_is_none_is_refused(tmp_path: Path, entry: object) -> None:
    with pytest.raises(SettingsError, match="is no plan of a night"):
        read_plan(write_plan(tmp_path, 10, items=[entry]))


def test_a_target_in_letters_that_no_header_takes(pi: Pi) -> None:
    item = {"target": "Große Wolke", "begin_utc": at(30), "end_utc": at(30.2)}
    plan = write_plan(pi.home, 10, items=[item])
    assert pi.run("run", "--plan", str(plan), *FAST).returncode == 0
    assert fits.getheader(whole_frames(pi)[0])["OBJECT"] == "Gro?e Wolke"
    assert json.loads(plan.read_text())["items"][0]["target"] == "Große Wolke"
