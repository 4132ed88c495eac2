"""Level and spread of tiles, beside the same said plainly; borders, gaps, colours of a matrix."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import median_filter

from astro_assets.imaging.tiles import TILE, level_at, spread_at, surroundings, usual

SHAPES = [(1, 1), (5, 3), (31, 70), (64, 64), (33, 97), (100, 149), (161, 300)]


def image(shape, odd=0.0):
    rng = np.random.default_rng([*shape, 1])
    y, x = np.indices(shape)
    values = rng.normal(300 + 0.3 * x + 0.1 * y, 3 + 0.02 * x).astype(np.float32)
    values[rng.random(shape) < odd] = np.nan
    return values


def tiles_of(values):
    """Median and MAD of each tile, what reaches over the border mirrored; then of 3 × 3 tiles."""
    over = [(0, -n % TILE) for n in values.shape]
    whole = np.pad(values, over, mode="symmetric").astype(float)
    rows, columns = (n // TILE for n in whole.shape)
    tiles = whole.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(rows, columns, -1)
    level = np.nanmedian(tiles, axis=2)
    spread = 1.4826 * np.nanmedian(np.abs(tiles - level[..., None]), axis=2)
    return [median_filter(each, size=3, mode="nearest") for each in (level, spread)]


def between(tiles, shape):
    """Linear between the centres of the tiles, and beyond."""
    doubled = [np.repeat(tiles, 2, axis) if n == 1 else tiles for axis, n in enumerate(tiles.shape)]
    if tiles.shape == (1, 1):
        return np.full(shape, tiles[0, 0])
    tiles = next(each for each in doubled if min(each.shape) > 1)
    centres = [TILE * np.arange(n) + (TILE - 1) / 2 for n in tiles.shape]
    at = RegularGridInterpolator(centres, tiles, bounds_error=False, fill_value=None)
    return at(np.stack(np.indices(shape), axis=-1).astype(float))


def plainly(values):
    level, spread = (between(tiles, values.shape) for tiles in tiles_of(values))
    return level, np.maximum(spread, tiles_of(values)[1].min())


@pytest.mark.parametrize("odd", [0.0, 0.3])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_surroundings_are_those_of_tiles(shape, odd):
    values = image(shape, odd)
    for found, expected in zip(surroundings(values), plainly(values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_kernels_are_given_the_same_at_each_pixel(shape, stride):
    values = image(shape, 0.1)
    tiles = usual(values, stride)
    expected = np.empty((2, *shape))
    for y in range(stride):
        for x in range(stride):
            expected[:, y::stride, x::stride] = plainly(values[y::stride, x::stride])
    rng = np.random.default_rng(2)
    edges = [(0, 0), (shape[0] - 1, shape[1] - 1), (0, shape[1] - 1)]
    inner = zip(rng.integers(0, shape[0], 200), rng.integers(0, shape[1], 200), strict=True)
    for y, x in [*edges, *inner]:
        assert level_at(tiles, y, x) == pytest.approx(expected[0, y, x], rel=2e-5, abs=2e-4)
        assert spread_at(tiles, y, x) == pytest.approx(expected[1, y, x], rel=2e-5, abs=2e-4)
