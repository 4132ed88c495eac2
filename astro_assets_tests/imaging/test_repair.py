"""Bad pixels get their neighbours' value and keep their bits."""

import numpy as np
import pytest

from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.repair import interpolate_bad

SHAPE = (40, 60)


def slope():
    y, x = np.indices(SHAPE)
    return (100 + 3 * x + 2 * y).astype(np.float32)


@pytest.mark.parametrize("bayer", [False, True])
def test_isolated_pixels_and_a_column(bayer):
    truth = slope()
    if bayer:
        truth[::2, ::2] += 1000
    mask = np.zeros(SHAPE, np.uint8)
    mask[10, 10], mask[20, 30], mask[25, 41] = MaskBit.BAD, MaskBit.COSMIC_RAY, MaskBit.NO_DATA
    mask[:, 50] = MaskBit.USER
    image = np.where(mask, np.float32(-1e6), truth)
    filled, bits = interpolate_bad(image, mask, bayer=bayer)
    np.testing.assert_allclose(filled[2:-2], truth[2:-2], atol=0.02)
    np.testing.assert_array_equal(bits, np.where(mask, mask | MaskBit.INTERPOLATED, 0))
    assert (image[mask > 0] == -1e6).all()


def test_a_wide_group_is_filled_and_a_hole_stays():
    mask = np.zeros(SHAPE, np.uint8)
    mask[:, 10:16] = MaskBit.BAD
    mask[:, 30:] = MaskBit.NO_DATA
    image = np.where(mask, np.float32(0), np.float32(500))
    filled, bits = interpolate_bad(image, mask)
    assert (filled[:, 10:16] == 500).all()
    assert (filled[:, 36:] == 0).all()
    assert (bits[:, 36:] == MaskBit.NO_DATA).all()


def test_saturated_stars_stay_and_saturated_hot_pixels_go():
    image = np.full(SHAPE, 50, np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    image[10:13, 10:13], mask[10:13, 10:13] = 60000, MaskBit.SATURATED
    image[30, 30], mask[30, 30] = 60000, MaskBit.SATURATED | MaskBit.BAD
    filled, bits = interpolate_bad(image, mask)
    assert (filled[10:13, 10:13] == 60000).all()
    assert (bits[10:13, 10:13] == MaskBit.SATURATED).all()
    assert filled[30, 30] == 50
    assert bits[30, 30] & MaskBit.INTERPOLATED


def test_everything_masked():
    image, mask = slope(), np.full(SHAPE, MaskBit.BAD, np.uint8)
    filled, bits = interpolate_bad(image, mask)
    np.testing.assert_array_equal(filled, image)
    np.testing.assert_array_equal(bits, mask)
