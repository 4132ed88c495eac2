"""Against what pixels of a master are judged: level and spread around, row by row.

What belongs here: how the tiles' figures become those of a row of pixels, and the two measures that
are taken with them: outliers, and deviations in sigma. What does not: the tiles (`tiles`), what is
made of the measures (`bad_pixels`, `bad_lines`).
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import median
from astro_assets.imaging.threads import over_rows
from astro_assets.imaging.tiles import TILE, level_at, usual

_REACH = 3
"""Reach, in pixels, of the square whose median has the last word on an outlier."""
_TINY = np.float32(1e-6)


class Around(NamedTuple):
    """Level and spread around each pixel, in the figures of tiles.

    tiles : as `tiles.usual` gives them
    spread : (rows, columns) float32, of the tiles, where it is not that of the level's tiles
    least : no spread is smaller
    share : nor smaller than that share of the level
    for_none : what stands for a spread of 0
    """

    tiles: Any
    spread: NDArray[np.float32]
    least: float
    share: float = 0.0
    for_none: float = 0.0


def around_dark(image: NDArray[np.float32]) -> Around:
    """Of a dark, or what else is alike in all its pixels; the spread no less than whole numbers
    allow.

    Most pixels of a single dark of a quiet camera have the same count; their MAD is 0.
    """
    tiles = usual(image, 1)
    found = Around(tiles, tiles.spread[0], float(tiles.least[0]))
    if tiles.least[0] > 0:
        return found
    off = np.empty(image.shape, np.float32)
    over_rows(partial(_off, image, found, off), len(image))
    low, high = np.nanpercentile(off, (2.3, 97.7))
    return found._replace(for_none=float(high - low) / 4)


def around_flat(image: NDArray[np.float32], share: float = 0.0) -> Around:
    """Of a flat; the spread is that from pixel to pixel, so that the edge of a dust shadow does not
    count.
    """
    steps = np.empty_like(image)
    np.subtract(image[:, 1:], image[:, :-1], out=steps[:, :-1])
    np.subtract(image[:, -2:][:, :1], image[:, -1:], out=steps[:, -1:])
    between = usual(steps, 1)
    del steps
    root = np.float32(math.sqrt(2))
    return Around(usual(image, 1), between.spread[0] / root, float(between.least[0] / root), share)


def outliers(
    image: NDArray[np.float32], around: Around, sigma: float, share: float = 0.0
) -> NDArray[np.bool_]:
    """(ny, nx) bool: farther from the level than sigma and than a share of the level, and as far
    from the median of the pixels right around. What is no number is one.
    """
    found = np.empty(image.shape, np.bool_)
    over_rows(partial(_outliers, image, around, sigma, share, found), len(image))
    return found


def above(image: NDArray[np.float32], around: Around, sigma: float) -> NDArray[np.bool_]:
    """(ny, nx) bool: higher than the level by more than sigma."""
    found = np.empty(image.shape, np.bool_)
    over_rows(partial(_above, image, around, sigma, found), len(image))
    return found


def in_sigma(image: NDArray[np.float32], around: Around, most: float) -> NDArray[np.float32]:
    """(ny, nx): how far each pixel is from the level, in sigma, ``most`` at most; 0 for what is no
    number.
    """
    sigmas = np.empty(image.shape, np.float32)
    over_rows(partial(_in_sigma, image, around, most, sigmas), len(image))
    return sigmas


def as_shares(image: NDArray[np.float32], around: Around) -> NDArray[np.float32]:
    """(ny, nx): the same, as a share of the level, however much."""
    shares = np.empty(image.shape, np.float32)
    over_rows(partial(_as_shares, image, around, shares), len(image))
    return shares


@njit(cache=True, nogil=True)
def _off(image: Any, around: Any, off: Any, first: int, last: int) -> None:
    level, spread = np.empty_like(image[0]), np.empty_like(image[0])
    for y in range(first, last):
        _row(around, y, level, spread)
        for x in range(image.shape[1]):
            off[y, x] = image[y, x] - level[x]


@njit(cache=True, nogil=True)
def _outliers(
    image: Any, around: Any, sigma: float, share: float, found: Any, first: int, last: int
) -> None:
    level, spread = np.empty_like(image[0]), np.empty_like(image[0])
    for y in range(first, last):
        _row(around, y, level, spread)
        for x in range(image.shape[1]):
            limit = max(np.float32(sigma) * spread[x], np.float32(share) * abs(level[x]))
            off = abs(image[y, x] - level[x])
            found[y, x] = not off <= limit
        for x in range(image.shape[1]):
            if found[y, x] and abs(image[y, x]) < np.inf:
                limit = max(np.float32(sigma) * spread[x], np.float32(share) * abs(level[x]))
                found[y, x] = abs(image[y, x] - _right_around(image, around, y, x)) > limit


@njit(cache=True, nogil=True)
def _right_around(image: Any, around: Any, y: int, x: int) -> Any:
    """Median of the square around a pixel; beyond the edges it goes on mirrored."""
    ny, nx = image.shape
    side = 2 * _REACH + 1
    values = np.empty(side * side, np.float32)
    for j in range(side):
        yy = _reflected(y + j - _REACH, ny)
        for i in range(side):
            xx = _reflected(x + i - _REACH, nx)
            value = image[yy, xx]
            values[j * side + i] = value if abs(value) < np.inf else level_at(around.tiles, yy, xx)
    return np.float32(median(values))


@njit(cache=True, nogil=True)
def _reflected(place: int, count: int) -> int:
    """A place beyond the ends, turned back at the last pixel (numpy's ``reflect``)."""
    if 0 <= place < count:
        return place
    if count == 1:
        return 0
    place = abs(place) % (2 * count - 2)
    return min(place, 2 * count - 2 - place)


@njit(cache=True, nogil=True)
def _above(image: Any, around: Any, sigma: float, found: Any, first: int, last: int) -> None:
    level, spread = np.empty_like(image[0]), np.empty_like(image[0])
    for y in range(first, last):
        _row(around, y, level, spread)
        for x in range(image.shape[1]):
            found[y, x] = image[y, x] - level[x] > np.float32(sigma) * spread[x]


@njit(cache=True, nogil=True)
def _in_sigma(image: Any, around: Any, most: float, sigmas: Any, first: int, last: int) -> None:
    level, spread = np.empty_like(image[0]), np.empty_like(image[0])
    limit = np.float32(most)
    for y in range(first, last):
        _row(around, y, level, spread)
        for x in range(image.shape[1]):
            off = image[y, x] - level[x] if abs(image[y, x]) < np.inf else np.float32(0)
            sigmas[y, x] = min(max(off / max(spread[x], _TINY), -limit), limit)


@njit(cache=True, nogil=True)
def _as_shares(image: Any, around: Any, shares: Any, first: int, last: int) -> None:
    level, spread = np.empty_like(image[0]), np.empty_like(image[0])
    for y in range(first, last):
        _row(around, y, level, spread)
        for x in range(image.shape[1]):
            off = image[y, x] - level[x] if abs(image[y, x]) < np.inf else np.float32(0)
            shares[y, x] = off / max(abs(level[x]), _TINY)


@njit(cache=True, nogil=True)
def _row(around: Any, y: int, level: Any, spread: Any) -> None:
    """Level and spread around the pixels of a row."""
    _expanded(around.tiles.level[0], y, level)
    _expanded(around.spread, y, spread)
    least, share = np.float32(around.least), np.float32(around.share)
    for_none = np.float32(around.for_none)
    for x in range(len(level)):
        own = max(spread[x], least, share * abs(level[x]))
        spread[x] = own if own > 0 else for_none


@njit(cache=True, nogil=True)
def _expanded(tiles: Any, y: int, out: Any) -> None:
    """A row, linear between the centres of the tiles and beyond."""
    rows, columns = tiles.shape
    position = (y + 0.5) / TILE - 0.5
    row = min(max(math.floor(position), 0), max(rows - 2, 0))
    down = np.float32(position - row)
    one, below = np.float32(1), min(row + 1, rows - 1)
    line = np.empty(columns, np.float32)
    for column in range(columns):
        line[column] = (one - down) * tiles[row, column] + down * tiles[below, column]
    begin = 0
    for column in range(max(columns - 1, 1)):
        # The pixels between this tile's centre and the next one's.
        end = len(out) if column >= columns - 2 else min(len(out), (column + 1) * TILE + TILE // 2)
        right = min(column + 1, columns - 1)
        for x in range(begin, end):
            across = np.float32((x + 0.5) / TILE - 0.5 - column)
            out[x] = (one - across) * line[column] + across * line[right]
        begin = end
