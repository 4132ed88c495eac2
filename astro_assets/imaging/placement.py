"""How a frame lies on a grid: what its warp needs to know, found once.

What belongs here: the mapping, how far the frame is turned and scaled, and which of its rows some
rows of the grid are made from. What does not: pixel values (`warp`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.pixel_map import mesh_areas, pixel_mesh

_SAME_SCALE = 0.003
"""Relative difference of pixel scales below which one sample serves a grid pixel."""
_STRAIGHT = 0.03
"""Slope of the frame's axes against the grid's below which two passes serve."""
_REACH_PX = 8
"""of a footprint, and of what a saturated pixel beside it marks"""

_FAR_PX = 1e6

_Mesh = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """A frame on a grid.

    shape : (ny, nx) of the frame, binned
    mesh_x, mesh_y, step : where a mesh of the grid's pixels lies in the frame, as `pixel_mesh`
        tells it, in binned pixels that are counted from the corner that is the grid's lower left
    areas : for each mesh the area of a grid pixel in the frame's own pixels
    area : their median
    binned : how many of the frame's pixels are averaged along each axis first
    fine : whether each grid pixel is the mean of its four quarters
    turned_y, turned_x : whether the frame's rows, its columns are counted from the last
    straight : whether it lies so straight on the grid that two one-dimensional passes serve
    on : (ny, nx) of the grid
    lowest, highest : for each row of the mesh the extremes of mesh_y near the frame
    """

    shape: tuple[int, int]
    mesh_x: _Mesh
    mesh_y: _Mesh
    step: int
    areas: _Mesh
    area: float
    binned: int
    fine: bool
    turned_y: bool
    turned_x: bool
    straight: bool
    on: tuple[int, int]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    def needed(self, y0: int, y1: int) -> tuple[int, int]:
        """First and one past the last of the rows that the grid's rows y0 … y1 are made from."""
        begin, end = y0 / self.step, (y1 - 1) / self.step
        nodes = slice(math.floor(begin), math.floor(end) + 2)
        low, high = self.lowest[nodes].copy(), self.highest[nodes].copy()
        # The first and the last row lie between nodes.
        for at, inner, share in ((0, 1, begin % 1), (-1, -2, 1 - end % 1)):
            low[at] += (low[inner] - low[at]) * share
            high[at] += (high[inner] - high[at]) * share
        if np.isnan(low).all():
            return 0, 0
        top = max(math.floor(np.nanmin(low)) - _REACH_PX, 0)
        bottom = min(math.ceil(np.nanmax(high)) + _REACH_PX + 1, self.shape[0])
        return (top, bottom) if top < bottom else (0, 0)

    def shows(self, ys: NDArray[np.intp], xs: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these pixels of the grid lie on the frame or beside its border."""
        seen = np.ones(ys.size, np.bool_)
        for mesh, size in ((self.mesh_y, self.shape[0]), (self.mesh_x, self.shape[1])):
            _within(mesh, self.step, ys, xs, size, seen)
        return seen


@njit(cache=True, nogil=True)
def _within(mesh: Any, step: int, ys: Any, xs: Any, size: int, seen: Any) -> None:
    """Leave of ``seen`` those of the grid's pixels whose coordinate lies above −1 and below
    ``size``.
    """
    for k in range(ys.size):
        row, column = ys[k] // step, xs[k] // step
        v, u = (ys[k] % step) / step, (xs[k] % step) / step
        left = mesh[row, column] * (1 - v) + mesh[row + 1, column] * v
        right = mesh[row, column + 1] * (1 - v) + mesh[row + 1, column + 1] * v
        at = left * (1 - u) + right * u
        # NaN, where the mapping has no value, is outside too.
        seen[k] = seen[k] and -1 < at < size


def place(wcs_in: WCS, shape: tuple[int, int], grid: Grid) -> Placement:
    """Find how a frame of this shape lies on the grid.

    Parameters
    ----------
    wcs_in : the frame's own WCS, distortions included
    """
    x, y, step = pixel_mesh(wcs_in, grid)
    areas = mesh_areas(x, y, step)
    known = areas[np.isfinite(areas)]
    area = float(np.median(known)) if known.size else 1.0
    binned = max(1, round(math.sqrt(area)))
    x, y = ((mesh - (binned - 1) / 2) / binned for mesh in (x, y))
    fine = abs(math.sqrt(area) / binned - 1) > _SAME_SCALE
    ny, nx = shape[0] // binned, shape[1] // binned
    turned_x, turned_y = _backwards(x, axis=1), _backwards(y, axis=0)
    if turned_x:
        x = nx - 1 - x
    if turned_y:
        y = ny - 1 - y
    straight = not fine and _slope(x, axis=0, step=step) and _slope(y, axis=1, step=step)
    lowest, highest = _extremes(x, y, beside=3 * step, nx=nx)
    return Placement(
        (ny, nx), x, y, step, areas, area, binned, fine, turned_y, turned_x, straight, grid.shape,
        lowest, highest,
    )  # fmt: skip


def _extremes(x: _Mesh, y: _Mesh, beside: int, nx: int) -> tuple[_Mesh, _Mesh]:
    """The lowest and highest y of each of the mesh's rows where it may touch the frame, or NaN.

    A column of the mesh counts where it or one beside it lies within ``beside`` of the frame in
    any row: meshes are whole, and elsewhere the mapping may be anything.
    """
    with np.errstate(invalid="ignore"):
        near = ((x > -beside) & (x < nx + beside) & np.isfinite(y)).any(axis=0)
    near = near | np.roll(near, 1) | np.roll(near, -1)
    seen = np.where(near & np.isfinite(y) & (np.abs(y) < _FAR_PX), y, np.nan)
    known = np.isfinite(seen).any(axis=1)
    low, high = (np.full(len(y), np.nan) for _ in range(2))
    low[known], high[known] = np.nanmin(seen[known], axis=1), np.nanmax(seen[known], axis=1)
    return low, high


def _backwards(mesh: _Mesh, axis: int) -> bool:
    """Whether the frame's coordinate falls along the grid's axis."""
    steps = np.diff(mesh, axis=axis)
    steps = steps[np.isfinite(steps)]
    return bool(steps.size and np.median(steps) < 0)


def _slope(mesh: _Mesh, axis: int, step: int) -> bool:
    """Whether the coordinate hardly changes along the grid's other axis."""
    steps = np.abs(np.diff(mesh, axis=axis))
    return bool(np.isfinite(mesh).all() and steps.max() <= _STRAIGHT * step)
