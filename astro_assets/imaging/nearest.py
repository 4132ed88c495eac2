"""A map of weights or times on another grid: the value of the nearest pixel.

What belongs here: maps that have steps, which an interpolation would let ring. What does not:
images (`warp`).
"""

from typing import Any

import numpy as np
from astropy.wcs import WCS
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.pixel_map import pixel_mesh


def nearest(values: NDArray[np.float32], wcs_in: WCS, grid: Grid) -> NDArray[np.float32]:
    """The map on the grid, (ny, nx) float32; 0 outside of it.

    Parameters
    ----------
    values : (ny, nx) on the pixels of ``wcs_in``
    """
    mesh_x, mesh_y, step = pixel_mesh(wcs_in, grid)
    out = np.zeros(grid.shape, np.float32)
    _take(np.ascontiguousarray(values, np.float32), mesh_x, mesh_y, step, out)
    return out


@njit(cache=True, nogil=True)
def _take(values: Any, mesh_x: Any, mesh_y: Any, step: int, out: Any) -> None:
    ny, nx = values.shape
    for y in range(out.shape[0]):
        row, v = y // step, (y % step) / step
        for x in range(out.shape[1]):
            column, u = x // step, (x % step) / step
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v
            at_x, at_y = left_x * (1 - u) + right_x * u, left_y * (1 - u) + right_y * u
            # Written so that NaN, where the mapping has no value, is outside too.
            if -0.5 <= at_x < nx - 0.5 and -0.5 <= at_y < ny - 0.5:
                out[y, x] = values[int(at_y + 0.5), int(at_x + 0.5)]
