"""Verdicts beside the plain rule, on sizes that are no multiple of what is looked at together."""

import numpy as np
import pytest

from astro_assets.imaging.laid import saturated_pixels
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.outliers import OUTLIER_SIGMA, REACH_PX, Expected, Levelled, judge
from astro_assets.imaging.planes import Held


def plain_verdicts(values: np.ndarray, weight: np.ndarray, sigma_e: float) -> np.ndarray:
    """The reference, pixel by pixel, where 0 is expected everywhere and weights are 0 or 1."""
    apart = (np.abs(values) > OUTLIER_SIGMA * sigma_e) & (weight > 0)
    said = np.where(weight > 0, 1, 0)
    said[apart] = np.where(values[apart] > 0, 2, 3)
    ny, nx = values.shape
    for y, x in np.argwhere(apart):
        near = np.s_[
            max(y - REACH_PX, 0) : min(y + REACH_PX + 1, ny),
            max(x - REACH_PX, 0) : min(x + REACH_PX + 1, nx),
        ]
        if np.count_nonzero(apart[near]) >= 4:
            said[near] = np.where(said[near] == 1, said[y, x], said[near])
    return said


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (9, 64), (12, 65), (20, 203)])
def test_verdicts_are_those_of_the_plain_rule(shape: tuple[int, int]):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, shape).astype(np.float32)
    values[rng.random(shape) < 0.05] += 30
    values[rng.random(shape) < 0.02] -= 30
    weight = (rng.random(shape) > 0.1).astype(np.float32)
    values[weight == 0] = np.nan
    nothing = np.zeros(shape, np.float32)
    layer = Levelled(Held(values, weight), 1.0, (0.0, 0.0, 0.0), 1.0)
    verdict = np.empty(shape, np.uint8)
    expected = Expected(0, nothing, nothing, 0.0)
    judge(layer, values, weight, expected, np.empty(shape, np.uint8), verdict)
    np.testing.assert_array_equal(verdict, plain_verdicts(values, weight, 1.0))


@pytest.mark.parametrize("turn_y", [False, True])
@pytest.mark.parametrize("turn_x", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_saturated_pixels_are_found_as_the_frame_is_turned(
    turn_y: bool, turn_x: bool, share: float
):
    rng = np.random.default_rng(4)
    mask = np.where(rng.random((31, 67)) < 0.2, MaskBit.BAD, 0).astype(np.uint8)
    full = rng.random(mask.shape) < share
    mask[full] |= np.uint8(MaskBit.SATURATED)
    ys, xs = saturated_pixels(mask, turn_y, turn_x)
    seen = np.zeros(mask.shape, bool)
    seen[ys, xs] = True
    assert len(ys) == full.sum()
    np.testing.assert_array_equal(seen, full[:: -1 if turn_y else 1, :: -1 if turn_x else 1])
