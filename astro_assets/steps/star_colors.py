"""The colours of catalogue stars in a picture, from index files that tell them, or from Gaia.

What belongs here: which columns are colours, and where the stars lie. What does not: what is made
of them (`imaging.white_balance`).

Debian's Tycho-2 index files have one magnitude and no colours. Those with B_T and V_T (built from
all of Tycho-2), or with Gaia's BP and RP (astrometry.net's series 5200 in its full version), do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from numpy.typing import NDArray

from astro_assets.data import INDEX_FILES
from astro_assets.errors import SourceUnreachable
from astro_assets.fits_units import units
from astro_assets.imaging.catalogue import unit_vectors
from astro_assets.imaging.white_balance import KnownColors
from astro_assets.steps.catalogue import read_index
from astro_assets.steps.gaia import GaiaClient

NO_COLORS = "no index file tells the colours of the stars here"

_TYCHO_TO_JOHNSON = 0.850
"""B − V over B_T − V_T (ESA 1997, The Hipparcos and Tycho Catalogues, vol. 1, eq. 1.3.20)."""
_PAIRS = (
    (("MAG_BT", "BT"), ("MAG_VT", "VT"), _TYCHO_TO_JOHNSON, "B-V", "Tycho-2"),
    (("PHOT_BP_MEAN_MAG", "MAG_BP", "BP"), ("PHOT_RP_MEAN_MAG", "MAG_RP", "RP"), 1.0, "BP-RP",
     "Gaia"),
)  # fmt: skip
"""Names of the blue and the red magnitude, factor, index, catalogue."""
_MOST_STARS = 3000


@dataclass(frozen=True)
class _Colors:
    directions: NDArray[np.float64]
    color_mag: NDArray[np.float64]
    index: str
    catalogue: str


def known_colors(
    wcs: WCS, shape: tuple[int, int], index_folders: Iterable[Path], gaia: GaiaClient | None = None
) -> KnownColors | str:
    """Catalogue stars with a colour inside a picture, or a clause that says why there are none.

    Parameters
    ----------
    wcs, shape : of the picture, (ny, nx)
    index_folders : where to look beside the files that come with the project
    gaia : asked where no index file tells colours
    """
    ny, nx = shape
    others = [path for folder in index_folders for path in sorted(folder.glob("index-*.fits"))]
    ra_deg, dec_deg = (float(v) for v in wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0))
    scale_deg = float(np.sqrt(proj_plane_pixel_area(wcs)))
    reach_deg = 0.5 * float(np.hypot(ny, nx)) * scale_deg
    centre = unit_vectors(np.array([ra_deg]), np.array([dec_deg]))[0]
    for path in _with_colors([*INDEX_FILES, *others]):
        colors = _read(path)
        near = np.flatnonzero(colors.directions @ centre > np.cos(np.radians(reach_deg)))
        found = _inside(colors, near, wcs, shape)
        if found is not None:
            return found
    if gaia is None:
        return NO_COLORS
    try:
        stars = gaia.around(ra_deg, dec_deg, reach_deg)
    except SourceUnreachable as error:
        return f"{NO_COLORS}, and {error}"
    colors = _Colors(
        unit_vectors(stars.ra_deg, stars.dec_deg), stars.bp_mag - stars.rp_mag, "BP-RP", "Gaia DR3"
    )
    return _inside(colors, np.arange(len(stars.ra_deg)), wcs, shape) or f"{NO_COLORS}, nor Gaia"


def _inside(
    colors: _Colors, near: NDArray[np.intp], wcs: WCS, shape: tuple[int, int]
) -> KnownColors | None:
    near = near[np.isfinite(colors.color_mag[near])][:_MOST_STARS]
    x, y, inside = _pixels(colors.directions[near], wcs, shape)
    if not inside.any():
        return None
    return KnownColors(
        x[inside], y[inside], colors.color_mag[near][inside], colors.index, colors.catalogue
    )


def _pixels(
    directions: NDArray[np.float64], wcs: WCS, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    ra_deg = np.degrees(np.arctan2(directions[:, 1], directions[:, 0])) % 360
    dec_deg = np.degrees(np.arcsin(np.clip(directions[:, 2], -1, 1)))
    x, y = wcs.wcs_world2pix(ra_deg, dec_deg, 0)
    inside = (x > 0) & (x < shape[1] - 1) & (y > 0) & (y < shape[0] - 1)
    return np.asarray(x), np.asarray(y), np.asarray(inside)


def _with_colors(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if _columns(path) is not None]


@lru_cache(maxsize=256)
def _columns(path: Path) -> tuple[str, str, float, str, str] | None:
    """Names of the blue and red magnitudes as the file spells them, factor, index, catalogue."""
    names = {name.upper(): name for name in _names(path)}
    for blue, red, factor, index, catalogue in _PAIRS:
        at_blue = next((names[name] for name in blue if name in names), None)
        at_red = next((names[name] for name in red if name in names), None)
        if at_blue and at_red:
            return at_blue, at_red, factor, index, catalogue
    return None


def _names(path: Path) -> list[str]:
    """Of all columns of all tables, from the headers alone where the file is not packed."""
    with path.open("rb", buffering=0) as file:
        found = units(file) if file.read(6) == b"SIMPLE" else None
    if found is not None:
        return [str(name) for unit in found for name in unit.header["TTYPE*"].values()]
    with fits.open(path, memmap=True) as hdus:
        return [name for hdu in hdus if hasattr(hdu, "columns") for name in hdu.columns.names]


@lru_cache(maxsize=8)
def _read(path: Path) -> _Colors:
    found = _columns(path)
    if found is None:
        raise ValueError(f"{path} has no colours")
    blue, red, factor, index, catalogue = found
    directions, columns = read_index(path)
    blue_mag, red_mag = (columns[name].astype(np.float64) for name in (blue, red))
    # Zero stands for a magnitude that was not measured.
    measured = (blue_mag > 0) & (red_mag > 0) & np.isfinite(blue_mag) & np.isfinite(red_mag)
    color_mag = np.where(measured, factor * (blue_mag - red_mag), np.nan)
    return _Colors(directions, color_mag, index, catalogue)
