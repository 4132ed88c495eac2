"""What is usual around each pixel: level and spread from the medians of tiles.

What belongs here: the neighbourhood against which single pixels and lines are judged, in masters
and frames. What does not: the sky under stars (`background`).
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.order import median
from astro_assets.imaging.threads import over_rows

TILE = 32
_TINY = np.float32(1e-6)
_EXPONENT = np.uint32(0x7F800000)


class Usual(NamedTuple):
    """Level and spread of an image's tiles, for kernels that need them at some pixels only.

    An image of a colour matrix has four sets of tiles, one for each pixel (y, x) of a cell, in the
    order of `bayer.colour_planes`; other images have one.

    level, spread : (1 or 4, rows, columns) float32; planes of fewer tiles use the first ones
    rows, columns : (1 or 4,) tiles of each plane
    least : (1 or 4,) float32, no spread of the plane is smaller
    stride : 2 for a colour matrix, else 1
    """

    level: NDArray[np.float32]
    spread: NDArray[np.float32]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    least: NDArray[np.float32]
    stride: int


def usual(image: NDArray[np.float32], stride: int) -> Usual:
    """The tiles of an image, (ny, nx) float32; what `surroundings` interpolates.

    stride : 2 for the four colours of a matrix on their own, else 1
    """
    corners = [(y, x) for y in range(stride) for x in range(stride)]
    planes = [_tiles(image[y::stride, x::stride]) for y, x in corners]
    rows, columns = (np.array([level.shape[axis] for level, _ in planes]) for axis in (0, 1))
    nodes = np.zeros((2, len(planes), rows.max(), columns.max()), np.float32)
    for number, both in enumerate(planes):
        nodes[:, number, : rows[number], : columns[number]] = both
    least = np.array([spread.min(initial=np.inf) for _, spread in planes], np.float32)
    return Usual(nodes[0], nodes[1], rows, columns, least, stride)


def surroundings(image: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and standard deviation around each pixel, both (ny, nx) float32.

    Medians and MADs of tiles of `TILE` pixels, with the median of each 3 × 3 tiles taken, and
    interpolated linearly.

    Parameters
    ----------
    image : (ny, nx), any number type; what is not finite is left out
    """
    ny, nx = image.shape
    pixels = image if image.dtype == np.float32 else np.asarray(image, np.float32)
    level, spread = _tiles(pixels)
    return _spread_out(level, ny, nx), np.maximum(_spread_out(spread, ny, nx), spread.min())


def without_vignetting(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """(ny, nx) float32: a flat over a smooth surface, so that no slope is left at its borders.

    A polynomial in both coordinates through the medians of tiles, of a degree that their number
    supports.
    """
    ny, nx = flat.shape
    side = max(min(TILE, ny // 8, nx // 8), 1)
    rows, columns = ny // side, nx // side
    medians = np.empty((rows, columns), np.float32)
    over_rows(partial(_usual, flat, side, medians, np.empty_like(medians)), rows)
    degree = next(d for d in (6, 4, 2, 0) if rows * columns >= (d + 1) * (d + 2) or not d)
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in flat.shape)
    centres = side // 2 + side * np.arange(max(rows, columns))
    at_y, at_x = y[centres[:rows]], x[centres[:columns]]
    terms = np.stack([np.outer(at_y**i, at_x**j).ravel() for i, j in powers], axis=1)
    factors, *_ = np.linalg.lstsq(terms, medians.ravel(), rcond=None)
    table = np.zeros((degree + 1, degree + 1), np.float32)
    table[tuple(np.transpose(powers))] = factors
    up_to = np.arange(degree + 1)
    along_y = y[:, None] ** up_to @ table
    along_x = np.ascontiguousarray((x[:, None] ** up_to).T)
    least = max(0.05 * abs(float(np.median(medians))), float(_TINY))
    out = np.empty(flat.shape, np.float32)
    over_rows(partial(_divide, flat, along_y, along_x, least, out), ny)
    return out


def _tiles(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and spread of each tile, (rows, columns), by its neighbours too."""
    ny, nx = pixels.shape
    rows, columns = -(-ny // TILE), -(-nx // TILE)
    level, spread = np.empty((rows, columns), np.float32), np.empty((rows, columns), np.float32)
    over_rows(partial(_usual, pixels, TILE, level, spread), rows)
    # A tile that a defect fills must not vouch for itself.
    level = ndimage.median_filter(level, size=3, mode="nearest")
    return level, ndimage.median_filter(spread, size=3, mode="nearest")


@njit(cache=True, nogil=True)
def _divide(
    image: Any, along_y: Any, along_x: Any, least: float, out: Any, first: int, last: int
) -> None:
    """Rows by the surface ``along_y @ along_x``, of which no more than a row is ever there."""
    line = np.empty(image.shape[1])
    for y in range(first, last):
        line[:] = 0
        for k in range(along_y.shape[1]):
            for x in range(len(line)):
                line[x] += along_y[y, k] * along_x[k, x]
        for x in range(len(line)):
            out[y, x] = image[y, x] / max(line[x], least)


@njit(cache=True, nogil=True)
def level_at(usual: Usual, y: int, x: int) -> Any:
    """The level around a pixel, as `surroundings` gives it."""
    return _between(usual.level, usual, y, x)


@njit(cache=True, nogil=True)
def spread_at(usual: Usual, y: int, x: int) -> Any:
    """The standard deviation around a pixel, as `surroundings` gives it."""
    return max(_between(usual.spread, usual, y, x), least_at(usual, y, x))


@njit(cache=True, nogil=True)
def least_at(usual: Usual, y: int, x: int) -> Any:
    """No spread around pixels of this colour is smaller."""
    return usual.least[_plane_of(y, x, usual.stride)]


@njit(cache=True, nogil=True)
def _plane_of(y: int, x: int, stride: int) -> int:
    # Of 1 or 2, for which a division would take as long as all the rest.
    odd = stride - 1
    return (y & odd) * stride + (x & odd)


@njit(cache=True, nogil=True)
def _between(tiles: Any, usual: Usual, y: int, x: int) -> Any:
    """Linear between the centres of the tiles, and beyond."""
    number, odd = _plane_of(y, x, usual.stride), usual.stride - 1
    row, down = tile_before(y >> odd, usual.rows[number])
    column, across = tile_before(x >> odd, usual.columns[number])
    below, right = min(row + 1, usual.rows[number] - 1), min(column + 1, usual.columns[number] - 1)
    plane, one = tiles[number], np.float32(1)
    first = (one - down) * plane[row, column] + down * plane[below, column]
    last = (one - down) * plane[row, right] + down * plane[below, right]
    return (one - across) * first + across * last


@njit(cache=True, nogil=True)
def tile_before(pixel: int, n_tiles: int) -> Any:
    """The tile before a pixel, and how far towards the next the pixel is."""
    if n_tiles == 1:
        return 0, np.float32(0)
    position = (pixel + 0.5) / TILE - 0.5
    before = min(max(int(np.floor(position)), 0), n_tiles - 2)
    return before, np.float32(position - before)


@njit(cache=True, nogil=True)
def _usual(image: Any, side: int, level: Any, spread: Any, first: int, last: int) -> None:
    """Median and MAD of the tiles of some rows of tiles; 0 for a tile without numbers.

    A tile that reaches over the border goes on with what is mirrored there.
    """
    values = np.empty(side * side, np.float32)
    for row in range(first, last):
        for column in range(level.shape[1]):
            n = _gather(image, side, row, column, values)
            level[row, column] = spread[row, column] = 0
            if n:
                middle = np.float32(median(values[:n]))
                for k in range(n):
                    values[k] = abs(values[k] - middle)
                mad = np.float32(median(values[:n]))
                level[row, column] = middle
                spread[row, column] = np.float32(1.4826) * mad


@njit(cache=True, nogil=True)
def _gather(image: Any, side: int, row: int, column: int, values: Any) -> int:
    """The numbers of a tile; how many they are."""
    ny, nx = image.shape
    top, left = row * side, column * side
    if top + side <= ny and left + side <= nx:
        for j in range(side):
            line = image[top + j, left : left + side]
            for i in range(side):
                values[j * side + i] = line[i]
        if _all_finite(values.view(np.uint32)):
            return side * side
    n = 0
    for y in range(top, top + side):
        for x in range(left, left + side):
            value = image[_mirrored(y, ny), _mirrored(x, nx)]
            if abs(value) < np.inf:
                values[n] = value
                n += 1
    return n


@njit(cache=True, nogil=True)
def _all_finite(words: Any) -> bool:
    """By the bits of the exponent, which whole lanes of the processor are compared by."""
    odd = np.int32(0)
    for k in range(len(words)):
        odd += np.int32(words[k] & _EXPONENT == _EXPONENT)
    return not odd


@njit(cache=True, nogil=True)
def _mirrored(place: int, count: int) -> int:
    """A place beyond the end, turned back at the edges (numpy's ``symmetric``)."""
    if place < count:
        return place
    place %= 2 * count
    return place if place < count else 2 * count - 1 - place


def _spread_out(tiles: NDArray[Any], ny: int, nx: int) -> NDArray[np.float32]:
    """One value per tile to one per pixel, linear between the centres of the tiles and beyond."""
    down, across = _weights(ny, tiles.shape[0]), _weights(nx, tiles.shape[1])
    return np.asarray(down @ tiles.astype(np.float32) @ across.T, np.float32)


def _weights(n_pixels: int, n_tiles: int) -> NDArray[np.float32]:
    """(n_pixels, n_tiles): how much each tile counts at each pixel."""
    weights = np.zeros((n_pixels, n_tiles), np.float32)
    if n_tiles == 1:
        return weights + 1
    position = (np.arange(n_pixels) + 0.5) / TILE - 0.5
    left = np.clip(np.floor(position).astype(int), 0, n_tiles - 2)
    weights[np.arange(n_pixels), left] = 1 - (position - left)
    weights[np.arange(n_pixels), left + 1] = position - left
    return weights
