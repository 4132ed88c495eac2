"""Patterns, debayering and the luminance for finding stars."""

import numpy as np
import pytest

from astro_assets.imaging.bayer import (
    LUMINANCE_BLUR_PX2,
    LUMINANCE_NOISE,
    PATTERNS,
    channel_mask,
    colour_planes,
    debayer,
    flip_pattern,
    luminance,
)
from astro_assets.imaging.mask import MaskBit

SHAPE = (61, 80)
COLOUR = (100.0, 300.0, 50.0)


def mosaic(pattern, colour=COLOUR, shape=SHAPE):
    image = np.zeros(shape, np.float32)
    for channel, value in zip(channel_mask(shape, pattern), colour, strict=True):
        image[channel] = value
    return image


def holes(seed, fraction, shape=SHAPE):
    return np.where(
        np.random.default_rng(seed).random(shape) < fraction, np.uint8(MaskBit.BAD), np.uint8(0)
    )


def test_channels_are_where_the_letters_say():
    red, green, blue = channel_mask((3, 5), "GRBG")
    assert green[0, 0]
    assert red[0, 1]
    assert blue[1, 0]
    assert green[1, 1]
    assert (red.astype(int) + green + blue == 1).all()
    assert [plane.shape for plane in colour_planes(red)] == [(2, 3), (2, 2), (1, 3), (1, 2)]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("shape", [(60, 80), (61, 80), (60, 81), (61, 81)])
@pytest.mark.parametrize(("rows", "columns"), [(True, True), (True, False), (False, True)])
def test_flipped_frames(pattern, shape, rows, columns):
    flipped = channel_mask(shape, pattern)[:, :: -1 if rows else 1, :: -1 if columns else 1]
    again = channel_mask(shape, flip_pattern(pattern, shape, rows=rows, columns=columns))
    np.testing.assert_array_equal(flipped, again)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_value_from_masked_pixels(pattern):
    mask = holes(1, 0.1)
    image = np.where(mask, np.float32(1e6), mosaic(pattern))
    rgb, masks = debayer(image, mask, pattern)
    usable = (masks & MaskBit.NO_DATA) == 0
    assert usable.mean() > 0.99
    for channel, value in enumerate(COLOUR):
        assert (rgb[channel][usable[channel]] == value).all()
        assert (rgb[channel][~usable[channel]] == 0).all()
    filled = channel_mask(SHAPE, pattern) & (mask > 0)
    assert ((masks[filled] & (MaskBit.INTERPOLATED | MaskBit.NO_DATA)) != 0).all()
    assert ((masks[~filled] & MaskBit.INTERPOLATED) == 0).all()


def test_bilinear_against_the_plain_formula():
    image = np.random.default_rng(2).normal(500, 20, SHAPE).astype(np.float32)
    rgb, masks = debayer(image, np.zeros(SHAPE, np.uint8), "RGGB")
    assert not masks.any()
    assert rgb[0, 10, 10] == image[10, 10]
    assert rgb[1, 10, 11] == image[10, 11]
    green = np.mean([image[9, 10], image[11, 10], image[10, 9], image[10, 11]])
    assert rgb[1, 10, 10] == pytest.approx(green)
    blue = np.mean([image[9, 9], image[9, 11], image[11, 9], image[11, 11]])
    assert rgb[2, 10, 10] == pytest.approx(blue)
    assert rgb[0, 10, 11] == pytest.approx(np.mean([image[10, 10], image[10, 12]]))
    assert rgb[0, 0, 1] == pytest.approx(np.mean([image[0, 0], image[0, 2]]))


def test_saturation_is_handed_on():
    mask = np.zeros(SHAPE, np.uint8)
    mask[20, 20] = MaskBit.SATURATED
    image = mosaic("RGGB")
    image[20, 20] = 60000
    rgb, masks = debayer(image, mask, "RGGB")
    assert rgb[0, 20, 20] == 60000
    assert (masks[0, 19:22, 19:22] == MaskBit.SATURATED).all()
    assert not masks[1:].any()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_luminance_has_no_checkerboard(pattern):
    mask = holes(3, 0.05)
    light, bits = luminance(mosaic(pattern), mask, pattern)
    usable = (bits & MaskBit.NO_DATA) == 0
    np.testing.assert_allclose(light[usable], (100 + 2 * 300 + 50) / 4, rtol=1e-6)
    assert (light[~usable] == 0).all()


def test_luminance_noise_and_blur():
    shape = (400, 400)
    noise = np.random.default_rng(4).normal(0, 10, shape).astype(np.float32)
    light, _ = luminance(noise, np.zeros(shape, np.uint8), "RGGB")
    assert np.std(light) == pytest.approx(10 * LUMINANCE_NOISE, rel=0.01)
    y, x = np.indices((41, 41)) - 20.3
    star = (1000 * np.exp(-(x**2 + y**2) / 8)).astype(np.float32)
    light, _ = luminance(star, np.zeros(star.shape, np.uint8), "RGGB")
    assert light.sum() == pytest.approx(star.sum(), rel=1e-4)
    width = (light * x**2).sum() / light.sum()
    assert width == pytest.approx(4 + LUMINANCE_BLUR_PX2, abs=0.02)


def test_everything_masked_gives_no_data():
    mask = np.full(SHAPE, MaskBit.BAD, np.uint8)
    rgb, masks = debayer(mosaic("RGGB"), mask, "RGGB")
    assert not rgb.any()
    assert (masks & MaskBit.NO_DATA).all()


def test_unknown_pattern():
    with pytest.raises(ValueError, match="RGGB, BGGR, GRBG, GBRG"):
        debayer(mosaic("RGGB"), holes(1, 0.1), "RGBG")
