"""Where the pixels of a grid lie in a frame.

What belongs here: the mapping between the two WCS on a coarse mesh, to be interpolated: as exact as
through the sky for every pixel, and some hundred times cheaper. What does not: pixel values
(`warp`).
"""

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid

_STEPS_PX = (128, 64, 32, 16, 8, 4, 2)
_TOLERANCE_PX = 0.005

_Mesh = NDArray[np.float64]


def pixel_mesh(wcs_in: WCS, grid: Grid) -> tuple[_Mesh, _Mesh, int]:
    """Where a mesh of the grid's pixels lies in the frame: x, y and the mesh's step in pixels.

    The step is the largest at which bilinear interpolation errs by less than
    `_TOLERANCE_PX`, measured in the middle of the meshes and of their edges.
    """
    ny, nx = grid.shape
    for step in _STEPS_PX:
        nodes_y = np.arange(0, (ny - 1) // step + 2, dtype=float) * step
        nodes_x = np.arange(0, (nx - 1) // step + 2, dtype=float) * step
        middle_y, middle_x = nodes_y[:-1] + step / 2, nodes_x[:-1] + step / 2
        x, y = _map(wcs_in, grid.wcs, nodes_x, nodes_y)
        error = max(
            _error(x, y, _map(wcs_in, grid.wcs, at_x, at_y), pairs)
            for at_x, at_y, pairs in (
                (middle_x, middle_y, (True, True)),
                (middle_x, nodes_y, (False, True)),
                (nodes_x, middle_y, (True, False)),
            )
        )
        if not error > _TOLERANCE_PX:
            break
    return x, y, step


def _error(x: _Mesh, y: _Mesh, exact: tuple[_Mesh, _Mesh], pairs: tuple[bool, bool]) -> float:
    """The largest distance of the exact places from the means of neighbouring nodes."""
    distance = np.hypot(_means(x, pairs) - exact[0], _means(y, pairs) - exact[1])
    return float(np.nanmax(distance, initial=0.0))


def _means(mesh: _Mesh, pairs: tuple[bool, bool]) -> _Mesh:
    """Means of neighbours along the rows' axis, the columns' axis, as ``pairs`` says."""
    if pairs[0]:
        mesh = (mesh[1:] + mesh[:-1]) / 2
    return np.asarray((mesh[:, 1:] + mesh[:, :-1]) / 2) if pairs[1] else mesh


def _map(wcs_in: WCS, wcs_out: WCS, xs: _Mesh, ys: _Mesh) -> tuple[_Mesh, _Mesh]:
    grid_x, grid_y = np.meshgrid(xs, ys)
    ra, dec = wcs_out.all_pix2world(grid_x, grid_y, 0)
    # Far outside of the frame its distortion has no inverse; such pixels get no data anyway.
    x, y = wcs_in.all_world2pix(ra, dec, 0, quiet=True)
    return np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)


def mesh_areas(mesh_x: _Mesh, mesh_y: _Mesh, step: int) -> _Mesh:
    """Area of a grid pixel in the frame's pixels, for each mesh, from its diagonals."""
    ax, ay = mesh_x[1:, 1:] - mesh_x[:-1, :-1], mesh_y[1:, 1:] - mesh_y[:-1, :-1]
    bx, by = mesh_x[1:, :-1] - mesh_x[:-1, 1:], mesh_y[1:, :-1] - mesh_y[:-1, 1:]
    return np.asarray(np.abs(ax * by - ay * bx) / (2.0 * step**2))
