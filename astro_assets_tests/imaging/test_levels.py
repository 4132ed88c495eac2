"""Tiles of a mosaic, each with a sky of its own, come to one level."""

import numpy as np
import pytest

from astro_assets.imaging.levels import shared_levels
from astro_assets.imaging.outliers import Levelled
from astro_assets.imaging.planes import Held
from astro_assets.imaging.stack import Layer, stack

SHAPE = (320, 960)
NOISE_E = 10.0


def nebula() -> np.ndarray:
    """Fills the middle of the field, so that each tile's own sky is another."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return 300 * np.exp(-(((x - 500) / 250) ** 2) - ((y - 160) / 200) ** 2)


def tiles(seed: int, slope_e: float) -> list[Layer]:
    """Three tiles that overlap by a tenth, two frames each, of differing sky, slope and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    layers = []
    for index, left in enumerate((0, 300, 600)):
        for _ in range(2):
            sky = rng.uniform(200, 900)
            tilt = slope_e * rng.uniform(-1, 1, 2)
            image = nebula() + sky + tilt[0] * x / SHAPE[1] + tilt[1] * y / SHAPE[0]
            image += rng.normal(0, NOISE_E, SHAPE)
            weight = np.zeros(SHAPE, np.float32)
            weight[:, left : left + 340 + 20 * (index == 2)] = 1
            own_sky = float(np.median(image[weight > 0]))
            image = np.where(weight > 0, image, 0).astype(np.float32)
            layers.append(Layer.held(image, weight, own_sky, NOISE_E))
    return layers


def seams(image: np.ndarray) -> list[float]:
    """How far the stack is off across each edge of a tile, in the mean along it."""
    off = image - nebula()
    return [
        float(np.nanmean(off[:, edge : edge + 20]) - np.nanmean(off[:, edge - 20 : edge]))
        for edge in (300, 340, 600, 640)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slope_e", [0.0, 40.0])
def test_no_seam_shows_between_tiles_of_differing_skies(seed: int, slope_e: float):
    result = stack(tiles(seed, slope_e))
    assert np.abs(seams(result.image)).max() < 0.3 * NOISE_E
    off = result.image - nebula()
    coarse = np.nanmedian(off[:, :960].reshape(4, 80, 24, 40), axis=(1, 3))
    assert np.ptp(coarse) < (0.3 if slope_e == 0 else 3) * NOISE_E


def test_a_layer_beside_the_others_keeps_its_own_level():
    rng = np.random.default_rng(1)
    layers = []
    for left, level in ((0, 5.0), (0, 3.0), (480, 40.0)):
        weight = np.zeros(SHAPE, np.float32)
        weight[:, left : left + 400] = 1
        image = rng.normal(level, 1, SHAPE).astype(np.float32)
        layers.append(Levelled(Held(image, weight), 1.0, (0.0, 0.0, 0.0), 1.0))
    first, second, alone = shared_levels(layers)
    assert alone == pytest.approx((0, 0, 0), abs=1e-6)
    middle = np.array([1, 200, 160])
    assert np.dot(first, middle) == pytest.approx(-1, abs=0.05)
    assert np.dot(second, middle) == pytest.approx(1, abs=0.05)


def test_where_all_overlap_the_weighted_mean_stays_what_it_was():
    rng = np.random.default_rng(2)
    ones = np.ones(SHAPE, np.float32)
    noise = np.array([2.0, 4.0, 8.0])
    layers = [
        Levelled(Held(rng.normal(50, s, SHAPE).astype(np.float32), ones), 1.0, (0.0, 0.0, 0.0), s)
        for s in noise
    ]
    planes = np.array(shared_levels(layers))
    assert planes.T @ noise**-2 == pytest.approx(0, abs=1e-5)


def test_one_layer_is_left_alone():
    image = np.ones(SHAPE, np.float32)
    assert shared_levels([Levelled(Held(image, image), 1.0, (0.0, 0.0, 0.0), 1.0)]) == [
        (0.0, 0.0, 0.0)
    ]
