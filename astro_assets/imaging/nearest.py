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
    nearest_rows(np.ascontiguousarray(values, np.float32), 0, 1, mesh_x, mesh_y, step, 0, out)
    return out


@njit(cache=True, nogil=True)
def nearest_rows(
    values: Any, top: int, binned: int, mesh_x: Any, mesh_y: Any, step: int, y0: int, out: Any
) -> None:
    """Fill the grid's rows from y0 on, as far as they lie on the map.

    Parameters
    ----------
    values : the map's rows
    top : the row of the mesh's coordinates that the first of them is
    binned : so many of the map's pixels are one of the mesh's coordinates
    """
    ny, nx = values.shape
    more = (binned - 1) / 2
    for j in range(out.shape[0]):
        y = y0 + j
        row, v = y // step, (y % step) / step
        for column in range((out.shape[1] - 1) // step + 1):
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v - top
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v - top
            left_x, left_y = left_x * binned + more, left_y * binned + more
            dx = (right_x * binned + more - left_x) / step
            dy = (right_y * binned + more - left_y) / step
            for x in range(column * step, min((column + 1) * step, out.shape[1])):
                at_x, at_y = left_x + (x - column * step) * dx, left_y + (x - column * step) * dy
                # Written so that NaN, where the mapping has no value, is outside too.
                if -0.5 <= at_x < nx - 0.5 and -0.5 <= at_y < ny - 0.5:
                    out[j, x] = values[int(at_y + 0.5), int(at_x + 0.5)]
