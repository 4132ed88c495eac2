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
_SAME_PX = 1.5

Positions = tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, int]]
"""x and y of the catalogue's stars in a frame, and the frame's shape"""


def fluxes(
    stack: ImageFile, catalogue: pd.DataFrame, flux_e: str, frames: Iterable[Positions]
) -> pd.DataFrame:
    """``flux_e`` and ``true_e`` of the stack's stars above 100 sigma.

    Each is wholly in every frame and alone: of half a star, or of two in one aperture, the truth
    knows no flux.

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
    chosen = (others_e < _ALONE_SHARE * true_e[index]) & _whole(frames, len(catalogue))[index]
    found: pd.DataFrame = stars.assign(true_e=true_e[index])[chosen]
    return found


def rms_off(stars: pd.DataFrame) -> float:
    """RMS of measured over true, less one."""
    return float(np.sqrt(np.mean((stars["flux_e"] / stars["true_e"] - 1) ** 2)))


def _whole(frames: Iterable[Positions], count: int) -> NDArray[np.bool_]:
    """Which stars every frame has well inside its edges."""
    inside = np.ones(count, bool)
    for x, y, (ny, nx) in frames:
        inside &= (x > _EDGE_PX) & (x < nx - 1 - _EDGE_PX)
        inside &= (y > _EDGE_PX) & (y < ny - 1 - _EDGE_PX)
    return inside
