"""A changed list of bad pixels makes just the sessions of its camera again, by the real sync."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from dagster import DagsterInstance

from astro_assets.definitions import build_defs
from astro_assets.defs.sync import Outcome, sync
from astro_assets.imaging.mask import MaskBit
from astro_assets.store import read_image
from astro_assets_tests.defs.test_staleness import OTHER, Bench

CAMERA = "Roof_bin1_gain100"
SESSION_OF = {"Roof": "2026-11-20_M31_Roof", "Cellar": "2026-11-20_M31_Cellar"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two cameras with darks and a light each, all done."""
    with DagsterInstance.ephemeral() as instance:
        bench = Bench(tmp_path, instance)
        for cards in ({}, OTHER):
            bench.put("Light Frame", 1, **cards)
            bench.put("Dark Frame", **cards)
        runs = bench.sync()
        assert (runs["roof_bad_pixel_map"], runs["roof_session"]) == (2, 2)
        assert bench.sync() == {}
        yield bench


def write(bench: Bench, text: str, camera: str = CAMERA) -> Path:
    path = bench.store.user_bad_pixels("roof", camera)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mask(bench: Bench, camera: str) -> np.ndarray:
    (path,) = bench.store.calibrated("roof", SESSION_OF[camera]).glob("*.fits")
    found = read_image(path).mask
    assert found is not None
    return found & MaskBit.USER


def outcome(bench: Bench) -> Outcome:
    settings = bench.settings
    sources = settings.active_sources
    return sync(settings, build_defs(settings), bench.instance, sources, lambda *_: None)


def test_a_change_makes_the_cameras_sessions_again_once_and_no_others(bench: Bench) -> None:
    first = {path: path.stat().st_mtime_ns for path in bench.store.root.glob("stacks/roof/*/*")}
    write(bench, "bad_columns: [5]\n")
    runs = bench.sync()
    assert (runs["roof_bad_pixel_map"], runs["roof_session"]) == (1, 1)
    assert runs.keys() <= {"roof_bad_pixel_map", "roof_session", "compose", "morning"}
    assert mask(bench, "Roof")[:, 4].all()
    assert not mask(bench, "Cellar").any()
    others = [path for path in first if "Cellar" in str(path)]
    assert others
    assert all(path.stat().st_mtime_ns == first[path] for path in others)
    assert bench.sync() == {}


def test_each_further_change_counts_also_one_that_comes_back_and_none(bench: Bench) -> None:
    for text in ("bad_rows: [3]\n", "bad_rows: [4]\n", "bad_rows: [3]\n"):
        write(bench, text)
        runs = bench.sync()
        assert (runs["roof_bad_pixel_map"], runs["roof_session"]) == (1, 1)
        rows = np.flatnonzero(mask(bench, "Roof").all(axis=1))
        assert rows.tolist() == [int(text[-3]) - 1]
        assert bench.sync() == {}
    bench.store.user_bad_pixels("roof", CAMERA).unlink()
    runs = bench.sync()
    assert (runs["roof_bad_pixel_map"], runs["roof_session"]) == (1, 1)
    assert not mask(bench, "Roof").any()
    assert bench.sync() == {}


def test_a_file_that_is_only_touched_makes_nothing_again(bench: Bench) -> None:
    path = write(bench, "bad_rows: [3]\n")
    bench.sync()
    path.write_text(path.read_text())
    assert bench.sync() == {}


def test_also_when_the_source_has_no_calibrations_left(bench: Bench) -> None:
    for path in bench.folder.glob("dark-*"):
        path.unlink()
    bench.sync()
    write(bench, "bad_columns: [5]\n")
    runs = bench.sync()
    assert (runs["roof_bad_pixel_map"], runs["roof_session"]) == (1, 1)
    assert mask(bench, "Roof")[:, 4].all()


def test_a_broken_list_is_told_and_the_map_stays_until_it_is_mended(bench: Bench) -> None:
    write(bench, "bad_columns: [5]\n")
    bench.sync()
    path = write(bench, "bad_columns: [5, 6\n")
    told = outcome(bench)
    assert any(str(path) in failure for failure in told.failures)
    assert mask(bench, "Roof")[:, 4].all()
    write(bench, "bad_columns: [5, 6, 4000]\n")
    told = outcome(bench)
    assert told.failures == []
    assert any("column 4000 is outside of 1 to 48" in note for note in told.notes)
    assert mask(bench, "Roof")[:, 5].all()


def test_a_list_of_no_camera_is_told(bench: Bench) -> None:
    path = write(bench, "bad_columns: [5]\n", "Rof_bin1")
    told = outcome(bench)
    assert told.runs == 0
    assert any(str(path) in note and CAMERA in note for note in told.notes)
