"""Lanczos-3 pixel by pixel: the loops of the warp.

What belongs here: kernel weights, the sum over a footprint, and what is done around masked and
saturated pixels. What does not: frames, masks and threads (`warp`, `laid`), the fast way for frames
that lie straight (`two_pass`).

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
PHASES = 1024
_NEAR, _CORE = 1, 2


def _table_of_taps() -> NDArray[np.float32]:
    """Weights of the six taps for each phase, (PHASES + 1, 8); their sum is 1.

    Eight columns, two of them zero: a row then fills whole vector registers.
    """
    phase = np.arange(PHASES + 1) / PHASES
    distance = phase[:, None] - np.arange(1 - _HALF, _HALF + 1)
    taps = np.sinc(distance) * np.sinc(distance / _HALF)
    taps[np.abs(distance) >= _HALF] = 0
    table = np.zeros((PHASES + 1, 8), np.float32)
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
    top: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    areas: Any,
    fine: bool,
    table: Any,
    y0: int,
    image: Any,
    weight: Any,
    mask: Any,
) -> None:
    """Fill the outputs with the grid's rows from y0 on, mesh by mesh.

    Parameters
    ----------
    source, flags : the frame's rows from ``top`` on
    """
    height, nx = image.shape
    for y in range(y0, y0 + height):
        row, v = y // step, (y % step) / step
        for column in range((nx - 1) // step + 1):
            # Along a row of one mesh the mapping is linear.
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v - top
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v - top
            dx, dy = (right_x - left_x) / step, (right_y - left_y) / step
            area = areas[row, column]
            for x in range(column * step, min((column + 1) * step, nx)):
                offset = x - column * step
                at_x, at_y = left_x + offset * dx, left_y + offset * dy
                if fine:
                    value, share, bits = _sample_quarters(
                        source, flags, table, at_x, at_y, dx, dy, area
                    )
                else:
                    value, share, bits = _sample(source, flags, table, at_x, at_y, area)
                image[y - y0, x], weight[y - y0, x], mask[y - y0, x] = value, share, bits


@njit(cache=True, nogil=True)
def hold_saturated(
    source: Any,
    flags: Any,
    top: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    areas: Any,
    y0: int,
    image: Any,
    weight: Any,
    mask: Any,
) -> None:
    """What `warp_rows` does around saturated pixels, on values that were found otherwise."""
    height, nx = image.shape
    ny = source.shape[0]
    first, last = _flagged_columns(flags)
    for y in range(y0, y0 + height):
        row, v = y // step, (y % step) / step
        for column in range((nx - 1) // step + 1):
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v - top
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v - top
            near = False
            if math.isfinite(left_y) and math.isfinite(right_y):
                low, high = math.floor(min(left_y, right_y)), math.floor(max(left_y, right_y))
                for at in range(max(low, 0), min(high + 1, ny)):
                    near = near or (first[at] <= right_x + 1 and last[at] >= left_x - 1)
            if not near:
                continue
            dx, dy = (right_x - left_x) / step, (right_y - left_y) / step
            area = areas[row, column]
            for x in range(column * step, min((column + 1) * step, nx)):
                offset = x - column * step
                ix, iy = math.floor(left_x + offset * dx), math.floor(left_y + offset * dy)
                if not (0 <= ix < source.shape[1] and 0 <= iy < ny) or flags[iy, ix] == 0:
                    continue
                if weight[y - y0, x] > 0:
                    value = _held(source, ix, iy, image[y - y0, x] / area)
                    image[y - y0, x] = value * area
                    mask[y - y0, x] = 4 if flags[iy, ix] & _CORE else 0


@njit(cache=True, nogil=True)
def _flagged_columns(flags: Any) -> tuple[Any, Any]:
    """The first and the last flagged column of each row; nx and −1 where there is none."""
    ny, nx = flags.shape
    first, last = np.full(ny, nx), np.full(ny, -1)
    for y in range(ny):
        for x in range(nx):
            if flags[y, x]:
                first[y], last[y] = min(first[y], x), x
    return first, last


@njit(cache=True, nogil=True)
def sample_points(
    source: Any,
    flags: Any,
    top: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    areas: Any,
    fine: bool,
    table: Any,
    ys: Any,
    xs: Any,
    values: Any,
    weights: Any,
) -> None:
    """Single pixels of the grid, as `warp_rows` gives them."""
    for k in range(ys.size):
        row, v = ys[k] // step, (ys[k] % step) / step
        column, u = xs[k] // step, xs[k] % step
        left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
        left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v - top
        right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
        right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v - top
        dx, dy = (right_x - left_x) / step, (right_y - left_y) / step
        at_x, at_y, area = left_x + u * dx, left_y + u * dy, areas[row, column]
        if fine:
            value, share, _ = _sample_quarters(source, flags, table, at_x, at_y, dx, dy, area)
        else:
            value, share, _ = _sample(source, flags, table, at_x, at_y, area)
        values[k], weights[k] = value, share


@njit(cache=True, nogil=True)
def coarse_rows(
    source: Any,
    top: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    areas: Any,
    y0: int,
    every: int,
    image: Any,
) -> None:
    """Every so manieth pixel of every so manieth row from y0 on, between the nearest four pixels.

    NaN where one of them must not contribute.
    """
    ny, nx = source.shape
    for j in range(image.shape[0]):
        y = y0 + j * every
        row, v = y // step, (y % step) / step
        for i in range(image.shape[1]):
            x = i * every
            column, u = x // step, (x % step) / step
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v - top
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v - top
            at_x, at_y = left_x * (1 - u) + right_x * u, left_y * (1 - u) + right_y * u
            image[j, i] = math.nan
            # Written so that NaN, where the mapping has no value, is outside too.
            if 0 <= at_x < nx - 1 and 0 <= at_y < ny - 1:
                a, b = int(at_x), int(at_y)
                p, q = at_x - a, at_y - b
                lower = source[b, a] * (1 - p) + source[b, a + 1] * p
                upper = source[b + 1, a] * (1 - p) + source[b + 1, a + 1] * p
                image[j, i] = (lower * (1 - q) + upper * q) * areas[row, column]


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
    wx = table[int((x - ix) * PHASES + 0.5)]
    wy = table[int((y - iy) * PHASES + 0.5)]
    inside = _HALF - 1 <= ix < nx - _HALF and _HALF - 1 <= iy < ny - _HALF
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
def _sparse_inside(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> tuple[float, float]:
    """As `_sparse`, for a footprint that lies within the frame: without branches."""
    total, share = np.float32(0), np.float32(0)
    for j in range(_TAPS):
        line = source[iy + j - _HALF + 1]
        along, part = np.float32(0), np.float32(0)
        for i in range(_TAPS):
            value = line[ix - _HALF + 1 + i]
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
