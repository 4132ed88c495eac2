"""One look at every pixel of a frame: where there may be a cosmic ray, and where bright stars are.

What belongs here: the pass over all pixels, whose cost is that of the search. What does not: the
judgement of what it gives (`la_cosmic`, `seeing`), which is exact; here bounds that no verdict can
lie beyond are compared, on whole lanes of the processor.
"""

from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.la_cosmic import KNOWN
from astro_assets.imaging.tiles import TILE, Usual, tile_before

_STEEP, _BRIGHT = np.uint8(1), np.uint8(2)
_SLACK = np.float32(4e-6)
"""More than what numbers of 32 bits lose of a sum of four."""
_WORD = 8


@njit(cache=True, nogil=True)
def state_of(
    image: Any, mask: Any, unusable: int, saturated: int, saturation: Any, state: Any
) -> None:
    """Fill ``state`` (ny, nx) uint8: KNOWN for pixels that are not to be looked at.

    These are the ``unusable`` ones, and those within two pixels of a saturated area, which is 2 × 2
    pixels or more: a single saturated pixel may be a ray.

    Parameters
    ----------
    image : (ny, nx) float32
    mask : (ny, nx) uint8, with the bits ``unusable`` and ``saturated``
    saturation : float32, from here on a pixel counts as saturated, whatever its mask
    """
    ny, nx = image.shape
    some = np.zeros(ny, np.bool_)
    for y in range(ny):
        row, bits, line = image[y], mask[y], state[y]
        any_full = np.uint8(0)
        for x in range(nx):
            line[x] = np.uint8((bits[x] & unusable) != 0)
            any_full |= np.uint8(row[x] >= saturation) | np.uint8(bits[x] & saturated)
        some[y] = any_full != 0
    for y in range(1, ny):
        if not (some[y - 1] and some[y]):
            continue
        for x in range(1, nx):
            full = True
            for v in range(y - 1, y + 1):
                for u in range(x - 1, x + 1):
                    full &= image[v, u] >= saturation or (mask[v, u] & saturated) != 0
            if full:
                state[max(0, y - 3) : y + 3, max(0, x - 3) : x + 3] = KNOWN


@njit(cache=True, nogil=True)
def candidates(
    image: Any, usual: Usual, noise: Any, significance: float, snr: float, top: int, bottom: int
) -> Any:
    """Rows ``top`` to ``bottom``: pixels that may be rays, and those that may be bright; indices.

    Parameters
    ----------
    image : (ny, nx) float32
    usual : of the background
    noise : float32, the background's is no less
    significance : of the Laplacian, in standard deviations, that a ray has at least
    snr : above the level, in standard deviations, that a bright pixel has at least
    """
    nx, stride = image.shape[1], usual.stride
    steep = np.empty((stride, nx), np.float32)
    light = np.empty((stride, nx), np.float32)
    band = np.full(stride, -1)
    flags = np.zeros(-(-nx // _WORD) * _WORD, np.uint8)
    words = flags.view(np.uint64)
    rays = [np.int64(0) for _ in range(0)]
    bright = [np.int64(0) for _ in range(0)]
    for y in range(top, bottom):
        parity = y % stride
        row_of_tiles = tile_before(y // stride, usual.rows[parity * stride])[0]
        if row_of_tiles != band[parity]:
            band[parity] = row_of_tiles
            for column in range(stride):
                _bounds(usual, y, column, noise, significance, snr, steep[parity], light[parity])
        _flag(image, y, stride, steep[parity], light[parity], flags)
        for w in range(len(words)):
            if words[w] == 0:
                continue
            for x in range(w * _WORD, (w + 1) * _WORD):
                if flags[x] & _STEEP:
                    rays.append(np.int64(y * nx + x))
                if flags[x] & _BRIGHT:
                    bright.append(np.int64(y * nx + x))
    return np.array(rays), np.array(bright)


@njit(cache=True, nogil=True)
def _bounds(
    usual: Usual, y: int, column: int, noise: Any, significance: float, snr: float,
    steep: Any, light: Any,
) -> None:  # fmt: skip
    """Of the pixels between four tiles: bounds of the sum of four Laplacians, and of the light.

    For the columns ``column``, ``column + stride`` …
    """
    stride = usual.stride
    number = y % stride * stride + column
    rows, columns = usual.rows[number], usual.columns[number]
    k = tile_before(y // stride, rows)[0]
    below = min(k + 1, rows - 1)
    count = (len(steep) - column + stride - 1) // stride
    for j in range(max(columns - 1, 1)):
        right = min(j + 1, columns - 1)
        low = high = usual.level[number, k, j]
        spread = usual.spread[number, k, j]
        for row, place in ((k, right), (below, j), (below, right)):
            low = min(low, usual.level[number, row, place])
            high = max(high, usual.level[number, row, place])
            spread = min(spread, usual.spread[number, row, place])
        if k == 0 or below == rows - 1 or j == 0 or right == columns - 1:
            # At the border the line goes on beyond the centres of the tiles.
            low -= np.float32(1.5) * (high - low)
            spread = usual.least[number]
        sigma = max(spread, noise)
        start = 0 if j == 0 else j * TILE + TILE // 2
        stop = count if right == columns - 1 else min(count, (j + 1) * TILE + TILE // 2)
        for place in range(start, stop):
            x = column + place * stride
            steep[x] = np.float32(8 * (1 - _SLACK) * significance) * sigma
            light[x] = low - _SLACK * abs(low) + np.float32((1 - _SLACK) * snr) * sigma


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "contract"})
def _flag(image: Any, y: int, stride: int, steep: Any, light: Any, flags: Any) -> None:
    """One row. At its ends every pixel is flagged."""
    ny, nx = image.shape
    row = image[y]
    up, down = image[y - stride if y >= stride else y], image[y + stride if y < ny - stride else y]
    for x in range(min(stride, nx)):
        flags[x] = flags[nx - 1 - x] = _STEEP | _BRIGHT
    n = nx - 2 * stride
    if n <= 0:
        return
    left, middle, right = row[:n], row[stride : stride + n], row[2 * stride :]
    above, below = up[stride : stride + n], down[stride : stride + n]
    bound, level, flagged = steep[stride:], light[stride:], flags[stride:]
    zero = np.float32(0)
    for x in range(n):
        value = middle[x]
        upper, lower = value + value - above[x], value + value - below[x]
        total = max(upper - left[x], zero) + max(upper - right[x], zero)
        total += max(lower - left[x], zero) + max(lower - right[x], zero)
        flagged[x] = np.uint8(total + _SLACK * abs(value) > bound[x]) | (
            np.uint8(value > level[x]) << np.uint8(1)
        )
