"""A slope goes, a nebula stays."""

import numpy as np
import pytest

from astro_assets.imaging.gradient import find_gradient, without_gradient
from astro_assets_tests.imaging.slopes import SlopedSky, sloped_sky

SEEDS = (1, 2, 3, 4, 5)


def cleaned(sky: SlopedSky, order: int) -> np.ndarray:
    return without_gradient(sky.image, find_gradient(sky.image, sky.mask, order))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("order", "left"), [(1, 0.01), (2, 0.03)])
def test_the_slope_goes_and_the_nebula_stays(seed: int, order: int, left: float) -> None:
    """Beside a nebula on 30 % of the frame; its light to 1 %, where 2 % are allowed."""
    sky = sloped_sky(seed, order=order)
    picture = cleaned(sky, order)
    assert sky.left(picture) < left
    assert abs(sky.kept(picture) - 1) < 0.01


@pytest.mark.parametrize("nebula_e", [15, 500])
def test_faint_and_bright_nebulae_stay(nebula_e: float) -> None:
    sky = sloped_sky(6, nebula_e=nebula_e)
    picture = cleaned(sky, 2)
    assert sky.left(picture) < 0.03
    assert abs(sky.kept(picture) - 1) < 0.02


def test_the_level_and_the_noise_stay() -> None:
    sky = sloped_sky(7, nebula_share=0, stars=0)
    picture = cleaned(sky, 2)
    assert picture.mean() == pytest.approx(float(sky.image.mean()), abs=0.01)
    noise = np.std(sky.image - sky.slope)
    assert np.std(picture) == pytest.approx(noise, rel=0.002)


def test_a_frame_without_a_slope_stays_as_it_is() -> None:
    sky = sloped_sky(8, slope_e=0.001, nebula_share=0)
    assert np.abs(cleaned(sky, 2) - sky.image).max() < 0.5


def test_where_no_sky_is_seen_nothing_is_guessed() -> None:
    sky = sloped_sky(3, nebula_share=0.9)
    gradient = find_gradient(sky.image, sky.mask, 3)
    assert gradient.order < 3
    assert abs(sky.kept(without_gradient(sky.image, gradient)) - 1) < 1
    nothing = np.full(sky.mask.shape, 32, np.uint8)
    masked = find_gradient(sky.image, nothing, 2)
    assert masked.order == 0
    np.testing.assert_array_equal(without_gradient(sky.image, masked), sky.image)


def test_masked_and_missing_pixels_count_for_nothing() -> None:
    sky = sloped_sky(2)
    spoilt, mask = sky.image.copy(), sky.mask.copy()
    spoilt[:200, :300], mask[:200, :300] = 60000, 4
    spoilt[400:500] = np.nan
    picture = without_gradient(spoilt, find_gradient(spoilt, mask, 2))
    usable = np.isfinite(picture) & (mask == 0)
    off = (picture - cleaned(sky, 2))[usable]
    assert np.ptp(off) < 0.05 * np.ptp(sky.slope)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (40, 900), (64, 64)])
def test_small_frames_are_no_crash(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(9).normal(100, 5, shape).astype(np.float32)
    picture = without_gradient(image, find_gradient(image, np.zeros(shape, np.uint8), 2))
    assert picture.shape == shape
    assert np.isfinite(picture).all()


def test_the_span_is_the_slopes() -> None:
    sky = sloped_sky(4, order=1, slope_e=60)
    gradient = find_gradient(sky.image, sky.mask, 1)
    assert gradient.order == 1
    assert gradient.peak_to_peak_e == pytest.approx(60, rel=0.05)
    assert 0.3 < gradient.sky_share < 0.8
