"""What is made again when what it was made with changes: once, and nothing else."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from dagster import DagsterInstance

from astro_assets.definitions import build_defs
from astro_assets.defs.sync import sync
from astro_assets.settings import Settings, load_settings
from astro_assets.steps import inventory, versions
from astro_assets.store import Store
from astro_assets_tests.defs.conftest import SITE, Hand

SHAPE = (48, 48)
SESSION = "2026-11-20_M31_Roof"
CAMERA = {"INSTRUME": "Roof", "GAIN": 100, "CCD-TEMP": -10.0, "EGAIN": 1.0}
OTHER = CAMERA | {"INSTRUME": "Cellar"}
FILES = {"Bias Frame": 1000.0, "Dark Frame": 1050.0, "Flat Field": 20000.0, "Light Frame": 1500.0}


class Bench:
    """A folder that frames are put into, and `sync` over it."""

    def __init__(self, root: Path, instance: DagsterInstance) -> None:
        self.root = root
        self.folder = root / "frames"
        self.instance = instance
        self.store = Store(root / "data")
        self.settings = self.settle("")

    def settle(self, gain: str, tables: str = "") -> Settings:
        """Write the settings, with a gain or without, and read them.

        tables : in front of the source's
        """
        file = self.root / "observatory.toml"
        line = f"gain_e_per_adu = {gain}\n" if gain else ""
        file.write_text(
            f'root = "data"\n{SITE}\n{tables}\n[[sources]]\nname = "roof"\nkind = "folder"\n'
            f'path = "frames"\n{line}'
        )
        self.settings = load_settings(file)
        return self.settings

    def put(self, kind: str, count: int = 3, exposure_s: float = 60.0, **cards: Any) -> list[Path]:
        """Frames of a kind, of noise around the kind's level."""
        self.folder.mkdir(exist_ok=True)
        written = []
        for _ in range(count):
            number = len(list(self.folder.iterdir()))
            header = fits.Header(CAMERA | {"IMAGETYP": kind, "EXPTIME": exposure_s} | cards)
            if kind == "Light Frame":
                header["OBJECT"] = "M 31"
            if kind == "Bias Frame":
                header["EXPTIME"] = 0.0
            header["DATE-OBS"] = f"2026-11-20T22:{number % 60:02d}:00"
            pixels = np.random.default_rng(number).normal(FILES[kind], 8, SHAPE)
            path = self.folder / f"{kind.split(maxsplit=1)[0].lower()}-{number:03d}.fits"
            fits.PrimaryHDU(pixels.round().astype(np.uint16), header).writeto(path)
            written.append(path)
        return written

    def sync(self) -> Counter[str]:
        """The runs of one sync, by job; none may fail."""
        before = {run.run_id for run in self.instance.get_runs()}
        sources = self.settings.active_sources
        outcome = sync(self.settings, build_defs(self.settings), self.instance, sources, _silent)
        assert outcome.failures == []
        return Counter(r.job_name for r in self.instance.get_runs() if r.run_id not in before)

    def header(self) -> fits.Header:
        """Of the first calibrated frame."""
        first = min(self.store.calibrated("roof", SESSION).glob("*.fits"))
        return fits.getheader(first)


def _silent(text: str, done: int, known: int) -> None:
    del text, done, known


def master(bench: Bench) -> Path:
    (path,) = (bench.store.root / "masters/roof/dark").glob("*.fits")
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with DagsterInstance.ephemeral() as instance:
        yield Bench(tmp_path, instance)


def test_masters_that_arrive_later_make_the_session_again_once(bench: Bench) -> None:
    bench.put("Light Frame", 1)
    assert bench.sync()["roof_session"] == 1
    assert bench.header()["CALSTAT"] == ""
    assert bench.sync() == {}
    bench.put("Dark Frame")
    assert bench.sync()["roof_session"] == 1
    assert bench.header()["CALSTAT"] == "BD"
    assert bench.sync() == {}
    # A bias changes the dark, and so the session.
    bench.put("Bias Frame")
    runs = bench.sync()
    assert (runs["roof_master_bias"], runs["roof_master_dark"], runs["roof_session"]) == (1, 1, 1)
    assert "AAUSE2" in bench.header()
    assert bench.sync() == {}


def test_what_does_not_fit_makes_no_session_again(bench: Bench) -> None:
    bench.put("Light Frame", 1)
    bench.put("Dark Frame")
    bench.sync()
    bench.put("Dark Frame", **OTHER)
    bench.put("Dark Frame", exposure_s=30.0)
    bench.put("Dark Frame", exposure_s=60.0, **{"CCD-TEMP": -20.0, "GAIN": 0})
    runs = bench.sync()
    assert runs["roof_master_dark"] == 3
    assert runs["roof_session"] == 0
    assert bench.sync() == {}


def test_a_change_and_back_is_two_changes(bench: Bench) -> None:
    bench.put("Light Frame", 1)
    bench.sync()
    first = bench.header()["AAPROV"]
    for gain in ("2.0", "", "2.0"):
        bench.settle(gain)
        assert bench.sync()["roof_session"] == 1
        assert (bench.header()["AAPROV"] == first) is (gain == "")
        assert bench.sync() == {}


@pytest.mark.parametrize("step", ["CALIBRATED", "SOLVED", "STACK"])
def test_a_raised_version_makes_sessions_again_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    bench.put("Light Frame", 1)
    bench.put("Dark Frame")
    bench.sync()
    monkeypatch.setattr(versions, step, "raised")
    runs = bench.sync()
    assert runs["roof_session"] == 1
    assert "roof_master_dark" not in runs
    assert bench.sync() == {}


def test_a_raised_version_of_masters_makes_them_and_their_sessions_again_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put("Light Frame", 1)
    bench.put("Dark Frame")
    bench.put("Bias Frame")
    bench.sync()
    monkeypatch.setattr(versions, "MASTER", "raised")
    runs = bench.sync()
    assert (runs["roof_master_bias"], runs["roof_master_dark"], runs["roof_session"]) == (1, 1, 1)
    assert bench.sync() == {}


@pytest.mark.parametrize(
    "table",
    ["[limits]\nmin_stars = 3", '[[grids]]\ntarget = "M 31"\nscale_arcsec = 4.0'],
    ids=["limits", "grid"],
)
def test_another_wish_makes_its_sessions_again_once(bench: Bench, table: str) -> None:
    bench.put("Light Frame")
    bench.sync()
    assert bench.sync() == {}
    bench.settle("", table)
    assert bench.sync()["roof_session"] == 1
    assert bench.sync() == {}


def test_a_grid_for_another_target_makes_no_session_again(bench: Bench) -> None:
    bench.put("Light Frame")
    bench.sync()
    bench.settle("", '[[grids]]\ntarget = "M 42"\nscale_arcsec = 4.0')
    assert bench.sync() == {}


def test_sessions_that_the_source_has_let_go_of_are_made_again_too(bench: Bench) -> None:
    lights = bench.put("Light Frame", 1)
    bench.sync()
    for path in lights:
        path.unlink()
    bench.put("Dark Frame")
    assert bench.sync()["roof_session"] == 1
    assert bench.header()["CALSTAT"] == "BD"
    assert bench.sync() == {}


def test_what_was_made_before_there_were_records_is_made_again_once(bench: Bench) -> None:
    bench.put("Light Frame", 1)
    bench.put("Dark Frame")
    bench.sync()
    for record in (*bench.store.root.rglob("made_with.json"), master(bench).with_suffix(".json")):
        record.unlink()
    runs = bench.sync()
    assert (runs["roof_master_dark"], runs["roof_session"]) == (1, 1)
    assert bench.sync() == {}


@pytest.mark.parametrize(
    ("step", "job"),
    [("COMPOSITE", "compose"), ("FRAMES", "morning"), ("NIGHT_REPORT", "morning")],
)
def test_a_raised_version_of_what_brings_all_together_asks_for_it_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, step: str, job: str
) -> None:
    folder = bench.store.stacks("roof", SESSION)
    folder.mkdir(parents=True)
    state = {"source": "roof", "session": SESSION, "night": SESSION[:10], "target": "M31"}
    before = {"filters": ["Red"], "digest": "1", "frames": 1}
    (folder / "stack.json").write_text(json.dumps(state | before))
    store = bench.store
    asked = {"compose": inventory.targets, "morning": inventory.nights}[job]
    known = asked(store)
    assert asked(store) == known
    monkeypatch.setattr(versions, step, "raised")
    assert asked(store) != known
    assert asked(store).keys() == known.keys()


def test_a_stranger_among_the_masters_is_a_sentence_and_no_crash(bench: Bench) -> None:
    bench.put("Light Frame", 1)
    stranger = bench.store.root / "masters/roof/dark/mine.fits"
    stranger.parent.mkdir(parents=True)
    fits.PrimaryHDU(np.zeros(SHAPE, np.float32)).writeto(stranger)
    sources = bench.settings.active_sources
    outcome = sync(bench.settings, build_defs(bench.settings), bench.instance, sources, _silent)
    assert any("is no master that was made here" in sentence for sentence in outcome.failures)
    hand = Hand.over(bench.settings, bench.instance)
    requests, reason = hand.tick("watch_roof")
    assert requests == []
    assert "is no master that was made here" in str(reason)


def test_the_sensor_asks_as_sync_does(bench: Bench) -> None:
    """What sync has done is no news to the sensor; masters that come later are, once."""
    bench.put("Light Frame", 1)
    bench.sync()
    hand = Hand.over(bench.settings, bench.instance)
    assert hand.tick("watch_roof")[0] == []
    bench.put("Dark Frame")
    for path in bench.folder.iterdir():
        os.utime(path, (1e9, 1e9))  # old enough not to be growing
    jobs = []
    while requests := hand.tick("watch_roof")[0]:
        jobs += [request.job_name for request in requests]
        hand.run_well(requests)
        assert len(jobs) < 10
    assert jobs.count("roof_session") == 1
    assert jobs.count("roof_master_dark") == 1
    assert hand.tick("watch_roof")[0] == []
    assert bench.header()["CALSTAT"] == "BD"
