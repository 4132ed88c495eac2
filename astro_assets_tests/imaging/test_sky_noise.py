import numpy as np
import pytest

from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.sky_noise import sky_noise
from astro_assets_tests.imaging._sky import spread_stars, star_field

SHAPE = (300, 400)


@pytest.mark.parametrize("seed", range(3))
def test_nebulae_and_stars_do_not_count_as_noise(seed: int):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    nebula = 2000 * np.exp(-(((x - 200) / 90) ** 2) - ((y - 150) / 60) ** 2)
    px, py = spread_stars(rng, SHAPE)
    stars = star_field(SHAPE, px, py, np.full(px.size, 3e4))
    image = rng.poisson(100 + nebula + stars) + rng.normal(0, 5, SHAPE)
    noise = sky_noise(image.astype(np.float32), np.zeros(SHAPE, np.uint8))
    assert noise == pytest.approx(np.sqrt(125), rel=0.06)


def test_masked_pixels_do_not_count_and_too_few_are_told():
    rng = np.random.default_rng(4)
    image = rng.normal(50, 3, SHAPE).astype(np.float32)
    mask = np.where(rng.random(SHAPE) < 0.3, MaskBit.BAD, 0).astype(np.uint8)
    image[mask > 0] = rng.uniform(-1e5, 1e5, np.count_nonzero(mask))
    assert sky_noise(image, mask) == pytest.approx(3, rel=0.02)
    assert np.isnan(sky_noise(image, np.full(SHAPE, MaskBit.BAD, np.uint8)))
    assert np.isnan(sky_noise(np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint8)))
