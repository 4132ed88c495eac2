"""Stars: where they are, how bright, how sharp.

What belongs here: detection and the star table. What does not: the sky (`background`), the shape
kernel (`moments`), names of stars (`solve`).
"""

import numpy as np
import pandas as pd
import sep
from numpy.typing import NDArray
from scipy.ndimage import convolve, maximum_filter
from scipy.spatial import cKDTree

from astro_assets.imaging.background import Background, background
from astro_assets.imaging.local_sky import LocalSky, local_sky
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.moments import Moments, adaptive_moments
from astro_assets.imaging.profile import GAUSSIAN_FWHM, common_profile, growth

COLUMNS = (
    "x",
    "y",
    "flux_e",
    "flux_err_e",
    "peak_e",
    "snr",
    "fwhm_px",
    "elongation",
    "angle_deg",
    "hfr_px",
    "saturated",
)

_APERTURE_FWHM = 1.25
_GROWTH_FWHM = 2.5
"""The growth is measured as far as this: neighbours and nebulae reach a wider aperture."""
_HALF_FLUX_REACH_FWHM = 4.0
_RING_FWHM = (4.0, 6.0)
_MIN_FWHM_PX = 1.1
_MIN_APERTURE_SNR = 3.0
_MODEL_STARS = 100
_CORRELATION_PX = 1000
_MODEL_SNR = 40
_MIN_SIGMA_PX = 0.6
_FILTER_FWHM_PX = 3.0
_SATURATED_SHARE = 0.95


def find_stars(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    gain: float = 1.0,
    saturation_e: float | None = None,
    threshold_sigma: float = 5.0,
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
    half of the flux.

    Raises
    ------
    Unusable : no pixel is usable
    """
    sky = background(image, mask) if sky is None else sky
    hidden = _hidden(image, mask)
    signal = np.where(hidden, np.float32(0), image - sky.level).astype(np.float32)
    noise = sky.rms * np.float32(_correlation(signal, sky.rms, hidden))
    found = _detect(signal, noise, hidden, threshold_sigma)
    if len(found) == 0:
        return _empty()
    start = np.sqrt(np.maximum(found["a"] * found["b"], 0.25))
    shapes = adaptive_moments(signal, found["x"], found["y"], start)
    saturated = _saturated(image, mask, found, saturation_e)
    sums = _Sums(signal, noise, hidden, shapes, gain)
    table = _measure(sums, shapes, _model_stars(shapes, sums, saturated))
    table["peak_e"] = found["peak"].astype(float)
    table["saturated"] = saturated
    real = _plausible(table, shapes.ok)
    ordered = table[real].sort_values("flux_e", ascending=False, ignore_index=True)
    return ordered[list(COLUMNS)]


def seeing(stars: pd.DataFrame) -> tuple[float, float]:
    """Median FWHM (px) and elongation of a frame's good stars; NaN when there are none."""
    good = stars[~stars["saturated"]]
    clear = good[good["snr"] >= 20]
    sample = clear if len(clear) >= 5 else good
    if sample.empty:
        return float("nan"), float("nan")
    return float(sample["fwhm_px"].median()), float(sample["elongation"].median())


def _hidden(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that must not be looked at. A saturated core stays: it is a star."""
    bits = np.uint8(UNUSABLE & ~MaskBit.SATURATED)
    hidden: NDArray[np.bool_] = ((mask & bits) != 0) | ~np.isfinite(image)
    return hidden


def _correlation(
    signal: NDArray[np.float32], rms: NDArray[np.float32], hidden: NDArray[np.bool_]
) -> float:
    """By how much smoothing leaves more noise than it would if pixels were independent.

    They are not in debayered, resampled or smoothed images. Without this, a star of five sigma
    would be one of two or three, and noise would be counted as stars. 1 for independent pixels.
    """
    kernel = _matched_filter()
    top, left = (max(0, (side - _CORRELATION_PX) // 2) for side in signal.shape)
    part = np.s_[top : top + _CORRELATION_PX, left : left + _CORRELATION_PX]
    seen = ~hidden[part]
    plain = (signal[part] / rms[part]).astype(np.float32)
    smoothed = convolve(plain, kernel / np.sqrt((kernel**2).sum()), mode="constant")
    before, after = (_robust_sigma(image[seen]) for image in (plain, smoothed))
    return float(np.clip(after / before, 1.0, 4.0)) if before > 0 else 1.0


def _robust_sigma(values: NDArray[np.float32]) -> float:
    """From the lower half, which stars do not reach."""
    low, middle = np.percentile(values, [15.87, 50]) if values.size else (0.0, 0.0)
    return float(middle - low)


def _matched_filter() -> NDArray[np.float64]:
    offsets = np.arange(-2, 3)
    radius2 = offsets[:, None] ** 2 + offsets**2
    return np.asarray(np.exp(-radius2 / (2 * (_FILTER_FWHM_PX / GAUSSIAN_FWHM) ** 2)))


def _detect(
    signal: NDArray[np.float32],
    noise: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    threshold_sigma: float,
) -> NDArray[np.void]:
    """Groups of pixels above the noise of the matched filter."""
    sep.set_extract_pixstack(max(300_000, signal.size // 4))
    sep.set_sub_object_limit(8192)
    found: NDArray[np.void] = sep.extract(
        signal,
        threshold_sigma,
        err=noise,
        mask=hidden,
        minarea=5,
        filter_kernel=_matched_filter(),
        clean=False,  # it takes away faint stars as far as ten FWHM from bright ones
    )
    return found


class _Sums:
    """Sums of light around the stars' positions."""

    def __init__(
        self,
        signal: NDArray[np.float32],
        rms: NDArray[np.float32],
        hidden: NDArray[np.bool_],
        shapes: Moments,
        gain: float,
    ) -> None:
        self.signal, self.x, self.y = signal, shapes.x, shapes.y
        self._hidden = hidden
        self._arguments = {"err": rms, "mask": hidden, "gain": gain, "subpix": 5}
        rows = np.clip(self.y.round().astype(int), 0, signal.shape[0] - 1)
        columns = np.clip(self.x.round().astype(int), 0, signal.shape[1] - 1)
        self.noise_e = rms[rows, columns]

    def sky(self, inner_px: float, outer_px: float) -> LocalSky:
        """What the mesh has left of the sky around each star."""
        return local_sky(self.signal, self._hidden, self.x, self.y, inner_px, outer_px)

    def within(
        self, radius_px: NDArray[np.float64] | float, sky: LocalSky | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Flux and its error inside ``radius_px``, above ``sky``."""
        flux, error, _ = sep.sum_circle(self.signal, self.x, self.y, radius_px, **self._arguments)
        if sky is not None:
            area_px2 = np.pi * np.square(radius_px)
            flux = flux - area_px2 * sky.level
            error = np.hypot(error, area_px2 * sky.error)
        return flux, np.maximum(error, 1e-6)

    def half_flux_radius(self, reach_px: float, flux: NDArray[np.float64]) -> NDArray[np.float64]:
        """Radius that holds half of ``flux``."""
        radius, _ = sep.flux_radius(
            self.signal, self.x, self.y, np.full(len(flux), reach_px), 0.5,
            normflux=np.maximum(flux, 1e-6), subpix=5,
        )  # fmt: skip
        return np.asarray(radius)


def _measure(sums: _Sums, shapes: Moments, model: NDArray[np.intp]) -> pd.DataFrame:
    """Photometry and sizes at the measured positions."""
    long_px, short_px = shapes.axes_px
    profile = common_profile(sums.signal, shapes, model)
    fwhm_px = shapes.sigma_px * profile.fwhm_per_sigma
    typical_px = _typical(fwhm_px * np.sqrt(long_px / short_px), model)
    inner, outer = _RING_FWHM
    sky = sums.sky(inner * typical_px, outer * typical_px)
    flux, error = sums.within(_APERTURE_FWHM * typical_px, sky)
    wide, wide_error = sums.within(_GROWTH_FWHM * typical_px, sky)
    whole = growth(flux[model], wide[model], wide_error[model])
    whole /= profile.share_within(_GROWTH_FWHM)
    return pd.DataFrame(
        {
            "x": shapes.x,
            "y": shapes.y,
            "flux_e": flux * whole,
            "flux_err_e": error * whole,
            "snr": flux / error,
            "fwhm_px": fwhm_px,
            "elongation": long_px / short_px,
            "angle_deg": shapes.angle_deg,
            "hfr_px": sums.half_flux_radius(_HALF_FLUX_REACH_FWHM * typical_px, flux * whole),
        }
    )


def _typical(fwhm_px: NDArray[np.float64], model: NDArray[np.intp]) -> float:
    """The width that the frame's apertures follow."""
    return float(np.median(fwhm_px[model] if len(model) else fwhm_px))


def _model_stars(shapes: Moments, sums: _Sums, saturated: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The stars that show the frame's profile: bright, settled, alone, of the common size."""
    flux = sums.within(2.5 * shapes.axes_px[0])[0]
    bright = flux > _MODEL_SNR * sums.noise_e * 3.5 * shapes.sigma_px
    usable = np.flatnonzero(shapes.ok & bright & ~saturated & (shapes.sigma_px > _MIN_SIGMA_PX))
    if len(usable) < 2:
        return usable
    size = np.median(shapes.sigma_px[usable])
    usable = usable[np.abs(shapes.sigma_px[usable] / size - 1) < 0.3]
    where = np.column_stack([shapes.x, shapes.y])
    nearest_px = cKDTree(where).query(where[usable], k=2)[0][:, 1]
    alone = usable[nearest_px > 10 * size]
    return np.asarray(alone[np.argsort(flux[alone])[::-1][:_MODEL_STARS]])


def _saturated(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    found: NDArray[np.void],
    saturation_e: float | None,
) -> NDArray[np.bool_]:
    """Stars with a saturated pixel near their peak."""
    full = (mask & np.uint8(MaskBit.SATURATED)) != 0
    if saturation_e is not None:
        full |= image >= _SATURATED_SHARE * saturation_e
    if not full.any():
        return np.zeros(len(found), dtype=bool)
    near = maximum_filter(full, size=5)
    rows, columns = found["ypeak"], found["xpeak"]
    middle_rows = np.clip(found["y"].round().astype(int), 0, full.shape[0] - 1)
    middle_columns = np.clip(found["x"].round().astype(int), 0, full.shape[1] - 1)
    marked: NDArray[np.bool_] = near[rows, columns] | near[middle_rows, middle_columns]
    return marked


def _plausible(table: pd.DataFrame, settled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Light that an aperture confirms, and not sharper than a star can be (hot pixels, rays)."""
    real = table["snr"] >= _MIN_APERTURE_SNR
    bright = real & settled
    typical_px = float(table["fwhm_px"][bright].median()) if bright.any() else 0.0
    sharp = table["fwhm_px"] < max(_MIN_FWHM_PX, 0.5 * typical_px)
    # A saturated core is flat, and its shape may not settle; it is a star all the same.
    return np.asarray((bright & ~sharp) | (table["saturated"] & real), dtype=bool)


def _empty() -> pd.DataFrame:
    table = pd.DataFrame({column: np.empty(0) for column in COLUMNS})
    return table.astype({"saturated": bool})
