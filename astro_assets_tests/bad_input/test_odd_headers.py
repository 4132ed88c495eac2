"""Frames that are legal FITS and make no sense: each is used or rejected, and stops no other."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.settings import load_settings
from astro_assets.sources.batches import look
from astro_assets.steps import calibrate, fetch, solve, stack
from astro_assets.steps.recipe import RECIPES
from astro_assets_tests.bad_input.bench import Bench, folder_source
from astro_assets_tests.bad_input.frames import NIGHT, rewrite, write_lights

SESSION = f"{NIGHT}_NGC7000_Attic-camera"

Pixels = Callable[[NDArray[np.uint16]], NDArray[np.generic]]

USED: dict[str, dict[str, object]] = {
    "gain-below-zero": {"EGAIN": -1.0},
    "no-bayer-pattern": {"BAYERPAT": "XXXX"},
    "no-date": {"DATE-OBS": "yesterday"},
    "no-place": {"RA": "abc", "DEC": "??"},
    "wrong-place": {"RA": 10.0, "DEC": -80.0},
    "scale-zero": {"SCALE": 0.0},
    "scale-tiny": {"SCALE": 0.001},
    "saturation-below-zero": {"SATURATE": -1.0},
    "filter-as-path": {"FILTER": "../../Green"},
}
REJECTED: dict[str, tuple[dict[str, object], str]] = {
    "saturation-one": ({"SATURATE": 1.0}, "saturated"),
    "exposure-text": ({"EXPTIME": "long"}, "EXPTIME"),
    "exposure-below-zero": ({"EXPTIME": -5.0}, "EXPTIME"),
}
PIXELS: dict[str, tuple[Pixels, str]] = {
    "three-axes": (lambda counts: np.stack([counts] * 3), "3 axes"),
    "one-axis": (lambda counts: counts[0], "1 axes"),
    "tiny": (lambda counts: counts[:3, :3], "0 stars"),
    "one-pixel": (lambda counts: counts[:1, :1], "0 stars"),
    "not-numbers": (lambda counts: np.full(counts.shape, np.nan, np.float32), "usable"),
    "constant": (lambda counts: np.full_like(counts, 1000), "0 stars"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """All of these beside three good frames, taken through the lane."""
    bench = Bench(tmp_path_factory.mktemp("odd"))
    lights = write_lights(bench.folder / "garden", 4)
    model = lights.pop()
    for name, cards in [*USED.items(), *((n, cards) for n, (cards, _) in REJECTED.items())]:
        rewrite(model, model.with_name(f"{name}.fits"), cards)
    for name, (change, _) in PIXELS.items():
        rewrite(model, model.with_name(f"{name}.fits"), {}, change)
    model.unlink()
    bench.write(folder_source("garden", "garden"))
    settings = load_settings(bench.settings)
    source, store = settings.source("garden"), bench.store
    (batch,) = look(source, settings)
    assert batch.key == SESSION
    fetch.fetch_raw(settings, source, SESSION, _silent)
    calibrate.calibrate_session(store, "garden", SESSION, RECIPES["folder"], None)
    solve.solve_session(store, "garden", SESSION, settings.limits, settings.solving, _silent)
    stack.stack_session(store, "garden", SESSION, settings.solving)
    return bench


def _silent(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def frames(bench: Bench) -> pd.DataFrame:
    return bench.frames("garden", SESSION)


def _row(frames: pd.DataFrame, name: str) -> pd.Series:
    (row,) = [row for frame, row in frames.iterrows() if str(frame).startswith(name)]
    return row


def test_the_good_frames_are_used(frames: pd.DataFrame):
    assert frames[frames.index.str.startswith("light-")]["accepted"].sum() == 3


@pytest.mark.parametrize("name", USED)
def test_a_frame_whose_header_says_nonsense_is_used_for_its_pixels(frames: pd.DataFrame, name: str):
    row = _row(frames, name)
    assert row["accepted"], row["reason"]


@pytest.mark.parametrize("name", [*REJECTED, *PIXELS])
def test_a_frame_that_is_of_no_use_is_rejected_with_its_reason(frames: pd.DataFrame, name: str):
    row = _row(frames, name)
    expected = (REJECTED | PIXELS)[name][1]
    assert not row["accepted"]
    assert any(word in row["reason"] for word in expected.split("|")), row["reason"]


def test_the_stacks_date_is_the_first_that_is_one(bench: Bench):
    stacks = sorted(bench.store.stacks("garden", SESSION).glob("*Green.fits"))
    assert len(stacks) == 2
    for path in stacks:
        assert fits.getheader(path).get("DATE-OBS", NIGHT).startswith(NIGHT)
    assert "DATE-OBS" in fits.getheader(stacks[-1])
