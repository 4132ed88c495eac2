"""From electrons to magnitudes: zero point, limiting magnitude, sky, transparency.

What belongs here: what one frame's matched stars say about its depth. What does not: measuring
fluxes (`stars`), whether a frame is good enough (`quality`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_MIN_STARS = 3
_MIN_SNR = 15.0
_CLIP_SIGMA = 3.0
_NOISE_AREA = 3.45
"""Equivalent-noise area of a Moffat star of beta 3.5 in FWHM² (King 1983, PASP 95, 163)."""
_WHOLE = 0.02
"""Share of a star's light on unusable pixels from which on its flux is a guess."""


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
    clean = measurable(rows) & np.isfinite(mag)
    if exposure_s <= 0 or clean.sum() < _MIN_STARS:
        return None
    each = mag[clean] + 2.5 * np.log10(rows["flux_e"].to_numpy()[clean] / exposure_s)
    off = np.abs(each - np.median(each))
    kept = each[off <= max(_CLIP_SIGMA * 1.4826 * float(np.median(off)), 0.02)]
    error = float(kept.std(ddof=1) / np.sqrt(len(kept)))
    return ZeroPoint(float(kept.mean()), error, len(kept))


def measurable(rows: pd.DataFrame) -> np.ndarray:
    """(n,) bool: stars whose flux can be trusted: clear, whole, not saturated."""
    clear = (rows["snr"] >= _MIN_SNR) & ~rows["saturated"].astype(bool)
    return np.asarray(clear & (rows["missing"] <= _WHOLE) & (rows["flux_e"] > 0), dtype=bool)


def limiting_magnitude(
    zero_point_mag: float,
    *,
    noise_e: float,
    fwhm_px: float,
    exposure_s: float,
    gain: float = 1.0,
    significance: float = 5.0,
    noise_area_fwhm2: float = _NOISE_AREA,
) -> float:
    """The magnitude of a star that stands ``significance`` above its noise.

    Noise is that of the sky below a star of this FWHM, weighted with the star's profile, and the
    star's own photons.

    Parameters
    ----------
    noise_e : standard deviation of one pixel of sky, electrons
    gain : electrons per unit of the image
    noise_area_fwhm2 : of the stars' profile (`profile.Profile`)
    """
    sky_variance = noise_area_fwhm2 * fwhm_px**2 * noise_e**2
    half = significance**2 / (2 * gain)
    flux_e = half + np.sqrt(half**2 + significance**2 * sky_variance)
    return float(zero_point_mag - 2.5 * np.log10(flux_e / exposure_s))


def sky_brightness(
    zero_point_mag: float, *, sky_e: float, exposure_s: float, scale_arcsec: float
) -> float:
    """Brightness of the sky, magnitudes per square arcsecond in the zero point's band.

    NaN where the sky is not above zero, as in frames whose background has been taken off.

    Parameters
    ----------
    sky_e : level of one pixel without stars
    scale_arcsec : arcseconds per pixel
    """
    if not (sky_e > 0 and exposure_s > 0 and scale_arcsec > 0):
        return float("nan")
    return float(zero_point_mag - 2.5 * np.log10(sky_e / exposure_s / scale_arcsec**2))


def transparency(zero_point_mag: float, reference_mag: float) -> float:
    """Share of the light that arrives, relative to a frame with the reference zero point."""
    return float(10 ** (0.4 * (zero_point_mag - reference_mag)))
