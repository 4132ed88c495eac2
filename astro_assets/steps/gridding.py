"""The grid of a stack or composite: from its frames, or as the settings wish it.

What belongs here: from a wish to pixels on the sky. What does not: grids from frames alone
(`imaging.grid`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from astropy.io import fits
from astropy.wcs import WCS

from astro_assets.errors import BrokenFile, FramesApart
from astro_assets.imaging.grid import MAX_PIXELS, Grid, common_grid, touches
from astro_assets.settings import GridWish


def grid_of(
    wcss: Sequence[WCS],
    shapes: Sequence[tuple[int, int]],
    wish: GridWish | None,
    usual: Literal["reference", "north"],
) -> Grid:
    """The grid for these frames.

    Parameters
    ----------
    usual : which way is up where the wish does not say

    Raises
    ------
    FramesApart : the frames do not share one field, or none of them lies on the wished grid
    BrokenFile : the file that the grid should be like has none
    """
    if wish is None:
        return common_grid(wcss, shapes, orientation=usual)
    if wish.like is not None:
        grid = _like(wish.like)
    else:
        up = usual if wish.north_up is None else ("north" if wish.north_up else "reference")
        grid = common_grid(
            wcss,
            shapes,
            orientation=up,
            scale_arcsec=wish.scale_arcsec,
            centre_deg=wish.centre_deg,
            size_px=wish.size_px,
        )
    if not any(touches(wcs, shape, grid) for wcs, shape in zip(wcss, shapes, strict=True)):
        raise FramesApart(
            "none of the frames lies on the grid that [[grids]] in the settings asks for: correct "
            "its centre_deg or like, or name the target that it is for"
        )
    return grid


def _like(path: Path) -> Grid:
    """The projection and size of a FITS file's first image."""
    try:
        with fits.open(path, memmap=True) as hdus:
            found = next((hdu for hdu in hdus if hdu.is_image and len(hdu.shape) >= 2), None)
            wcs = None if found is None else WCS(found.header, hdus).celestial
    except (OSError, ValueError, fits.VerifyError) as error:
        raise BrokenFile(
            f"{path}, which [[grids]] in the settings names, cannot be read ({error}): correct like"
        ) from error
    if found is None or wcs is None or not wcs.has_celestial:
        raise BrokenFile(
            f"{path}, which [[grids]] in the settings names, has no image with a WCS: solve it, or "
            "name another file"
        )
    ny, nx = found.shape[-2:]
    if ny * nx > MAX_PIXELS:
        raise BrokenFile(
            f"{path}, which [[grids]] in the settings names, has {nx} × {ny} pixels, more than one "
            "picture may have: name a smaller one"
        )
    wcs.array_shape = (ny, nx)
    return Grid(wcs, (ny, nx))
