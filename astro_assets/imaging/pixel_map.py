"""Where the pixels of a grid lie in a frame.

What belongs here: the mapping between the two WCS on a coarse mesh, to be interpolated: as exact as
through the sky for every pixel, and some hundred times cheaper. What does not: pixel values
(`warp`).
"""

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid

_STEPS_PX = (32, 16, 8, 4, 2)
_TOLERANCE_PX = 0.005


def pixel_mesh(wcs_in: WCS, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Where a mesh of the grid's pixels lies in the frame: x, y and the mesh's step in pixels.

    The step is the largest at which bilinear interpolation errs by less than
    `_TOLERANCE_PX`, measured in the middle of the meshes.
    """
    ny, nx = grid.shape
    for step in _STEPS_PX:
        nodes_y = np.arange(0, (ny - 1) // step + 2, dtype=float) * step
        nodes_x = np.arange(0, (nx - 1) // step + 2, dtype=float) * step
        x, y = _map(wcs_in, grid.wcs, nodes_x, nodes_y)
        exact_x, exact_y = _map(wcs_in, grid.wcs, nodes_x[:-1] + step / 2, nodes_y[:-1] + step / 2)
        error = np.hypot(_means(x) - exact_x, _means(y) - exact_y)
        if not (np.nanmax(error, initial=0.0) > _TOLERANCE_PX):
            break
    return x, y, step


def _map(
    wcs_in: WCS, wcs_out: WCS, xs: NDArray[np.float64], ys: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    grid_x, grid_y = np.meshgrid(xs, ys)
    ra, dec = wcs_out.all_pix2world(grid_x, grid_y, 0)
    # Far outside of the frame its distortion has no inverse; such pixels get no data anyway.
    x, y = wcs_in.all_world2pix(ra, dec, 0, quiet=True)
    return np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)


def _means(mesh: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((mesh[1:, 1:] + mesh[1:, :-1] + mesh[:-1, 1:] + mesh[:-1, :-1]) / 4)


def typical_area(mesh_x: NDArray[np.float64], mesh_y: NDArray[np.float64], step: int) -> float:
    """Median area of a grid pixel in the frame's pixels; 1 where the mapping has no value."""
    ax, ay = mesh_x[1:, 1:] - mesh_x[:-1, :-1], mesh_y[1:, 1:] - mesh_y[:-1, :-1]
    bx, by = mesh_x[1:, :-1] - mesh_x[:-1, 1:], mesh_y[1:, :-1] - mesh_y[:-1, 1:]
    areas = np.abs(ax * by - ay * bx) / (2.0 * step**2)
    areas = areas[np.isfinite(areas)]
    return float(np.median(areas)) if areas.size else 1.0
