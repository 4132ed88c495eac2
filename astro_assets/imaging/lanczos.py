"""Lanczos-3 pixel by pixel: the loops of the warp.

What belongs here: kernel weights, the sum over a footprint, and what is done around masked and
saturated pixels. What does not: frames, masks and threads (`warp`).

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

_HALF = 3
_TAPS = 2 * _HALF
_PHASES = 1024
_NEAR, _CORE = 1, 2


def _table_of_taps() -> NDArray[np.float32]:
    """Weights of the six taps for each phase, (_PHASES + 1, 8); their sum is 1.

    Eight columns, two of them zero: a row then fills whole vector registers.
    """
    phase = np.arange(_PHASES + 1) / _PHASES
    distance = phase[:, None] - np.arange(1 - _HALF, _HALF + 1)
    taps = np.sinc(distance) * np.sinc(distance / _HALF)
    taps[np.abs(distance) >= _HALF] = 0
    table = np.zeros((_PHASES + 1, 8), np.float32)
    table[:, :_TAPS] = taps / taps.sum(axis=1, keepdims=True)
    return table


TABLE = _table_of_taps()


@njit(cache=True, nogil=True)
def flag_saturated(ys: Any, xs: Any, flags: Any) -> None:
    """Flag the footprints (by their lower left inner pixel) that a saturated pixel falls into."""
    ny, nx = flags.shape
    for k in range(ys.size):
        for y in range(max(ys[k] - _HALF, 0), min(ys[k] + _HALF, ny)):
            for x in range(max(xs[k] - _HALF, 0), min(xs[k] + _HALF, nx)):
                inner = ys[k] - 1 <= y <= ys[k] and xs[k] - 1 <= x <= xs[k]
                flags[y, x] |= _NEAR | _CORE if inner else _NEAR


@njit(cache=True, nogil=True)
def warp_rows(
    source: Any,
    flags: Any,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    binning: int,
    fine: bool,
    table: Any,
    y0: int,
    y1: int,
    image: Any,
    weight: Any,
    mask: Any,
) -> None:
    """Fill rows y0 … y1 of the outputs, mesh by mesh."""
    nx = image.shape[1]
    for y in range(y0, y1):
        row, v = y // step, (y % step) / step
        for column in range((nx - 1) // step + 1):
            # Along a row of one mesh the mapping is linear.
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v
            dx, dy = (right_x - left_x) / step, (right_y - left_y) / step
            area = _area(mesh_x, mesh_y, row, column, step) * binning
            for x in range(column * step, min((column + 1) * step, nx)):
                offset = x - column * step
                at_x, at_y = left_x + offset * dx, left_y + offset * dy
                if fine:
                    image[y, x], weight[y, x], mask[y, x] = _sample_quarters(
                        source, flags, table, at_x, at_y, dx, dy, area
                    )
                else:
                    image[y, x], weight[y, x], mask[y, x] = _sample(
                        source, flags, table, at_x, at_y, area
                    )


@njit(cache=True, nogil=True)
def _area(mesh_x: Any, mesh_y: Any, row: int, column: int, step: int) -> float:
    """Area of a grid pixel in the frame's pixels, from the mesh's diagonals."""
    ax = mesh_x[row + 1, column + 1] - mesh_x[row, column]
    ay = mesh_y[row + 1, column + 1] - mesh_y[row, column]
    bx = mesh_x[row + 1, column] - mesh_x[row, column + 1]
    by = mesh_y[row + 1, column] - mesh_y[row, column + 1]
    return float(abs(ax * by - ay * bx) / (2.0 * step * step))


@njit(cache=True, nogil=True)
def _sample_quarters(
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
            value, share, bit = _sample(
                source, flags, table, x + i * dx - j * dy, y + i * dy + j * dx, area
            )
            total += value * share
            shares += share
            bits |= bit & 4
    if shares < 4 * MIN_WEIGHT:
        return 0.0, 0.0, 32
    return total / shares, shares / 4, bits


@njit(cache=True, nogil=True)
def _sample(
    source: Any, flags: Any, table: Any, x: float, y: float, area: float
) -> tuple[float, float, int]:
    """Value, weight and mask bits of one grid pixel that lies at (x, y) in the frame."""
    ny, nx = source.shape
    # Written so that NaN, where the mapping has no value, is outside too.
    if not (-1.0 < x < nx and -1.0 < y < ny):
        return 0.0, 0.0, 32
    ix, iy = math.floor(x), math.floor(y)
    wx = table[int((x - ix) * _PHASES + 0.5)]
    wy = table[int((y - iy) * _PHASES + 0.5)]
    inside = _HALF - 1 <= ix < nx - _HALF and _HALF - 1 <= iy < ny - _HALF
    value, share = math.nan, 1.0
    if inside:
        value = _dense(source, wx, wy, ix, iy)
    if math.isnan(value):
        value, share = _sparse(source, wx, wy, ix, iy)
        if share < MIN_WEIGHT:
            return 0.0, 0.0, 32
    bits = 0
    flag = flags[min(max(iy, 0), ny - 1), min(max(ix, 0), nx - 1)]
    if flag:
        value = _held(source, ix, iy, value)
        bits = 4 if flag & _CORE else 0
    return value * area, min(share, 1.0), bits


@njit(cache=True, nogil=True)
def _dense(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> float:
    """The plain weighted sum; NaN as soon as one pixel is not to be used."""
    total = np.float32(0)
    for j in range(_TAPS):
        line = source[iy + j - _HALF + 1]
        k = ix - _HALF + 1
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
def _sparse(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> tuple[float, float]:
    """The sum over the pixels that may be used, renormalised, and the share of the kernel."""
    ny, nx = source.shape
    total, share = 0.0, 0.0
    for j in range(_TAPS):
        y = iy + j - _HALF + 1
        if not 0 <= y < ny:
            continue
        for i in range(_TAPS):
            x = ix + i - _HALF + 1
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
def _held(source: Any, ix: int, iy: int, value: float) -> float:
    """The value within the range of the 4 × 4 pixels around it."""
    ny, nx = source.shape
    low, high = math.inf, -math.inf
    for y in range(max(iy - 1, 0), min(iy + 3, ny)):
        for x in range(max(ix - 1, 0), min(ix + 3, nx)):
            if not math.isnan(source[y, x]):
                low, high = min(low, source[y, x]), max(high, source[y, x])
    return min(max(value, low), high) if low <= high else value
