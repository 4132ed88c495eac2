"""Strip by strip equals all at once: the kernels of a stack beside plain NumPy."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from astro_assets.imaging import stack as stacking
from astro_assets.imaging.expected import Judges
from astro_assets.imaging.layer_medians import (
    again_without,
    block_medians,
    contrast_of,
    median_of,
)
from astro_assets.imaging.outliers import OUTLIER_SIGMA
from astro_assets.imaging.planes import Held, Workspace
from astro_assets.imaging.stack import Layer, stack
from astro_assets_tests.imaging._sky import star_field

Array = NDArray[np.float64]


def layers_of(n: int, shape: tuple[int, int], seed: int, masked: float) -> list[Layer]:
    """Stars under changing seeing, a trail, single hits, holes, edges without data, slopes."""
    rng = np.random.default_rng([n, seed])
    ny, nx = shape
    x, y = rng.uniform(0, nx, 40), rng.uniform(0, ny, 40)
    flux = 10 ** rng.uniform(3, 5, 40)
    layers = []
    for number in range(n):
        truth = star_field(shape, x, y, flux, rng.uniform(2.5, 3.5)) + 100 + 10 * number
        image = rng.poisson(truth) + rng.normal(0, 5, shape)
        if number == n // 2:
            image[ny // 3 : ny // 3 + 3] += 300
        image[rng.random(shape) < 1e-3] += 2000
        weight = rng.choice([0.6, 1.0], shape, p=[0.05, 0.95])
        weight[rng.random(shape) < masked] = 0
        weight[:, : rng.integers(0, 12)] = 0
        weight[ny - rng.integers(1, 9) :] = 0
        image[weight == 0] = 0
        layers.append(
            Layer(
                Held(image.astype(np.float32), weight.astype(np.float32), None, 10.0 + number),
                100.0 + 10 * number, 11.0 + 0.1 * number, 1 + 0.02 * number,
            )
        )  # fmt: skip
    return layers


def crowds(apart: NDArray[np.int_], near: bool) -> NDArray[np.int_]:
    """What stands apart, unless only ``near`` counts, and what goes with a crowd."""
    out = np.zeros_like(apart)
    padded = np.pad(apart > 0, 2)
    for y, x in np.argwhere(apart > 0):
        if not near:
            out[y, x] = 1
        if padded[y : y + 5, x : x + 5].sum() >= 4:
            out[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3] = 1
    return out


def plain(layers: list[Layer], change: float) -> tuple[Array, Array, Array]:
    """Image, summed weight and count, from whole planes held in memory."""
    at_level, level_e = stacking._levelled(layers)
    ny, nx = layers[0].planes.shape
    y, x = np.mgrid[:ny, :nx]
    values, weights = [], []
    for layer in at_level:
        held = layer.planes
        assert isinstance(held, Held)
        weight = np.asarray(held.weight[:], np.float64)
        offset, along_x, along_y = layer.offset
        value = np.asarray(held.image[:], np.float64) * layer.scale
        values.append(np.where(weight > 0, value + offset + along_x * x + along_y * y, np.nan))
        weights.append(weight)
    value, weight = np.array(values), np.array(weights)
    n = len(layers)
    bad = np.zeros(value.shape, bool)
    if n > 2:
        some = value[np.unique(np.linspace(0, n - 1, 7).round().astype(int))]
        enough = np.isfinite(some).sum(axis=0) >= 3
        variance = math.pi / 2 / len(some)
        median = np.where(enough, np.nanmedian(np.where(enough, some, 0.0), axis=0), np.nan)
        filled = np.nan_to_num(median)
        noise_e = float(np.median([layer.noise_e for layer in at_level]))
        contrast = maximum_filter(filled, 5) - minimum_filter(filled, 5)
        leeway = change * np.maximum(contrast - 5 * noise_e * math.sqrt(variance), 0)

        def apart(number: int, by: Array) -> NDArray[np.bool_]:
            layer = at_level[number]
            with np.errstate(divide="ignore", invalid="ignore"):
                spread = layer.noise_e**2 * (1 + variance) / weight[number]
                spread = spread + np.maximum(by, 0) * layer.scale + leeway**2
                return np.asarray((value[number] - by) ** 2 > OUTLIER_SIGMA**2 * spread)

        chosen = [int(i) for i in np.unique(np.linspace(0, n - 1, 7).round().astype(int))]
        trails = np.array([crowds(apart(i, median).astype(int), True) > 0 for i in chosen])
        again = trails.any(axis=0) & np.isfinite(median)
        left = np.where(trails, np.nan, some)
        again &= np.isfinite(left).any(axis=0)
        median[again] = np.nanmedian(left[:, again], axis=0)
        bad = np.array([crowds(apart(i, median).astype(int), False) > 0 for i in range(n)])
    kept = np.isfinite(value) & ~bad
    layer_weight = np.array([stacking._weight(layer) for layer in layers])[:, None, None]
    total = (layer_weight * weight * kept).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (layer_weight * weight * np.where(kept, value, 0)).sum(axis=0) / total
    return mean + level_e, total, kept.sum(axis=0).astype(np.float64)


@pytest.mark.parametrize("masked", [0.0, 0.02])
@pytest.mark.parametrize(
    ("n", "shape"), [(1, (61, 90)), (2, (130, 70)), (3, (129, 83)), (5, (300, 64)), (7, (257, 71))]
)
def test_a_stack_is_what_plain_numpy_makes_of_it(n: int, shape: tuple[int, int], masked: float):
    layers = layers_of(n, shape, 1, masked)
    result = stack(layers)
    change = Judges(stacking._levelled(layers)[0])._change if n > 2 else 0.0
    image, weight, count = plain(layers, change)
    # At the clip's very edge rounding decides.
    same = result.count == count
    assert same.mean() > 0.9995
    np.testing.assert_allclose(result.weight[same], weight[same], rtol=1e-5)
    np.testing.assert_allclose(result.image[same], image[same], atol=0.02, rtol=1e-5)
    np.testing.assert_array_equal(result.mask[same] == 32, count[same] == 0)


@pytest.mark.parametrize("height", [1, 16, 77])
def test_what_is_expected_does_not_depend_on_where_strips_end(height: int):
    shape = (230, 64)
    judges = Judges(stacking._levelled(layers_of(5, shape, 2, 0.02))[0])
    whole, _ = judges.of(0, shape[0], Workspace())
    space = Workspace()
    for y0 in range(0, shape[0], height):
        part, _ = judges.of(y0, min(y0 + height, shape[0]), space)
        rows = np.s_[part.first : part.first + len(part.level)]
        np.testing.assert_array_equal(part.level, whole.level[rows])
        np.testing.assert_array_equal(part.leeway, whole.leeway[rows])


@pytest.mark.parametrize(("fwhm_px", "change"), [([3.0] * 5, 0.02), ([3, 3, 3, 3, 9], 0.35)])
def test_leeway_for_the_seeing_has_bounds(fwhm_px: list[float], change: float):
    """A steady night is clipped tightly, yet not by rounding; a bad layer does not save rays."""
    rng = np.random.default_rng(6)
    shape = (200, 200)
    x, y = rng.uniform(10, 190, (2, 60))
    flux = np.full(60, 1e5)
    held = [
        Held(star_field(shape, x, y, flux, fwhm).astype(np.float32), np.ones(shape, np.float32))
        for fwhm in fwhm_px
    ]
    layers = [Layer(each, 0.0, 1.0, 1.0) for each in held]
    assert Judges(stacking._levelled(layers)[0])._change == pytest.approx(change)


@pytest.mark.parametrize("n", range(1, 8))
def test_medians_are_numpys(n: int):
    rng = np.random.default_rng(n)
    values = rng.normal(0, 1, (n, 9, 601)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    out = np.empty(values.shape[1:], np.float32)
    few = median_of(values, 3, out)
    known = np.isfinite(values).sum(axis=0)
    assert few == bool((known < 3).any())
    np.testing.assert_array_equal(np.isnan(out), known < 3)
    expected = np.nanmedian(values[:, known >= 3], axis=0) if (known >= 3).any() else []
    np.testing.assert_allclose(out[known >= 3], expected, rtol=1e-6)


@pytest.mark.parametrize("n", range(1, 8))
def test_medians_are_taken_again_without_what_stands_apart(n: int):
    rng = np.random.default_rng(n)
    values = rng.normal(0, 1, (n, 9, 61)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    verdicts = rng.integers(0, 4, values.shape).astype(np.uint8)  # from 2 on it is an outlier's
    before = rng.normal(50, 1, values.shape[1:]).astype(np.float32)
    before[rng.random(before.shape) < 0.1] = np.nan
    median = before.copy()
    again_without(values, verdicts, median)
    left = np.where(verdicts < 2, values, np.nan)
    again = (verdicts >= 2).any(axis=0) & np.isfinite(before) & np.isfinite(left).any(axis=0)
    assert again.any() == (n > 1)
    np.testing.assert_allclose(median[again], np.nanmedian(left[:, again], axis=0), rtol=1e-6)
    np.testing.assert_array_equal(median[~again], before[~again])


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (40, 33)])
def test_the_range_around_each_pixel_is_scipys(shape: tuple[int, int]):
    rng = np.random.default_rng(3)
    level = rng.normal(0, 1, shape).astype(np.float32)
    level[rng.random(shape) < 0.1] = np.nan
    rows, out = np.empty((4, *shape), np.float32), np.empty(shape, np.float32)
    contrast_of(level, np.float32(0.5), rows, out)
    filled = np.nan_to_num(level)
    highest = maximum_filter(filled, 5)
    np.testing.assert_array_equal(rows[0], highest)
    np.testing.assert_allclose(
        out, np.maximum(highest - minimum_filter(filled, 5) - 0.5, 0), atol=1e-6
    )


def test_blocks_have_their_medians():
    rng = np.random.default_rng(4)
    values = rng.normal(0, 1, (8, 61)).astype(np.float32)
    values[:, 8:16][rng.random((8, 8)) < 0.2] = np.nan
    out = np.full(8, np.nan, np.float32)
    block_medians(values, 8, 0.9, out)
    assert out[0] == pytest.approx(np.median(values[:, :8]))
    assert np.isnan(out[1])
    assert np.isnan(out[7])  # a part of a block
