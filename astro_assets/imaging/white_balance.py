"""What makes white white: factors for the channels, from stars.

What belongs here: the stars' colours as recorded, and against a catalogue's. What does not: the
mixture of filters (`mixture`), the picture (`color`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import sep
from numba import njit
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.imaging.local_sky import local_sky
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.match import nearest_pairs
from astro_assets.imaging.stars import find_stars
from astro_assets.imaging.threads import over_rows

SOLAR_COLOR = {"B-V": 0.653, "BP-RP": 0.818}
"""Colour of the Sun, a G2V star (Ramírez et al. 2012, ApJ 752, 5; Casagrande & VandenBerg 2018,
MNRAS 479, L102)."""

_MIN_STARS = 5
_MIN_CALIBRATORS = 8
_MIN_RANGE_MAG = 0.2
"""of the stars' catalogue colours, 10th to 90th percentile: less tells no slope"""
_MOST_OUTSIDE_MAG = 0.3
"""as far as the Sun's colour may lie outside of the stars'"""
_MOST_SCATTER_MAG = 0.3
_LEAST_SLOPE = 0.3
"""that red over blue rises with the catalogue's colour; for usual filters it is above 1"""
_MIN_SNR = 20.0
_MOST_STARS = 400
_APERTURE_FWHM = 2.8
_RING_FWHM = (4.0, 6.0)
_CLIP_SIGMA = 3.0
_ROUNDS = 5
_THIRD = np.float32(1 / 3)
_BLANK, _FULL = np.uint8(MaskBit.NO_DATA), np.uint8(MaskBit.SATURATED)


@dataclass(frozen=True)
class KnownColors:
    """Catalogue stars in the picture.

    x, y : (n,) 0-based pixels
    color_mag : (n,) magnitudes of the index
    index : ``B-V`` or ``BP-RP``
    catalogue : its name, for the header
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    color_mag: NDArray[np.float64]
    index: str
    catalogue: str


@dataclass(frozen=True)
class StarColors:
    """Stars that show in all three channels.

    x, y : (n,) 0-based pixels
    flux_e : (3, n) electrons in red, green and blue
    number : (n,) their labels in the table of stars
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux_e: NDArray[np.float64]
    number: NDArray[np.intp]


@dataclass(frozen=True)
class Balance:
    """Factors for red, green and blue; green's is 1.

    white : what the factors make white: ``G2V star``, ``average star`` or ``not balanced``
    n_stars : stars that it rests on
    error : of the factors of red and blue, relative
    slopes : magnitudes that red over green and blue over green change per magnitude of the
        catalogue's index; zeros without a catalogue
    source : the catalogue, or why none was used
    """

    factors: tuple[float, float, float]
    white: str
    n_stars: int
    error: float
    slopes: tuple[float, float]
    source: str


def bright_stars(
    rgb: Sequence[NDArray[np.float32]], saturated: NDArray[np.bool_]
) -> pd.DataFrame | None:
    """The stars of three planes, found on their mean, that tell colours; None without any.

    Parameters
    ----------
    rgb : (ny, nx) electrons each, NaN is no data
    saturated : (ny, nx) bool, in any of them

    Returns
    -------
    As `stars.find_stars` gives them, those that `telling` picks.
    """
    seen, mask = _together(rgb, saturated)
    try:
        return telling(find_stars(seen, mask))
    except Unusable:
        return None


def telling(stars: pd.DataFrame) -> pd.DataFrame:
    """The brightest of a table that are not saturated and clear enough to tell a colour."""
    return stars[~stars["saturated"] & (stars["snr"] >= _MIN_SNR)].head(_MOST_STARS)


def star_colors(
    rgb: Sequence[NDArray[np.float32]],
    saturated: NDArray[np.bool_],
    stars: pd.DataFrame | None = None,
    fwhm_px: float = 0.0,
) -> StarColors:
    """Measure stars of three planes in one aperture, wide enough for the widest.

    Parameters
    ----------
    rgb : (ny, nx) electrons each, NaN is no data
    saturated : (ny, nx) bool, in any of them
    stars : those to measure, where they are known already, as `bright_stars` gives them
    fwhm_px : of the least sharp plane, where that is known to be more than the stars'
    """
    if stars is None:
        stars = bright_stars(rgb, saturated)
    if stars is None or len(stars) == 0:
        return StarColors(np.empty(0), np.empty(0), np.empty((3, 0)), np.empty(0, np.intp))
    x, y = stars["x"].to_numpy(np.float64), stars["y"].to_numpy(np.float64)
    fwhm_px = max(float(stars["fwhm_px"].median()), fwhm_px)
    radius_px = _APERTURE_FWHM * fwhm_px
    area_px2 = np.pi * radius_px**2
    hidden = _hidden(rgb, saturated)
    fluxes = []
    for plane in rgb:
        sky = local_sky(plane, hidden, x, y, _RING_FWHM[0] * fwhm_px, _RING_FWHM[1] * fwhm_px)
        # Flags tell a circle that is cut by the border or by a hidden pixel.
        flux, _, flags = sep.sum_circle(plane, x, y, radius_px, mask=hidden, subpix=5)
        flux = flux - area_px2 * sky.level
        known = (flags == 0) & (flux > _MIN_SNR / 2 * area_px2 * sky.error)
        fluxes.append(np.where(known & (flux > 0), flux, np.nan))
    flux_e = np.array(fluxes)
    in_all = np.isfinite(flux_e).all(axis=0)
    number = stars.index.to_numpy()[in_all]
    return StarColors(x[in_all], y[in_all], flux_e[:, in_all], number)


def _together(
    rgb: Sequence[NDArray[np.float32]], saturated: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The mean of the channels, 0 where one is blank, and what not to look at in it."""
    seen, mask = np.empty(saturated.shape, np.float32), np.empty(saturated.shape, np.uint8)
    red, green, blue = (np.ascontiguousarray(plane, np.float32) for plane in rgb)
    over_rows(
        lambda top, bottom: _together_rows(red, green, blue, saturated, top, bottom, seen, mask),
        len(seen),
    )
    return seen, mask


def _hidden(rgb: Sequence[NDArray[np.float32]], saturated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a channel is blank or saturated."""
    hidden = np.empty(saturated.shape, bool)
    planes = tuple(np.ascontiguousarray(plane, np.float32) for plane in rgb)
    over_rows(lambda y0, y1: _hidden_rows(planes, saturated, y0, y1, hidden), len(hidden))
    return hidden


@njit(cache=True, nogil=True, error_model="numpy")
def _together_rows(
    red: Any, green: Any, blue: Any, saturated: Any, top: int, bottom: int, seen: Any, mask: Any
) -> None:
    for y in range(top, bottom):
        for x in range(seen.shape[1]):
            mean = (red[y, x] + green[y, x] + blue[y, x]) * _THIRD
            blank = not abs(mean) < np.float32(np.inf)
            seen[y, x] = np.float32(0) if blank else mean
            mask[y, x] = _BLANK * blank | _FULL * saturated[y, x]


@njit(cache=True, nogil=True, error_model="numpy")
def _hidden_rows(planes: Any, saturated: Any, top: int, bottom: int, hidden: Any) -> None:
    red, green, blue = planes
    for y in range(top, bottom):
        for x in range(hidden.shape[1]):
            mean = (red[y, x] + green[y, x] + blue[y, x]) * _THIRD
            hidden[y, x] = saturated[y, x] | (not abs(mean) < np.float32(np.inf))


def balance(stars: StarColors, known: KnownColors | None, why_not: str = "") -> Balance:
    """Factors that make a star of the Sun's colour white, else the average star.

    The logarithm of each channel over green goes as a straight line with the catalogue's colour
    (clipped, after Theil 1950 and Sen 1968); its value at the Sun's colour is taken out.

    Parameters
    ----------
    known : catalogue stars, where there are any
    why_not : a clause that says why not, where there are none
    """
    n_stars = len(stars.x)
    if n_stars < _MIN_STARS:
        return Balance(
            (1.0, 1.0, 1.0), "not balanced", 0, 0.0, (0.0, 0.0),
            f"only {n_stars} stars show in all channels, {_MIN_STARS} are needed",
        )  # fmt: skip
    if known is not None:
        calibrated = _by_catalogue(stars, known)
        if isinstance(calibrated, Balance):
            return calibrated
        why_not = calibrated
    red, green, blue = stars.flux_e
    spread = max(_spread(green / red), _spread(green / blue))
    return Balance(
        (float(np.median(green / red)), 1.0, float(np.median(green / blue))),
        "average star", n_stars, float(1.25 * spread / np.sqrt(n_stars)), (0.0, 0.0),
        why_not,
    )  # fmt: skip


def _by_catalogue(stars: StarColors, known: KnownColors) -> Balance | str:
    """The balance against the catalogue, or a clause that says why there is none."""
    there, partner = nearest_pairs(
        np.column_stack([stars.x, stars.y]), np.column_stack([known.x, known.y]), within_px=3.0
    )
    color_mag = known.color_mag[partner]
    finite = np.isfinite(color_mag)
    there, color_mag = there[finite], color_mag[finite]
    if len(there) < _MIN_CALIBRATORS:
        return f"only {len(there)} stars have a colour in {known.catalogue}"
    solar = SOLAR_COLOR[known.index]
    low, high = np.percentile(color_mag, (10, 90))
    if (
        high - low < _MIN_RANGE_MAG
        or not low - _MOST_OUTSIDE_MAG < solar < high + _MOST_OUTSIDE_MAG
    ):
        return f"the stars' colours in {known.catalogue} say nothing about one like the Sun's"
    red, green, blue = stars.flux_e[:, there]
    (at_red, slope_red, scatter_red, n_red), (at_blue, slope_blue, scatter_blue, n_blue) = (
        _line(color_mag - solar, 2.5 * np.log10(channel / green)) for channel in (red, blue)
    )
    scatter = max(scatter_red, scatter_blue)
    if scatter > _MOST_SCATTER_MAG or slope_red - slope_blue < _LEAST_SLOPE:
        return f"the stars' colours do not follow those in {known.catalogue}"
    n_stars = min(n_red, n_blue)
    return Balance(
        (float(10 ** (-0.4 * at_red)), 1.0, float(10 ** (-0.4 * at_blue))),
        "G2V star",
        n_stars,
        float(0.92 * scatter / np.sqrt(n_stars)),
        (slope_red, slope_blue),
        f"{known.index} of {known.catalogue}",
    )


def _line(
    color_mag: NDArray[np.float64], ratio_mag: NDArray[np.float64]
) -> tuple[float, float, float, int]:
    """Value at 0, slope, scatter and number of the points that a straight line fits."""
    # Loaded where it is used: it is large, and most pictures have no catalogue of colours.
    from scipy.stats import theilslopes

    slope, at_0 = theilslopes(ratio_mag, color_mag)[:2]
    kept = np.ones(len(color_mag), bool)
    scatter = 0.0
    for _ in range(_ROUNDS):
        off = ratio_mag - at_0 - slope * color_mag
        scatter = max(_spread(off[kept]), 1e-4)
        now = np.abs(off) <= _CLIP_SIGMA * scatter
        if np.count_nonzero(now) < _MIN_CALIBRATORS:
            break
        slope, at_0 = np.polyfit(color_mag[now], ratio_mag[now], 1)
        if (now == kept).all():
            break
        kept = now
    return float(at_0), float(slope), scatter, int(np.count_nonzero(kept))


def _spread(values: NDArray[np.float64]) -> float:
    """Standard deviation from the median absolute deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
