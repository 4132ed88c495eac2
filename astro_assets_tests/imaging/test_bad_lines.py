"""Columns and rows: whole, in part, weak, in groups; and what looks like one and is none."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from astro_assets.imaging.bad_lines import bad_columns
from astro_assets.imaging.bad_pixels import bad_pixel_map, telegraph_pixels
from astro_assets.imaging.masters import master_bias, master_dark
from astro_assets.sim.cameras import ASI, T20, Camera
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import make_detector
from astro_assets.sim.session import bias_frames, dark_frames

SHAPE = (400, 520)
NOISE = 2.0


def noise(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(300, NOISE, SHAPE)


def found_in(dark: NDArray[np.float64], box: tuple[slice, slice]) -> tuple[float, int]:
    """Share of the box that is found, and how many pixels elsewhere are."""
    bad = bad_columns(dark)
    truth = np.zeros(SHAPE, bool)
    truth[box] = True
    return float(bad[truth].mean()), int((bad & ~truth).sum())


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("rows", "offset"),
    [
        (slice(100, 160), 2.0),
        (slice(250, 400), 1.5),
        (slice(0, 300), -1.2),
        (slice(200, 250), 30.0),
        (slice(0, 400), 0.6),
    ],
)
def test_partial_columns_and_their_ends(seed: int, rows: slice, offset: float) -> None:
    """AstroPhotography's medians over whole columns, window 11, miss partial columns."""
    box = (rows, slice(222, 223))
    dark = noise(seed)
    dark[box] += offset * NOISE
    recall, others = found_in(dark, box)
    assert recall >= 0.9
    assert others <= 14


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("width", [2, 5, 11, 24, 30])
@pytest.mark.parametrize("rows", [slice(0, 400), slice(130, 290)])
def test_groups_of_columns(seed: int, width: int, rows: slice) -> None:
    """AstroPhotography's window of 11 columns misses wide groups."""
    box = (rows, slice(200, 200 + width))
    dark = noise(seed)
    dark[box] += 2 * NOISE * np.random.default_rng(seed).uniform(0.7, 1.3, width)
    recall, others = found_in(dark, box)
    assert recall >= 0.97
    assert others <= 0.02 * dark[box].size + 8


@pytest.mark.parametrize("seed", [1, 2])
def test_groups_of_rows_at_the_border(seed: int) -> None:
    box = (slice(392, 400), slice(60, 520))
    dark = noise(seed)
    dark[box] -= 3 * NOISE
    recall, others = found_in(dark, box)
    assert recall >= 0.99
    assert others <= 8 * 6


def test_columns_and_rows_that_cross_leave_the_corners_alone() -> None:
    dark = noise(7)
    dark[300:316, :260] += 4 * NOISE
    dark[:, 262:280] += 4 * NOISE
    bad = bad_columns(dark)
    assert bad[300:316, :260].mean() > 0.99
    assert bad[:, 262:280].mean() > 0.99
    truth = np.zeros(SHAPE, bool)
    truth[300:316, :260] = truth[:, 262:280] = True
    assert (bad & ~truth).mean() < 5e-4


def test_glow_dust_and_single_hot_pixels_are_no_columns() -> None:
    rng = np.random.default_rng(8)
    y, x = np.indices(SHAPE)
    dark = noise(8) + 900 * np.exp(-np.hypot(x - 520, y - 400) / 50)
    hot = rng.random(SHAPE) < 0.004
    dark[hot] += rng.uniform(30, 30000, hot.sum())
    assert bad_columns(dark).mean() < 1e-5
    flat = rng.normal(1, 0.004, SHAPE)
    for cx, cy, radius in rng.uniform((0, 0, 6), (520, 400, 60), (25, 3)):
        r = np.hypot(x - cx, y - cy)
        # Soft at its edges, as the shadow of something out of focus is.
        flat *= 1 - 0.12 / (1 + np.exp((r - radius) / 1.5)) / (1 + np.exp((0.4 * radius - r) / 1.5))
    assert bad_columns(flat, least_step=0.03).mean() < 1e-5


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("camera", [T20, ASI])
def test_all_flaws_of_a_simulated_camera(camera: Camera, seed: int) -> None:
    camera = replace(camera, shape=(500, 600))
    defects = replace(Defects(), partial_columns=True, column_groups=True, telegraph_pixels=True)
    detector = make_detector(camera, defects, seed=seed)
    bias = master_bias(bias_frames(detector, 8, seed=seed)).image
    raws = dark_frames(detector, 10, seed=seed)
    dark = master_dark(raws, camera.exposure_s, bias=bias).image
    bad = bad_pixel_map(dark, darks=raws, bayer=camera.bayer is not None) != 0
    flaws = detector.flaws
    assert bad[detector.hot].mean() >= 0.995
    assert bad[flaws.partial].mean() >= 0.95
    assert bad[flaws.groups].mean() >= 0.99
    assert bad[flaws.telegraph].mean() >= 0.9
    truth = detector.hot | flaws.partial | flaws.groups | flaws.telegraph
    truth[:, list(detector.columns)] = True
    assert bad[~truth].mean() <= 0.0005


def jumping(seed: int, count: int) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    pixels = rng.random(SHAPE) < 0.001
    darks = []
    for _ in range(count):
        dark = rng.normal(300, 5, SHAPE) + rng.uniform(-20, 20)
        dark[pixels] += 90 * (rng.random(pixels.sum()) < 0.5)
        rays = rng.random(SHAPE) < 0.0005
        dark[rays] += 3000
        darks.append(dark)
    return darks, pixels


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_telegraph_pixels_of_the_raw_darks(seed: int) -> None:
    darks, pixels = jumping(seed, 12)
    found = telegraph_pixels(darks)
    assert found is not None
    assert found[pixels].mean() >= 0.97
    assert found[~pixels].mean() <= 2e-4


def test_too_few_darks_tell_nothing_of_a_pixels_scatter() -> None:
    darks, _ = jumping(4, 4)
    assert telegraph_pixels(darks) is None
    assert telegraph_pixels([]) is None
