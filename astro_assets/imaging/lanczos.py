"""Lanczos-3 at one place: a frame's value between its pixels.

What belongs here: kernel weights, the sum over a footprint, and what is done around masked and
saturated pixels. What does not: which places (`lanczos_rows`), the fast way for frames that lie
straight (`two_pass`).

The kernel is the product of two Lanczos windows of half width 3 (Duchon 1979; the usual choice
for co-adds, see Bertin et al. 2002).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

MIN_WEIGHT = 0.5
"""Share of the kernel that must have fallen on good pixels."""

HALF = 3
_TAPS = 2 * HALF
PHASES = 1024
NEAR, CORE = 1, 2
"""of a footprint's flag: a saturated pixel is in it, and is one of its inner four"""


def _table_of_taps() -> NDArray[np.float32]:
    """Weights of the six taps for each phase, (PHASES + 1, 8); their sum is 1.

    Eight columns, two of them zero: a row then fills whole vector registers.
    """
    phase = np.arange(PHASES + 1) / PHASES
    distance = phase[:, None] - np.arange(1 - HALF, HALF + 1)
    taps = np.sinc(distance) * np.sinc(distance / HALF)
    taps[np.abs(distance) >= HALF] = 0
    table = np.zeros((PHASES + 1, 8), np.float32)
    table[:, :_TAPS] = taps / taps.sum(axis=1, keepdims=True)
    return table


TABLE = _table_of_taps()


@njit(cache=True, nogil=True)
def sample_quarters(
    source: Any, flags: Any, table: Any, x: float, y: float, dx: float, dy: float, area: float
) -> tuple[float, float, int]:
    """The mean over a grid pixel's quarters, from the samples in their middles.

    (dx, dy) is the step in the frame to the next grid pixel of the row; up is a quarter turn on,
    one way or the other. The mean of four has no response at the grid's own frequency, which is
    where a sum over samples goes wrong.
    """
    total, shares, bits = 0.0, 0.0, 0
    for i in (-0.25, 0.25):
        for j in (-0.25, 0.25):
            value, share, bit = sample(
                source, flags, table, x + i * dx - j * dy, y + i * dy + j * dx, area
            )
            total += value * share
            shares += share
            bits |= bit & 4
    if shares < 4 * MIN_WEIGHT:
        return 0.0, 0.0, 32
    return total / shares, shares / 4, bits


@njit(cache=True, nogil=True)
def sample(
    source: Any, flags: Any, table: Any, x: float, y: float, area: float
) -> tuple[float, float, int]:
    """Value, weight and mask bits of one grid pixel that lies at (x, y) in the frame."""
    ny, nx = source.shape
    # Written so that NaN, where the mapping has no value, is outside too.
    if not (-1.0 < x < nx and -1.0 < y < ny):
        return 0.0, 0.0, 32
    ix, iy = math.floor(x), math.floor(y)
    wx = table[int((x - ix) * PHASES + 0.5)]
    wy = table[int((y - iy) * PHASES + 0.5)]
    inside = HALF - 1 <= ix < nx - HALF and HALF - 1 <= iy < ny - HALF
    value, share = math.nan, 1.0
    if inside:
        value = _dense(source, wx, wy, ix, iy)
        if math.isnan(value):
            value, share = _sparse_inside(source, wx, wy, ix, iy)
    else:
        value, share = _sparse(source, wx, wy, ix, iy)
    if share < MIN_WEIGHT:
        return 0.0, 0.0, 32
    bits = 0
    flag = flags[min(max(iy, 0), ny - 1), min(max(ix, 0), nx - 1)]
    if flag:
        value = held(source, ix, iy, value)
        bits = 4 if flag & CORE else 0
    return value * area, min(share, 1.0), bits


@njit(cache=True, nogil=True)
def _dense(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> float:
    """The plain weighted sum; NaN as soon as one pixel is not to be used."""
    total = np.float32(0)
    for j in range(_TAPS):
        line = source[iy + j - HALF + 1]
        k = ix - HALF + 1
        along = (
            wx[0] * line[k]
            + wx[1] * line[k + 1]
            + wx[2] * line[k + 2]
            + wx[3] * line[k + 3]
            + wx[4] * line[k + 4]
            + wx[5] * line[k + 5]
        )
        total += wy[j] * along
    return float(total)


@njit(cache=True, nogil=True)
def _sparse_inside(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> tuple[float, float]:
    """As `_sparse`, for a footprint that lies within the frame: without branches."""
    total, share = np.float32(0), np.float32(0)
    for j in range(_TAPS):
        line = source[iy + j - HALF + 1]
        along, part = np.float32(0), np.float32(0)
        for i in range(_TAPS):
            value = line[ix - HALF + 1 + i]
            known = value == value  # not NaN
            along += wx[i] * value if known else np.float32(0)
            part += wx[i] if known else np.float32(0)
        total += wy[j] * along
        share += wy[j] * part
    if share < MIN_WEIGHT:
        return 0.0, 0.0
    return float(total / share), float(share)


@njit(cache=True, nogil=True)
def _sparse(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> tuple[float, float]:
    """The sum over the pixels that may be used, renormalised, and the share of the kernel."""
    ny, nx = source.shape
    total, share = 0.0, 0.0
    for j in range(_TAPS):
        y = iy + j - HALF + 1
        if not 0 <= y < ny:
            continue
        for i in range(_TAPS):
            x = ix + i - HALF + 1
            if not 0 <= x < nx:
                continue
            value = source[y, x]
            if not math.isnan(value):
                w = wx[i] * wy[j]
                total += w * value
                share += w
    if share < MIN_WEIGHT:
        return 0.0, 0.0
    return total / share, share


@njit(cache=True, nogil=True)
def held(source: Any, ix: int, iy: int, value: float) -> float:
    """The value within the range of the 4 × 4 pixels around it."""
    ny, nx = source.shape
    low, high = math.inf, -math.inf
    for y in range(max(iy - 1, 0), min(iy + 3, ny)):
        for x in range(max(ix - 1, 0), min(ix + 3, nx)):
            if not math.isnan(source[y, x]):
                low, high = min(low, source[y, x]), max(high, source[y, x])
    return min(max(value, low), high) if low <= high else value
