"""The sky below the stars."""

import numpy as np
import pytest

from astro_assets.errors import Unusable
from astro_assets.imaging.background import background
from astro_assets.imaging.mask import MaskBit
from astro_assets_tests.imaging.star_field import draw, scatter


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_level_and_noise_below_stars(seed: int) -> None:
    x, y = scatter(150, seed=seed)
    flux_e = 10 ** np.random.default_rng(seed).uniform(3, 5, 150)
    field = draw(x, y, flux_e, seed=seed, sky_e=300, read_noise_e=6)
    sky = background(field.image, field.mask)
    noise_e = np.sqrt(300 + 36)
    assert sky.level.shape == sky.rms.shape == field.image.shape
    assert abs(np.median(sky.level) - 300) < 0.05 * noise_e
    assert sky.rms_e == pytest.approx(noise_e, rel=0.03)
    assert sky.median_e == pytest.approx(300, abs=0.1 * noise_e)


def test_gradient_is_followed() -> None:
    ny, nx = 400, 500
    slope = np.linspace(100, 400, nx)[None, :] * np.ones((ny, 1))
    image = np.random.default_rng(4).normal(slope, 10).astype(np.float32)
    sky = background(image, np.zeros(image.shape, np.uint8))
    assert np.abs(sky.level - slope)[:, 40:-40].max() < 15


def test_masked_rubbish_does_not_count() -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(100, 5, (300, 300)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    image[:, 100:160] = 50_000
    mask[:, 100:160] = MaskBit.BAD
    image[200:220, 200:220] = np.nan
    before = image.copy()
    sky = background(image, mask)
    assert np.isfinite(sky.level).all()
    assert np.abs(sky.level - 100).max() < 3
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("shape", [(5, 7), (20, 300), (64, 64)])
def test_small_images(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(6).normal(50, 3, shape).astype(np.float32)
    sky = background(image, np.zeros(shape, np.uint8))
    assert sky.level.shape == shape
    assert abs(np.median(sky.level) - 50) < 3
    assert sky.rms_e > 0


def test_constant_image_has_noise_above_zero() -> None:
    image = np.full((100, 100), 7, np.float32)
    sky = background(image, np.zeros(image.shape, np.uint8))
    assert (sky.rms > 0).all()


def test_nothing_usable_is_said() -> None:
    image = np.ones((50, 50), np.float32)
    with pytest.raises(Unusable, match="No pixel of this frame is usable"):
        background(image, np.full(image.shape, MaskBit.SATURATED, np.uint8))


def test_a_bright_star_in_the_middle_of_each_box_does_not_matter() -> None:
    image = np.random.default_rng(7).normal(100, 5, (256, 256)).astype(np.float32)
    plain = background(image, np.zeros(image.shape, np.uint8))
    spoiled = image.copy()
    for row in range(28, 256, 64):
        spoiled[row : row + 8, :] = 1e7
    found = background(spoiled, np.zeros(image.shape, np.uint8))
    np.testing.assert_allclose(found.nodes_e, plain.nodes_e, atol=2)
    np.testing.assert_allclose(found.nodes_rms_e, plain.nodes_rms_e, rtol=0.15)
