"""Stars: where they are, how bright, how sharp.

What belongs here: detection and the star table. What does not: the sky (`background`), the shape
kernel (`moments`), names of stars (`solve`).
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astro_assets.imaging.aperture import Sums, half_flux_radius, sum_within
from astro_assets.imaging.background import Background, background
from astro_assets.imaging.detect import find_peaks, near_saturation
from astro_assets.imaging.local_sky import LocalSky, local_sky
from astro_assets.imaging.matched_filter import Signal, noise_correlation, signal_above
from astro_assets.imaging.moments import Moments, adaptive_moments
from astro_assets.imaging.profile import GAUSSIAN, Profile, common_profile, growth

COLUMNS = (
    "x",
    "y",
    "flux_e",
    "flux_err_e",
    "peak_e",
    "snr",
    "fwhm_px",
    "fwhm_major_px",
    "fwhm_minor_px",
    "elongation",
    "angle_deg",
    "hfr_px",
    "saturated",
    "missing",
)

_APERTURE_FWHM = 1.25
_GROWTH_FWHM = 2.5
"""The growth is measured as far as this: neighbours and nebulae reach a wider aperture."""
_HALF_FLUX_REACH_FWHM = 4.0
_RING_FWHM = (4.0, 6.0)
_USUAL_FWHM = 2.15
"""FWHM in adaptive sigmas, before the frame's profile is known."""
_OWN_SCATTER = 0.002
"""Share of the flux that the pixel grid makes uncertain, however bright a star is."""
_GUESSED = 0.3
"""Error of what is put in for a star's light on missing pixels, as a share of it."""
_MIN_APERTURE_SNR = 3.0
_MODEL_STARS = 100
_MODEL_SNR = 40
_MIN_SIGMA_PX = 0.5
_WHOLE = 0.02
"""Share of a star's light that may fall on pixels that are no use, and it still counts as whole."""
_ONE_STAR_FWHM = 0.4
_CLEAR_SNR = 20.0
_ENOUGH = 5


DETECTION_SIGMA = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """A frame's stars and the profile that they share.

    stars : table with the columns of `COLUMNS`, brightest first
    """

    stars: pd.DataFrame
    profile: Profile


def find_stars(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    gain: float = 1.0,
    saturation_e: float | None = None,
    threshold_sigma: float = DETECTION_SIGMA,
    sky: Background | None = None,
) -> pd.DataFrame:
    """Find and measure the stars of one image.

    The FWHM is that of the stars' common profile as recorded, the pixel's own width included: each
    star's adaptive sigma times the frame's ratio of FWHM to sigma, from a Moffat profile through
    its brightest stars. Fluxes are sums in an aperture of 1.25 FWHM above the sky in a ring of 4 to
    6 FWHM, scaled to the whole star by the bright stars' growth to 2.5 FWHM and the profile beyond.

    Parameters
    ----------
    image : (ny, nx) float32, electrons
    mask : (ny, nx) uint8 with the bits of `MaskBit`; saturated stars are found and marked,
        other unusable pixels are not looked at
    gain : electrons per unit of the image, for the photon noise
    saturation_e : stars whose peak comes near this are marked as saturated
    threshold_sigma : significance of the detection, in the matched filter
    sky : the image's background, where it is known already

    Returns
    -------
    Table with the columns of `COLUMNS`, brightest first; empty for an empty field. ``x``, ``y``
    0-based; ``angle_deg`` of the long axis from +x towards +y; ``hfr_px`` the radius that holds
    half of the flux; ``missing`` the share of the star's light in its aperture that falls on
    unusable pixels or beyond the border: the flux is scaled for it, the error too.

    Raises
    ------
    Unusable : no pixel is usable
    """
    found = stars_and_profile(
        image,
        mask,
        gain=gain,
        saturation_e=saturation_e,
        threshold_sigma=threshold_sigma,
        sky=sky,
    )
    return found.stars


def stars_and_profile(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    gain: float = 1.0,
    saturation_e: float | None = None,
    threshold_sigma: float = DETECTION_SIGMA,
    sky: Background | None = None,
) -> Found:
    """`find_stars`, and the profile behind its widths and fluxes."""
    sky = background(image, mask) if sky is None else sky
    correlation = noise_correlation(image, mask, sky)
    signal, above = signal_above(image, mask, sky, threshold_sigma * correlation)
    found = find_peaks(signal, above, sky, gain=gain, correlation=correlation)
    if len(found) == 0:
        return Found(_empty(), GAUSSIAN)
    shapes = adaptive_moments(signal.light, found.x, found.y, found.sigma_px)
    saturated = near_saturation(image, mask, found.peak_x, found.peak_y, saturation_e)
    saturated |= near_saturation(image, mask, found.x, found.y, saturation_e)
    noise_e = correlation * sky.rms_at(shapes.x, shapes.y)
    light = _Light(signal, shapes, noise_e, gain)
    table, profile = _measure(light, _model_stars(light, saturated))
    table["peak_e"] = found.peak_e
    table["saturated"] = saturated
    table = table[_plausible(table, shapes)]
    table = table.sort_values("flux_e", ascending=False, ignore_index=True)
    stars = table.loc[_first_of_each(table), list(COLUMNS)].reset_index(drop=True)
    return Found(stars, profile)


def seeing(stars: pd.DataFrame) -> tuple[float, float]:
    """Median FWHM (px) and elongation of a frame's good stars; NaN when there are none."""
    sharp = sharp_stars(stars)
    if sharp.empty:
        return float("nan"), float("nan")
    return float(sharp["fwhm_px"].median()), float(sharp["elongation"].median())


def sharp_stars(stars: pd.DataFrame) -> pd.DataFrame:
    """The stars that tell a frame's sharpness: whole, not saturated, and clear if there are any."""
    good = stars[~stars["saturated"] & (stars["missing"] <= _WHOLE)]
    clear = good[good["snr"] >= _CLEAR_SNR]
    return clear if len(clear) >= _ENOUGH else good


@dataclass(frozen=True, slots=True)
class _Light:
    """The frame's light, and where its stars are.

    noise_e : (n,) of one pixel of sky
    sigma_px : of a whole star, once it is known: bad pixels make the star's own too small
    """

    signal: Signal
    shapes: Moments
    noise_e: NDArray[np.float64]
    gain: float
    sigma_px: float | None = None

    def sky(self, inner_px: float, outer_px: float) -> LocalSky:
        """What the mesh has left of the sky around each star."""
        s = self.shapes
        return local_sky(self.signal.light, self.signal.hidden, s.x, s.y, inner_px, outer_px)

    def within(self, radius_px: NDArray[np.float64] | float, sky: LocalSky | None = None) -> Sums:
        """What is inside ``radius_px``, above ``sky``."""
        s = self.shapes
        sums = sum_within(
            self.signal.light, self.signal.hidden, s.x, s.y, radius_px,
            level_e=0.0 if sky is None else sky.level, noise_e=self.noise_e, gain=self.gain,
            sigma_px=s.sigma_px if self.sigma_px is None else self.sigma_px,
        )  # fmt: skip
        if sky is None:
            return sums
        of_sky = np.pi * np.square(radius_px) * sky.error
        return replace(sums, variance=sums.variance + of_sky**2)


def _measure(light: _Light, model: NDArray[np.intp]) -> tuple[pd.DataFrame, Profile]:
    """Photometry and sizes at the measured positions."""
    shapes = light.shapes
    long_px, short_px = shapes.axes_px
    stretch = np.sqrt(long_px / short_px)
    about_px = _USUAL_FWHM * _typical(shapes.sigma_px * stretch, model)
    inner, outer = _RING_FWHM
    sky = light.sky(inner * about_px, outer * about_px)
    profile = common_profile(
        light.signal.light, shapes, model, level_e=sky.level, noise_e=light.noise_e
    )
    major_px, minor_px = profile.fwhm_px(long_px), profile.fwhm_px(short_px)
    typical_px = _typical(major_px, model)
    light = replace(light, sigma_px=_typical(shapes.sigma_px, model))
    near = light.within(_APERTURE_FWHM * typical_px, sky)
    wide = light.within(_GROWTH_FWHM * typical_px, sky)
    whole = growth(near.flux[model], wide.flux[model], np.sqrt(wide.variance[model]))
    whole /= profile.share_within(_GROWTH_FWHM)
    error = np.sqrt(np.maximum(near.variance, 1e-12))
    error = np.hypot(error, (_OWN_SCATTER + _GUESSED * near.missing) * near.flux)
    table = pd.DataFrame(
        {
            "x": shapes.x,
            "y": shapes.y,
            "flux_e": near.flux * whole,
            "flux_err_e": error * whole,
            "snr": near.flux / error,
            "fwhm_px": np.sqrt(major_px * minor_px),
            "fwhm_major_px": major_px,
            "fwhm_minor_px": minor_px,
            "elongation": major_px / minor_px,
            "angle_deg": shapes.angle_deg,
            "hfr_px": half_flux_radius(
                light.signal.light, light.signal.hidden, shapes.x, shapes.y, near.flux * whole,
                _HALF_FLUX_REACH_FWHM * typical_px, sky.level,
            ),
            "missing": near.missing,
        }
    )  # fmt: skip
    return table, profile


def _typical(width_px: NDArray[np.float64], model: NDArray[np.intp]) -> float:
    """The width that the frame's apertures follow."""
    return float(np.median(width_px[model] if len(model) else width_px))


def _model_stars(light: _Light, saturated: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The stars that show the frame's profile: bright, settled, whole, alone, of the common size.

    Brightest first.
    """
    shapes = light.shapes
    sums = light.within(2.5 * shapes.axes_px[0])
    bright = sums.flux > _MODEL_SNR * light.noise_e * 3.5 * shapes.sigma_px
    whole = sums.missing <= _WHOLE
    good = shapes.ok & bright & whole & ~saturated & (shapes.sigma_px > _MIN_SIGMA_PX)
    usable = np.flatnonzero(good)
    if len(usable) < 2:
        return usable
    size = np.median(shapes.sigma_px[usable])
    usable = usable[np.abs(shapes.sigma_px[usable] / size - 1) < 0.3]
    where = np.column_stack([shapes.x, shapes.y])
    nearest_px = cKDTree(where).query(where[usable], k=2)[0][:, 1]
    alone = usable[nearest_px > 10 * size]
    return np.asarray(alone[np.argsort(sums.flux[alone])[::-1][:_MODEL_STARS]])


def _plausible(table: pd.DataFrame, shapes: Moments) -> NDArray[np.bool_]:
    """Light that an aperture confirms, and not sharper than a star can be (hot pixels, rays)."""
    real = table["snr"].to_numpy() >= _MIN_APERTURE_SNR
    bright = real & shapes.ok
    typical_px = float(np.median(shapes.sigma_px[bright])) if bright.any() else 0.0
    sharp = shapes.sigma_px < max(_MIN_SIGMA_PX, 0.5 * typical_px)
    # A saturated core is flat, and its shape may not settle; it is a star all the same.
    return np.asarray((bright & ~sharp) | (table["saturated"] & real), dtype=bool)


def _first_of_each(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Two peaks of one smeared star settle on the same centre: the brighter one stays."""
    kept = np.ones(len(table), dtype=bool)
    where = table[["x", "y"]].to_numpy()
    apart_px = _ONE_STAR_FWHM * table["fwhm_minor_px"].to_numpy()
    near = cKDTree(where).query_pairs(float(apart_px.max(initial=0.0)), output_type="ndarray")
    distance = np.hypot(*(where[near[:, 0]] - where[near[:, 1]]).T)
    for first, second in near[distance < apart_px[near.min(axis=1)]] if len(near) else ():
        kept[max(first, second)] = False
    return kept


def _empty() -> pd.DataFrame:
    table = pd.DataFrame({column: np.empty(0) for column in COLUMNS})
    return table.astype({"saturated": bool})
