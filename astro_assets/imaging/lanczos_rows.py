"""Lanczos-3 row by row: the loops of the warp.

What belongs here: where each pixel of the grid lies in the frame, and around which saturated pixels
it does. What does not: the value at one place (`lanczos`), frames, masks and threads (`warp`,
`laid`).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.lanczos import CORE, HALF, NEAR, held, sample, sample_quarters


@njit(cache=True, nogil=True)
def flag_saturated(ys: Any, xs: Any, flags: Any) -> None:
    """Flag the footprints (by their lower left inner pixel) that a saturated pixel falls into."""
    ny, nx = flags.shape
    for k in range(ys.size):
        for y in range(max(ys[k] - HALF, 0), min(ys[k] + HALF, ny)):
            for x in range(max(xs[k] - HALF, 0), min(xs[k] + HALF, nx)):
                inner = ys[k] - 1 <= y <= ys[k] and xs[k] - 1 <= x <= xs[k]
                flags[y, x] |= NEAR | CORE if inner else NEAR


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
                    value, share, bits = sample_quarters(
                        source, flags, table, at_x, at_y, dx, dy, area
                    )
                else:
                    value, share, bits = sample(source, flags, table, at_x, at_y, area)
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
                    value = held(source, ix, iy, image[y - y0, x] / area)
                    image[y - y0, x] = value * area
                    mask[y - y0, x] = 4 if flags[iy, ix] & CORE else 0


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
            value, share, _ = sample_quarters(source, flags, table, at_x, at_y, dx, dy, area)
        else:
            value, share, _ = sample(source, flags, table, at_x, at_y, area)
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
