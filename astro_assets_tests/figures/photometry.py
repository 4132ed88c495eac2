"""A stack's star fluxes beside the true ones.

What belongs here: which stars can be compared, and the pairs. What does not: where truth and stack
come from.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astro_assets.imaging.stars import find_stars
from astro_assets.store import ImageFile

_EDGE_PX = 8.0
"""From a star to a frame's edge, so that the aperture and the resampling stay inside."""
_ALONE_PX, _ALONE_SHARE = 12.0, 0.01
_HALO_PX = 40.0
_BETA = 3.5
_SAME_PX = 1.5

Positions = tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, int]]
"""x and y of the catalogue's stars in a frame, and the frame's shape"""


def fluxes(
    stack: ImageFile, catalogue: pd.DataFrame, flux_e: str, frames: Iterable[Positions]
) -> pd.DataFrame:
    """``flux_e`` and ``true_e`` of the stack's stars above 100 sigma.

    Each is wholly in every frame and alone: of half a star, of two in one aperture, or of one in
    the halo of a much brighter one, the truth knows no flux.

    Parameters
    ----------
    catalogue : true stars of the reference frame, whose scale the stack has
    flux_e : the column of the true fluxes
    frames : those in the stack
    """
    assert stack.mask is not None
    stars = find_stars(np.nan_to_num(stack.image), stack.mask)
    stars = stars[(stars["snr"] > 100) & ~stars["saturated"]]
    x, y = WCS(stack.header).world_to_pixel_values(catalogue["ra_deg"], catalogue["dec_deg"])
    where, true_e = np.column_stack([x, y]), catalogue[flux_e].to_numpy()
    tree = cKDTree(where)
    distance, index = tree.query(stars[["x", "y"]], distance_upper_bound=_SAME_PX)
    stars, index = stars[np.isfinite(distance)], index[np.isfinite(distance)]
    around = tree.query_ball_point(where[index], _ALONE_PX)
    others_e = np.array([true_e[near].sum() for near in around]) - true_e[index]
    others_e += _halos(where[index], where, true_e, float(stars["fwhm_px"].median()))
    chosen = (others_e < _ALONE_SHARE * true_e[index]) & _whole(frames, len(catalogue))[index]
    found: pd.DataFrame = stars.assign(true_e=true_e[index])[chosen]
    return found


def rms_off(stars: pd.DataFrame) -> float:
    """RMS of measured over true, less one."""
    return float(np.sqrt(np.mean((stars["flux_e"] / stars["true_e"] - 1) ** 2)))


def _halos(
    places: NDArray[np.float64],
    where: NDArray[np.float64],
    true_e: NDArray[np.float64],
    fwhm_px: float,
) -> NDArray[np.float64]:
    """Light of stars beyond `_ALONE_PX` in an aperture of 1.25 FWHM at each of the places."""
    alpha = fwhm_px / (2 * np.sqrt(2 ** (1 / _BETA) - 1))
    away = np.hypot(*(places[:, np.newaxis] - where).transpose(2, 0, 1))
    profile = (_BETA - 1) / (np.pi * alpha**2) * (1 + (away / alpha) ** 2) ** -_BETA
    outside = (away > _ALONE_PX) & (away < _HALO_PX)
    light = np.where(outside, profile * true_e, 0.0).sum(axis=1)
    return np.asarray(light * np.pi * (1.25 * fwhm_px) ** 2)


def _whole(frames: Iterable[Positions], count: int) -> NDArray[np.bool_]:
    """Which stars every frame has well inside its edges."""
    inside = np.ones(count, bool)
    for x, y, (ny, nx) in frames:
        inside &= (x > _EDGE_PX) & (x < nx - 1 - _EDGE_PX)
        inside &= (y > _EDGE_PX) & (y < ny - 1 - _EDGE_PX)
    return inside
