"""The pixel grid that a session's frames, or a target's sessions, are laid onto.

What belongs here: the choice of projection centre, scale, orientation and size. What does not:
moving pixels (`warp`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray

from astro_assets.errors import FramesApart, NothingToDo

MAX_SEPARATION_DEG = 5.0
"""Frames of one session lie this close together; a tangential grid still serves them all."""
MAX_PIXELS = 200_000_000
_PROBE_PX = 100.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixels on the sky. ``wcs`` is a plain TAN, ``shape`` is (ny, nx)."""

    wcs: WCS
    shape: tuple[int, int]


def common_grid(
    wcss: Sequence[WCS],
    shapes: Sequence[tuple[int, int]],
    *,
    reference: int = 0,
    orientation: Literal["reference", "north"] = "reference",
    scale_arcsec: float | None = None,
    centre_deg: tuple[float, float] | None = None,
    size_px: tuple[int, int] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Grid:
    """A TAN grid that holds all frames, at their median pixel scale, unless something is given.

    East lies to the left of north whatever the camera's parity, so that no picture is mirrored.

    Parameters
    ----------
    wcss, shapes : one per frame; shapes are (ny, nx)
    reference : index of the frame whose y axis is the grid's, when ``orientation`` says so
    orientation : ``north`` puts north up instead
    scale_arcsec : of a pixel
    centre_deg : right ascension and declination of the projection's centre
    size_px : width and height, about the centre; then it need not hold all frames
    max_pixels : the largest grid that is made

    Raises
    ------
    NothingToDo : there are no frames
    FramesApart : the frames lie too far from one another for one grid
    """
    if not wcss:
        raise NothingToDo("there are no solved frames to lay onto a common grid")
    far = strays(wcss, shapes)
    if far:
        raise FramesApart(
            f"{len(far)} of {len(wcss)} frames lie more than {MAX_SEPARATION_DEG:g} degrees from "
            "the others: leave them out, or give them a target name of their own"
        )
    centre = _middle(_centres(wcss, shapes)) if centre_deg is None else centre_deg
    scale_deg = (
        float(np.median([np.sqrt(proj_plane_pixel_area(wcs)) for wcs in wcss]))
        if scale_arcsec is None
        else scale_arcsec / 3600
    )
    wcs = _tan(centre, scale_deg, 0.0)
    if orientation == "reference":
        angle = _up_angle(wcss[reference], shapes[reference], wcs)
        wcs = _tan(centre, scale_deg, angle)
    if size_px is None:
        return _fitted(wcs, wcss, shapes, max_pixels)
    nx, ny = size_px
    return _placed(wcs, ((nx + 1) / 2, (ny + 1) / 2), (ny, nx), max_pixels)


def touches(wcs: WCS, shape: tuple[int, int], grid: Grid) -> bool:
    """Whether a frame has some of its pixels on the grid, or the grid some of its own in it."""
    ny, nx = grid.shape
    with np.errstate(invalid="ignore"):
        on_grid = _within(_border(wcs, shape, grid.wcs), grid.shape)
        in_frame = _within(_border(grid.wcs, (ny, nx), wcs), shape)
    return on_grid or in_frame


def _within(points: NDArray[Any], shape: tuple[int, int]) -> bool:
    """Whether the span of a border reaches into an image of this shape."""
    if not np.isfinite(points).all():
        return False
    low, high = points.min(axis=0), points.max(axis=0)
    return bool((high >= 0).all() and low[0] <= shape[1] - 1 and low[1] <= shape[0] - 1)


def strays(
    wcss: Sequence[WCS],
    shapes: Sequence[tuple[int, int]],
    max_separation_deg: float = MAX_SEPARATION_DEG,
) -> list[int]:
    """Indices of the frames whose centres lie too far from where most frames are.

    Most frames are where the frame with the smallest median distance to the others is.
    """
    centres = _centres(wcss, shapes)
    n = len(wcss)
    distance = np.array([centre.separation(centres).deg for centre in centres]).reshape(n, n)
    home = int(np.argmin(np.median(distance, axis=1)))
    return [int(i) for i in np.flatnonzero(distance[home] > max_separation_deg)]


def _centres(wcss: Sequence[WCS], shapes: Sequence[tuple[int, int]]) -> SkyCoord:
    sky = [
        wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
        for wcs, (ny, nx) in zip(wcss, shapes, strict=True)
    ]
    ra, dec = np.array(sky, dtype=float).reshape(-1, 2).T
    return SkyCoord(ra, dec, unit="deg")


def _middle(centres: SkyCoord) -> tuple[float, float]:
    """Right ascension and declination of the mean direction, degrees."""
    mean = SkyCoord(centres.cartesian.mean(), frame="icrs").spherical
    return float(mean.lon.deg), float(mean.lat.deg)


def _tan(centre: tuple[float, float], scale_deg: float, angle_rad: float) -> WCS:
    """A TAN projection, east left of north, whose y axis is turned from north towards east."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.crval = centre
    wcs.wcs.crpix = [1.0, 1.0]
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    wcs.wcs.cd = scale_deg * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.set()
    return wcs


def _up_angle(wcs: WCS, shape: tuple[int, int], north_up: WCS) -> float:
    """The angle at which a frame's y axis lies in a north-up grid, north
    towards east, radians.

    Measured in the grid, not from the frame's CD matrix: near a pole north turns across a field.
    """
    ny, nx = shape
    x, y = (nx - 1) / 2, (ny - 1) / 2
    sky = wcs.all_pix2world([[x, y], [x, y + _PROBE_PX]], 0)
    (x0, y0), (x1, y1) = north_up.all_world2pix(sky, 0)
    return float(np.arctan2(-(x1 - x0), y1 - y0))


def _fitted(
    wcs: WCS, wcss: Sequence[WCS], shapes: Sequence[tuple[int, int]], max_pixels: int
) -> Grid:
    """The grid moved and cut so that it just holds every frame's border."""
    borders = [_border(frame, shape, wcs) for frame, shape in zip(wcss, shapes, strict=True)]
    corners = np.concatenate(borders)
    low = np.floor(corners.min(axis=0))
    high = np.ceil(corners.max(axis=0))
    nx, ny = (int(n) for n in high - low + 1)
    return _placed(wcs, wcs.wcs.crpix - low, (ny, nx), max_pixels)


def _placed(wcs: WCS, crpix: Any, shape: tuple[int, int], max_pixels: int) -> Grid:
    """The projection with its centre at this pixel (counted from 1) of a grid of this shape."""
    ny, nx = shape
    if nx * ny > max_pixels:
        raise FramesApart(
            f"the frames span {nx} × {ny} pixels, more than one picture may have: reduce them "
            "under several target names"
        )
    placed = wcs.deepcopy()
    placed.wcs.crpix = crpix
    placed.wcs.set()
    placed.array_shape = (ny, nx)
    return Grid(placed, (ny, nx))


def _border(frame: WCS, shape: tuple[int, int], wcs: WCS) -> NDArray[Any]:
    """Points along the frame's edge in the grid's pixels, (n, 2)."""
    ny, nx = shape
    x, y = np.linspace(0, nx - 1, 9), np.linspace(0, ny - 1, 9)
    edge = np.concatenate(
        [
            np.column_stack([x, np.zeros_like(x)]),
            np.column_stack([x, np.full_like(x, ny - 1)]),
            np.column_stack([np.zeros_like(y), y]),
            np.column_stack([np.full_like(y, nx - 1), y]),
        ]
    )
    return np.asarray(wcs.all_world2pix(frame.all_pix2world(edge, 0), 0, quiet=True))
