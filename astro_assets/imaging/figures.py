"""The numbers of one frame: the columns of the table that say what it is like.

What belongs here: what the numbers mean, and those that the star table alone gives. What does not:
the verdict on them (`quality`), magnitudes (`photometry`).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from astro_assets.imaging.psf_field import psf_field
from astro_assets.imaging.stars import sharp_stars

_CIRCULAR_SIGMA = 3.0
_MEDIAN_ERROR = 1.2533
"""Error of a median in units of that of a mean, for a Gaussian."""
_LEAST_SCATTER = 0.02
"""of the elongation: noise makes round stars seem elongated, never the other way"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of one frame. NaN, and 0 for counts, for what could not be measured.

    filter, exposure_s : frames that share both are compared
    n_stars : stars found; detection_sigma their least significance
    n_photometry : those with a flux that counts: neither saturated nor cut by bad pixels or borders
    n_saturated, n_saturated_px : stars and pixels that are saturated, as the raw data tell
    brightest_e_s, median_e_s, faintest_e_s : electrons per second of the stars with such a flux
    fwhm_px, fwhm_arcsec, elongation, hfr_px : medians of the good stars; fwhm_err_px,
        fwhm_err_arcsec the error of the median; n_fwhm the stars that it rests on
    fwhm_major_px, fwhm_minor_px, angle_deg : of the median ellipse; long axis from +x towards +y
    circular : the ellipse is no ellipse within its scatter
    psf_tilt, psf_tilt_error, psf_tilt_deg, psf_curvature, psf_curvature_error : `psf_field`
    background_e, noise_e : sky of one pixel and its standard deviation
    sky_mag_arcsec2 : brightness of the sky, stars left out, in the catalogue's band; by the zero
        point of the session's clearest frame
    scale_arcsec, scale_x_arcsec, scale_y_arcsec : arcseconds per pixel; mean, along rows, columns
    width_px, height_px, width_deg, height_deg : of the frame
    residual_arcsec, n_matched : of the plate solution; NaN and 0 without one
    zero_point_mag, zero_point_error_mag, limiting_mag : in the catalogue's band; n_zero_point the
        stars that the zero point rests on
    """

    filter: str
    exposure_s: float
    n_stars: int
    fwhm_px: float
    elongation: float
    hfr_px: float
    background_e: float
    noise_e: float
    fwhm_arcsec: float = math.nan
    scale_arcsec: float = math.nan
    residual_arcsec: float = math.nan
    n_matched: int = 0
    zero_point_mag: float = math.nan
    zero_point_error_mag: float = math.nan
    limiting_mag: float = math.nan
    n_zero_point: int = 0
    sky_mag_arcsec2: float = math.nan
    detection_sigma: float = math.nan
    n_photometry: int = 0
    n_saturated: int = 0
    n_saturated_px: int = 0
    brightest_e_s: float = math.nan
    median_e_s: float = math.nan
    faintest_e_s: float = math.nan
    n_fwhm: int = 0
    fwhm_err_px: float = math.nan
    fwhm_err_arcsec: float = math.nan
    fwhm_major_px: float = math.nan
    fwhm_minor_px: float = math.nan
    angle_deg: float = math.nan
    circular: bool = False
    psf_tilt: float = math.nan
    psf_tilt_error: float = math.nan
    psf_tilt_deg: float = math.nan
    psf_curvature: float = math.nan
    psf_curvature_error: float = math.nan
    width_px: int = 0
    height_px: int = 0
    width_deg: float = math.nan
    height_deg: float = math.nan
    scale_x_arcsec: float = math.nan
    scale_y_arcsec: float = math.nan

    @property
    def solved(self) -> bool:
        return self.n_matched > 0


def star_figures(stars: pd.DataFrame, shape: tuple[int, int], exposure_s: float) -> dict[str, Any]:
    """The figures that a star table gives, by the names of `Figures`.

    Parameters
    ----------
    stars : `stars.find_stars`
    shape : (ny, nx) of the frame
    exposure_s : 0 where nobody knows: then there are no rates
    """
    sharp = sharp_stars(stars)
    field = psf_field(stars, shape)
    flux = stars.loc[~stars["saturated"] & (stars["missing"] == 0), "flux_e"].to_numpy()
    rates = flux / exposure_s if exposure_s > 0 and len(flux) else np.array([math.nan])
    fwhm_err_px = _error(sharp["fwhm_px"])
    return {
        "n_stars": len(stars),
        "n_photometry": len(flux),
        "n_saturated": int(stars["saturated"].sum()),
        "brightest_e_s": float(rates.max()),
        "median_e_s": float(np.median(rates)),
        "faintest_e_s": float(rates.min()),
        "hfr_px": _median(sharp["hfr_px"]),
        "n_fwhm": len(sharp),
        "fwhm_err_px": fwhm_err_px,
        **_ellipse(sharp),
        "psf_tilt": field.tilt,
        "psf_tilt_error": field.tilt_error,
        "psf_tilt_deg": field.tilt_deg,
        "psf_curvature": field.curvature,
        "psf_curvature_error": field.curvature_error,
        "height_px": shape[0],
        "width_px": shape[1],
    }


def _ellipse(sharp: pd.DataFrame) -> dict[str, Any]:
    """The frame's one ellipse: the median of each component, so that noise averages out.

    Each star's own noise gives it some elongation in a direction of its own. What all share is
    left when the components of the ellipse, which may cancel, are averaged.
    """
    if sharp.empty:
        return {}
    twice = np.radians(2 * sharp["angle_deg"].to_numpy(np.float64))
    ratio = sharp["elongation"].to_numpy(np.float64)
    ellipticity = (ratio - 1) / (ratio + 1)
    parts = [ellipticity * np.cos(twice), ellipticity * np.sin(twice)]
    cos, sin = (float(np.median(part)) for part in parts)
    common = float(np.hypot(cos, sin))
    scatter = max(*(_scatter(part) for part in parts), _LEAST_SCATTER / 2)
    stretch = math.sqrt((1 + common) / (1 - common))
    fwhm_px = _median(sharp["fwhm_px"])
    return {
        "fwhm_major_px": fwhm_px * stretch,
        "fwhm_minor_px": fwhm_px / stretch,
        "angle_deg": math.degrees(math.atan2(sin, cos)) / 2,
        "circular": common <= _CIRCULAR_SIGMA * scatter * _MEDIAN_ERROR / math.sqrt(len(sharp)),
    }


def _median(values: pd.Series) -> float:
    return float(values.median()) if len(values) else math.nan


def _error(values: pd.Series) -> float:
    """Of the median."""
    if len(values) < 2:
        return math.nan
    return _MEDIAN_ERROR * _scatter(values.to_numpy(np.float64)) / math.sqrt(len(values))


def _scatter(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
