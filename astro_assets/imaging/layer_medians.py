"""Medians of a few layers and the range around each pixel: the loops of what is expected.

What belongs here: loops over the pixels of a strip. What does not: what they are for (`expected`,
`levels`).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.order import median

_LANE = 256


@njit(cache=True, nogil=True)
def median_of(values: Any, least: int, out: Any) -> bool:
    """The median along the first axis without NaN; NaN where there are fewer than ``least``.

    Sorted by odd-even transposition, many pixels side by side.

    Parameters
    ----------
    values : (n, ny, nx) float32
    out : (ny, nx) float32

    Returns
    -------
    whether some have too few
    """
    n, ny, nx = values.shape
    lanes = np.empty((n, _LANE), np.float32)
    known = np.empty(_LANE, np.int32)
    wanting = False
    for y in range(ny):
        for begin in range(0, nx, _LANE):
            width = min(_LANE, nx - begin)
            fewest = _sorted_lanes(values[:, y, begin : begin + width], lanes, known)
            low, high, to = lanes[(n - 1) // 2], lanes[n // 2], out[y, begin : begin + width]
            for k in range(width):
                to[k] = (low[k] + high[k]) / np.float32(2)
            if fewest == n >= least:
                continue
            for k in range(width):
                m = known[k]
                if m < least:
                    to[k] = math.nan
                    wanting = True
                elif m < n:
                    to[k] = (lanes[(m - 1) // 2, k] + lanes[m // 2, k]) / np.float32(2)
    return wanting


@njit(cache=True, nogil=True)
def _sorted_lanes(values: Any, lanes: Any, known: Any) -> int:
    """Fill ``lanes`` with the sorted values, infinity for NaN, and ``known`` with their number.

    The smallest number is given back.
    """
    n, width = values.shape
    highest = np.float32(math.inf)
    known[:] = 0
    for i in range(n):
        lane, line = lanes[i], values[i]
        for k in range(width):
            value = line[k]
            lane[k] = value if value == value else highest  # NaN is not
            known[k] += np.int32(value == value)
    for turn in range(n):
        for i in range(turn % 2, n - 1, 2):
            _in_order(lanes[i], lanes[i + 1])
    return int(known[:width].min())


@njit(cache=True, nogil=True)
def _in_order(lower: Any, upper: Any) -> None:
    for k in range(_LANE):
        a, b = lower[k], upper[k]
        lower[k] = min(b, a)
        upper[k] = max(a, b)


@njit(cache=True, nogil=True)
def again_without(values: Any, verdicts: Any, median: Any) -> None:
    """The median, taken again where a verdict is an outlier's, without those; in place.

    Parameters
    ----------
    values, verdicts : (n, ny, nx)
    """
    n, ny, nx = values.shape
    some = np.empty(n, np.float32)
    any_apart = np.empty(nx, np.uint8)
    for y in range(ny):
        any_apart[:] = 0
        for i in range(n):
            line = verdicts[i, y]
            for x in range(nx):
                any_apart[x] |= line[x] & np.uint8(2)
        for x in range(nx):
            if any_apart[x] == 0 or math.isnan(median[y, x]):
                continue
            m = 0
            for i in range(n):
                if verdicts[i, y, x] < 2 and not math.isnan(values[i, y, x]):
                    some[m] = values[i, y, x]
                    m += 1
            if m > 0:
                ordered = np.sort(some[:m])
                median[y, x] = (ordered[(m - 1) // 2] + ordered[m // 2]) / np.float32(2)


@njit(cache=True, nogil=True)
def contrast_of(level: Any, floor: Any, rows: Any, out: Any) -> None:
    """The range of 5 × 5 pixels less ``floor``, and no less than 0; NaN counts as 0.

    Parameters
    ----------
    level, out : (ny, nx) float32
    rows : (4, ny, nx) float32, scratch; afterwards the first has each pixel's highest neighbour
    """
    ny, nx = level.shape
    high, low, highest, filled = rows[0], rows[1], rows[2], rows[3]
    none = np.float32(0)
    for y in range(ny):
        line, to = level[y], filled[y]
        for x in range(nx):
            to[x] = line[x] if line[x] == line[x] else none
        _range_along(to, highest[y], low[y])
    # What was filled up has served; it becomes the lowest of the rows around.
    for y in range(ny):
        top, bottom = max(y - 2, 0), min(y + 3, ny)
        up, down, to = high[y], filled[y], out[y]
        up[:] = highest[top]
        down[:] = low[top]
        for v in range(top + 1, bottom):
            above, below = highest[v], low[v]
            for x in range(nx):
                up[x] = max(up[x], above[x])
                down[x] = min(down[x], below[x])
        for x in range(nx):
            contrast = up[x] - down[x] - floor
            to[x] = max(none, contrast)


@njit(cache=True, nogil=True)
def _range_along(line: Any, high: Any, low: Any) -> None:
    """Highest and lowest of five pixels of a row."""
    nx = line.size
    for x in range(2, nx - 2):
        up, down = line[x - 2], line[x - 2]
        for k in range(-1, 3):
            value = line[x + k]
            up = max(up, value)
            down = min(down, value)
        high[x], low[x] = up, down
    for x in range(nx):
        if 2 <= x < nx - 2:
            continue
        near = line[max(x - 2, 0) : min(x + 3, nx)]
        high[x], low[x] = near.max(), near.min()


@njit(cache=True, nogil=True)
def block_medians(values: Any, side: int, full: float, out: Any) -> None:
    """Medians of the square blocks of a row of blocks, of those that are full enough.

    Parameters
    ----------
    values : (rows, nx) float32, NaN where there is none
    full : share of ``side``² values that a block must have
    out : (blocks,) float32
    """
    some = np.empty(side * side, np.float32)
    for block in range(out.size):
        m = 0
        for y in range(min(side, values.shape[0])):
            for x in range(block * side, min((block + 1) * side, values.shape[1])):
                if not math.isnan(values[y, x]):
                    some[m] = values[y, x]
                    m += 1
        if m >= full * side * side:
            out[block] = median(some[:m])
