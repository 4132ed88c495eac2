"""From electrons to magnitudes: zero point, limiting magnitude, transparency.

What belongs here: what one frame's matched stars say about its depth. What does not: measuring
fluxes (`stars`), whether a frame is good enough (`quality`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_MIN_STARS = 3
_MIN_SNR = 15.0
_CLIP_SIGMA = 3.0
_NOISE_AREA = 2.266
"""Equivalent-noise area of a Gaussian star in FWHM² (King 1983, PASP 95, 163)."""


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """The magnitude of a star that gives one electron per second.

    mag : in the catalogue's band, without a colour term
    error : of ``mag``, from the scatter of the stars
    n : stars it rests on
    """

    mag: float
    error: float
    n: int


def zero_point(stars: pd.DataFrame, matches: pd.DataFrame, exposure_s: float) -> ZeroPoint | None:
    """Compare matched stars with their catalogue magnitudes.

    Parameters
    ----------
    stars : the frame's star table
    matches : `Solution.matches`: ``star`` (row in ``stars``) and ``mag``
    exposure_s : exposure time, seconds

    Returns
    -------
    The clipped mean; None where fewer than three unsaturated stars above 15 σ have a magnitude,
    or the exposure time is zero.
    """
    rows = stars.iloc[matches["star"].to_numpy(dtype=np.intp)]
    mag = matches["mag"].to_numpy(dtype=np.float64)
    clean = ~rows["saturated"].to_numpy(dtype=bool) & (rows["snr"].to_numpy() >= _MIN_SNR)
    clean &= np.isfinite(mag)
    if exposure_s <= 0 or clean.sum() < _MIN_STARS:
        return None
    each = mag[clean] + 2.5 * np.log10(rows["flux_e"].to_numpy()[clean] / exposure_s)
    off = np.abs(each - np.median(each))
    kept = each[off <= max(_CLIP_SIGMA * 1.4826 * float(np.median(off)), 0.02)]
    error = float(kept.std(ddof=1) / np.sqrt(len(kept)))
    return ZeroPoint(float(kept.mean()), error, len(kept))


def limiting_magnitude(
    zero_point_mag: float,
    *,
    noise_e: float,
    fwhm_px: float,
    exposure_s: float,
    gain: float = 1.0,
    significance: float = 5.0,
) -> float:
    """The magnitude of a star that stands ``significance`` above its noise.

    Noise is that of the sky below a star of this FWHM, weighted with the star's profile, and the
    star's own photons.

    Parameters
    ----------
    noise_e : standard deviation of one pixel of sky, electrons
    gain : electrons per unit of the image
    """
    sky_variance = _NOISE_AREA * fwhm_px**2 * noise_e**2
    half = significance**2 / (2 * gain)
    flux_e = half + np.sqrt(half**2 + significance**2 * sky_variance)
    return float(zero_point_mag - 2.5 * np.log10(flux_e / exposure_s))


def transparency(zero_point_mag: float, reference_mag: float) -> float:
    """Share of the light that arrives, relative to a frame with the reference zero point."""
    return float(10 ** (0.4 * (zero_point_mag - reference_mag)))
