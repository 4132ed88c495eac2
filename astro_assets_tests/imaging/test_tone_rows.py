"""The stretch by rows beside the same said plainly, whole picture by whole picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from astro_assets.imaging.stretch import Tone, autostretch, stretch_rows, to_uint8, tone_of

REACH = 10
OWN_SIGMA = 4.0


def softening(tone: Tone) -> float:
    """The asinh curve's scale, from the curve itself: at 1 it is 1, at the sky 0.12."""
    sky = (tone.sky_e - tone.black_e) / (tone.white_e - tone.black_e)
    scales = np.exp(np.linspace(np.log(1e-9), np.log(1e3), 200_001))
    grey = np.arcsinh(sky / scales) / np.arcsinh(1 / scales)
    return float(scales[np.abs(grey - 0.12).argmin()])


def plainly(rgb: np.ndarray, tone: Tone) -> np.ndarray:
    """(3, ny, nx) between 0 and 65535, not rounded."""
    weights = tone.weights.astype(float)[:, None, None]
    rgb = rgb.astype(float)
    mean = (weights * rgb).sum(axis=0)
    known = np.isfinite(mean)
    above = np.maximum((mean - tone.sky_e) / (OWN_SIGMA * tone.sigma_e), 0)
    faint = np.where(known, 1 / (1 + above**2), 0)

    def around(values: np.ndarray) -> np.ndarray:
        side = 2 * REACH + 1
        return uniform_filter(np.where(known, values, 0), side, mode="constant") * side**2

    color = np.where(known, rgb - mean, 0)
    near = around(faint)
    enough = near > 1
    for channel in (0, 2):
        others = around(faint * color[channel]) / np.maximum(near, 1)
        mixed = (1 - faint) * color[channel] + faint * others
        color[channel] = np.where(enough, mixed, color[channel])
    color[1] = -(weights[0] * color[0] + weights[2] * color[2]) / weights[1]
    light = mean + color - tone.black_e
    bright = (weights * light).sum(axis=0) / (tone.white_e - tone.black_e)
    seen = known & (bright > 0)
    bright = np.where(seen, bright, 0.5)
    b = softening(tone)
    grey = np.arcsinh(bright / b) / np.arcsinh(1 / b)
    shown = np.maximum(light / (tone.white_e - tone.black_e) * grey / bright, 0)
    strongest = shown.max(axis=0)
    shown *= 65535 / np.maximum(1 + strongest - grey, strongest)
    return np.where(seen, shown, 0)


def scene(seed: int, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rgb = rng.normal(0, 5, (3, *shape)) + rng.uniform(-1, 1, (3, 1, 1))
    for _ in range(3):
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        rgb[:, y : y + 4, x : x + 3] += rng.uniform(10, 3e4, (3, 1, 1))
    rgb[rng.integers(0, 3), rng.random(shape) < 0.01] = np.nan
    return rgb.astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
def test_rows_are_what_the_whole_picture_says(seed: int, shape: tuple[int, int]) -> None:
    rgb = scene(seed, shape)
    tone = tone_of(rgb)
    if tone.sigma_e < 0.1:  # too few pixels to tell a sky
        return
    off = np.abs(autostretch(rgb).astype(float) - plainly(rgb, tone))
    assert off.max() < 1.5


@pytest.mark.parametrize("height", [1, 7, 64, 300])
def test_strips_of_any_height_give_the_same_picture(height: int) -> None:
    rgb = scene(3, (130, 90))
    whole = np.moveaxis(autostretch(rgb), 0, -1)
    tone = tone_of(rgb)
    for top in range(0, 130, height):
        shown = np.empty((min(height, 130 - top), 90, 3), np.uint16)
        stretch_rows(rgb, tone, top, shown)
        np.testing.assert_array_equal(shown, whole[top : top + height])


def test_each_of_sixteen_bits_is_rounded_to_eight() -> None:
    every = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(to_uint8(every), (every.astype(int) + 128) // 257)
