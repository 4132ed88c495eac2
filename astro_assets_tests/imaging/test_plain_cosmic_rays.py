"""The fast search gives what the plain one gives, pixel by pixel, whatever the frame."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.imaging.cosmic_rays import cosmic_rays, remove_rays
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.repair import interpolate_bad
from astro_assets_tests.imaging.plain_cosmic_rays import plain_cosmic_rays
from astro_assets_tests.imaging.ray_scene import READ_NOISE_E, SATURATION_E, ray_scene


def compared(image, mask, *, bayer, read_noise_e=READ_NOISE_E, saturation_e=SATURATION_E):
    """The rays, after both ways and the one in place have given the same."""
    told = {"read_noise_e": read_noise_e, "saturation_e": saturation_e, "bayer": bayer}
    as_it_was, bits_as_they_were = image.copy(), mask.copy()
    found = cosmic_rays(image, mask, **told)
    np.testing.assert_array_equal(image, as_it_was)
    np.testing.assert_array_equal(mask, bits_as_they_were)
    np.testing.assert_array_equal(found, plain_cosmic_rays(image, mask, **told))
    marked = np.where(found, mask | np.uint8(MaskBit.COSMIC_RAY), mask)
    filled, bits = interpolate_bad(image, marked, bayer=bayer)
    own, own_mask = image.copy(), mask.copy()
    assert remove_rays(own, own_mask, **told) == np.count_nonzero(found)
    np.testing.assert_array_equal(own, filled)
    np.testing.assert_array_equal(own_mask, bits)
    return found


def masked(image):
    """A bad column, hot pixels beside one another, a hole, and what is saturated."""
    mask = np.where(image >= SATURATION_E, np.uint8(MaskBit.SATURATED), np.uint8(0))
    image = image.copy()
    for where, bit in (
        (np.s_[:, 200], MaskBit.BAD),
        (np.s_[100:103, 50:52], MaskBit.USER),
        (np.s_[300:340, 300:340], MaskBit.NO_DATA),
        (np.s_[7, 7], MaskBit.BAD | MaskBit.SATURATED),
    ):
        mask[where] |= np.uint8(bit)
        image[where] = 0 if bit == MaskBit.NO_DATA else 64000
    return image, mask


@pytest.mark.parametrize("bayer", [False, True])
@pytest.mark.parametrize("fwhm_px", [1.5, 2.5, 5.0])
@pytest.mark.parametrize("shape", [(400, 400), (391, 397)])
def test_the_same_pixels(fwhm_px, bayer, shape):
    image, mask = masked(ray_scene(11, fwhm_px, bayer=bayer).image)
    image, mask = (np.ascontiguousarray(plane[: shape[0], : shape[1]]) for plane in (image, mask))
    assert compared(image, mask, bayer=bayer).sum() > 500


@pytest.mark.parametrize("bayer", [False, True])
def test_whole_numbers_and_a_sky_that_slopes(bayer):
    scene = ray_scene(12, 2.5, bayer=bayer)
    y, x = np.indices(scene.image.shape)
    image = np.round((scene.image + 3 * x + y) / 4).astype(np.float32) * 4
    mask = np.zeros(image.shape, np.uint8)
    assert compared(image, mask, bayer=bayer, saturation_e=None).sum() > 300


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    ny=st.integers(1, 90),
    nx=st.integers(1, 90),
    bayer=st.booleans(),
    read_noise_e=st.sampled_from([0.0, 1.0, 6.0]),
    kind=st.sampled_from(["noise", "flat", "hidden", "full", "below zero"]),
)
def test_odd_frames(seed, ny, nx, bayer, read_noise_e, kind):
    """Sizes that are no multiple of a tile, no noise, everything masked, everything saturated."""
    rng = np.random.default_rng(seed)
    bayer = bayer and min(ny, nx) > 1
    image = rng.normal(300, 0 if kind == "flat" else 18, (ny, nx))
    image += 10 ** rng.uniform(1, 5, (ny, nx)) * (rng.random((ny, nx)) < 0.01)
    if kind == "below zero":
        image -= 5000
    mask = np.where(rng.random((ny, nx)) < 0.03, 1 << rng.integers(0, 7, (ny, nx)), 0)
    if kind == "hidden":
        mask |= int(MaskBit.BAD)
    saturation_e = 200.0 if kind == "full" else 60000.0
    compared(
        image.astype(np.float32),
        mask.astype(np.uint8),
        bayer=bayer,
        read_noise_e=read_noise_e,
        saturation_e=saturation_e,
    )
