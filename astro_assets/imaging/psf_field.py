"""How the stars' width changes over the field: a tilted sensor, a curved focal plane.

What belongs here: what the star table of one frame says about the optics. What does not: measuring
stars (`stars`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MIN_STARS = 12
_MIN_SNR = 20.0
_WHOLE = 0.02
_CLIP_SIGMA = 3.0
_ROUNDS = 5
_MIN_QUADRANT = 2


@dataclass(frozen=True, slots=True)
class PsfField:
    """A plane and a bowl through the stars' FWHM; NaN where too few stars, or a corner of the
    field without any, cannot tell.

    middle_px : FWHM in the middle of the field
    tilt : how much of it the plane rises from the sharpest edge or corner to the one opposite
    tilt_error : of ``tilt``, one sigma
    tilt_deg : direction in which the stars grow, from +x towards +y
    curvature : how much of it the bowl rises from the middle to the corners, negative where these
        are sharper
    curvature_error : of ``curvature``, one sigma
    """

    middle_px: float = np.nan
    tilt: float = np.nan
    tilt_error: float = np.nan
    tilt_deg: float = np.nan
    curvature: float = np.nan
    curvature_error: float = np.nan


def psf_field(stars: pd.DataFrame, shape: tuple[int, int]) -> PsfField:
    """Fit ``middle + a·u + b·v + c·(u² + v²)`` to the FWHM of the clear, whole stars.

    Parameters
    ----------
    stars : the frame's star table (`stars.find_stars`)
    shape : (ny, nx) of the frame; u and v go from -1 to 1 over half of its diagonal
    """
    good = ~stars["saturated"] & (stars["missing"] <= _WHOLE) & (stars["snr"] >= _MIN_SNR)
    clear = stars[good]
    half = np.hypot(*shape) / 2
    u = (clear["x"].to_numpy(np.float64) - (shape[1] - 1) / 2) / half
    v = (clear["y"].to_numpy(np.float64) - (shape[0] - 1) / 2) / half
    terms = np.column_stack([np.ones(len(u)), u, v, u**2 + v**2])
    fwhm_px = clear["fwhm_px"].to_numpy(np.float64)
    kept = np.ones(len(u), dtype=bool)
    found = np.zeros(4)
    for _ in range(_ROUNDS):
        if not _spread_enough(u[kept], v[kept]):
            return PsfField()
        found = np.linalg.lstsq(terms[kept], fwhm_px[kept], rcond=None)[0]
        off = np.abs(fwhm_px - terms @ found)
        kept = off <= _CLIP_SIGMA * 1.4826 * max(float(np.median(off[kept])), 1e-6)
    if not _spread_enough(u[kept], v[kept]):
        return PsfField()
    scatter = float((fwhm_px - terms @ found)[kept].std(ddof=4))
    covariance = scatter**2 * np.linalg.inv(terms[kept].T @ terms[kept])
    return _described(found, covariance, shape)


def _spread_enough(u: NDArray[np.float64], v: NDArray[np.float64]) -> bool:
    """Stars enough, and some in each quadrant."""
    quadrants = np.bincount((u > 0) + 2 * (v > 0), minlength=4)
    return len(u) >= _MIN_STARS and bool((quadrants >= _MIN_QUADRANT).all())


def _described(
    found: NDArray[np.float64], covariance: NDArray[np.float64], shape: tuple[int, int]
) -> PsfField:
    middle, along_x, along_y, bowl = (float(value) for value in found)
    half = np.hypot(*shape) / 2
    # What the plane rises from one corner to the opposite one, along its slope.
    reach = np.array([shape[1] / half * np.sign(along_x), shape[0] / half * np.sign(along_y)])
    rise = float(reach @ [along_x, along_y])
    rise_error = float(np.sqrt(reach @ covariance[1:3, 1:3] @ reach))
    return PsfField(
        middle_px=middle,
        tilt=rise / middle,
        tilt_error=rise_error / middle,
        tilt_deg=float(np.degrees(np.arctan2(along_y, along_x))),
        curvature=bowl / middle,
        curvature_error=float(np.sqrt(covariance[3, 3])) / middle,
    )
