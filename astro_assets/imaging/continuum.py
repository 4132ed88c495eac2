"""A nebula's line without the stars' light: narrow band minus scaled broad band.

What belongs here: the scale, from stars, and the difference with its noise and mask. What does
not: making both equally sharp (`psf_match`), which band serves which line (`filters`).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import sep
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from astro_assets.errors import Unusable
from astro_assets.imaging.local_sky import local_sky
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.neutral_sky import sky_levels
from astro_assets.imaging.psf_match import (
    Psf,
    alike,
    common_target,
    convolve,
    kernel,
    measure_psf,
)
from astro_assets.imaging.stars import find_stars

_MIN_STARS = 5
_MIN_SNR = 10.0
_APERTURE_FWHM = 1.0
_RING_FWHM = (3.0, 4.5)
"""Close by, for the nebula's knots; what it holds of the star it holds in both bands alike."""
_CLIP_SIGMA = 3.5
_ROUNDS = 10
_MOST_LINE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Band:
    """One filter's stack.

    image : (ny, nx) float32, electrons; NaN is no data
    mask : (ny, nx) uint8 of `MaskBit`
    weight : (ny, nx) float32, inverse variance of the background, 1 / electrons²
    """

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scale:
    """What the broad band is multiplied by.

    value, error : narrow over broad of the stars' continuum
    n_stars : stars that it rests on
    """

    value: float
    error: float
    n_stars: int


@dataclass(frozen=True, slots=True)
class LineEmission:
    """The line alone.

    image, mask, weight : as in `Band`, the sky at 0, electrons of the narrow band
    scale : of the continuum
    kept : the share of the line's light that the difference alone would have kept
    narrow, broad : the bands' profiles as they came; None where too few bright stars show them
    convolved : the bands that were made less sharp, of ``narrow`` and ``broad``
    """

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    weight: NDArray[np.float32]
    scale: Scale
    kept: float
    narrow: Psf | None
    broad: Psf | None
    convolved: tuple[str, ...]


def line_emission(narrow: Band, broad: Band, line_share: float = 0.0) -> LineEmission:
    """Take the continuum out of a narrow band.

    The sharper band is convolved to the other's profile, the broad one is scaled so that the stars
    vanish in the median, and what the line itself put into the broad band is given back
    (Waller 1990, PASP 102, 1217).

    Parameters
    ----------
    narrow, broad : the stacks, on one grid
    line_share : light of the line in the broad band over that in the narrow one, electrons by
        electrons: the ratio of exposures for filters that pass the line equally well, 0 for a
        broad band without the line

    Raises
    ------
    Unusable : too few stars show in both bands; the sentence says how many
    ValueError : the bands differ in shape
    """
    if narrow.image.shape != broad.image.shape:
        raise ValueError(f"the bands differ in shape: {narrow.image.shape}, {broad.image.shape}")
    levels = sky_levels({"narrow": narrow.image, "broad": broad.image})
    images = {
        "narrow": narrow.image - np.float32(levels["narrow"]),
        "broad": broad.image - np.float32(levels["broad"]),
    }
    bands = {"narrow": narrow, "broad": broad}
    hidden = {name: _hidden(band) for name, band in bands.items()}
    stars = {name: find_stars(images[name], bands[name].mask) for name in bands}
    psfs = {name: measure_psf(images[name], hidden[name], stars[name]) for name in bands}
    kernels = _kernels(psfs)
    variance = {name: _variance(band) for name, band in bands.items()}
    noise_e = {name: float(np.sqrt(np.nanmedian(values))) for name, values in variance.items()}
    for name, weights in kernels.items():
        images[name], share = convolve(images[name], hidden[name], weights)
        variance[name] = _variance_after(variance[name], share, weights)
    both_hidden = hidden["narrow"] | hidden["broad"]
    widest_px = max((psf.widest_px for psf in psfs.values() if psf is not None), default=0.0)
    scale = fit_scale(
        images["narrow"], images["broad"], both_hidden, stars["broad"], noise_e, widest_px
    )
    kept = 1 - scale.value * line_share
    if kept < _MOST_LINE_SHARE:
        raise Unusable(
            "The continuum cannot be taken off: the broad band would take more than half of the "
            "line with it; use a narrower filter, or a broad band without the line"
        )
    factor = np.float32(scale.value)
    image = ((images["narrow"] - factor * images["broad"]) / np.float32(kept)).astype(np.float32)
    combined = (variance["narrow"] + factor**2 * variance["broad"]) / np.float32(kept**2)
    mask = _mask(narrow, broad, image, kernels)
    weight = np.where((mask & MaskBit.NO_DATA) == 0, 1 / combined, 0).astype(np.float32)
    image = np.where((mask & MaskBit.NO_DATA) == 0, image, np.float32(np.nan)).astype(np.float32)
    return LineEmission(
        image, mask, weight, scale, kept,
        psfs["narrow"], psfs["broad"], tuple(kernels),
    )  # fmt: skip


def fit_scale(
    narrow: NDArray[np.float32],
    broad: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    stars: pd.DataFrame,
    noise_e: dict[str, float],
    fwhm_px: float = 0.0,
) -> Scale:
    """Narrow over broad of the stars: a clipped mean, weighted by noise and by the stars' own
    scatter of colours.

    Parameters
    ----------
    narrow, broad : (ny, nx), equally sharp, any sky
    hidden : (ny, nx) bool, pixels not to look at
    stars : of the broad band, as `stars.find_stars` gives them
    noise_e : of one pixel in ``narrow`` and ``broad``
    fwhm_px : of the stars in the images, where it is more than the table's

    Raises
    ------
    Unusable : fewer than five stars show in both
    """
    good = stars[~stars["saturated"] & (stars["snr"] >= _MIN_SNR)]
    if len(good):
        fwhm_px = max(fwhm_px, float(good["fwhm_px"].median()))
        x, y = good["x"].to_numpy(), good["y"].to_numpy()
        top, top_error = _fluxes(narrow, hidden, x, y, fwhm_px, noise_e["narrow"])
        base, base_error = _fluxes(broad, hidden, x, y, fwhm_px, noise_e["broad"])
        seen = (base > _MIN_SNR * base_error) & np.isfinite(top)
        ratio = top[seen] / base[seen]
        error = np.hypot(top_error[seen], ratio * base_error[seen]) / base[seen]
        # A star that the narrow band hardly shows would only add noise; chosen by its error, not
        # by its flux, which would favour the bright ones.
        precise = error < np.median(np.abs(ratio)) / 5 if len(ratio) else seen[:0]
        if np.count_nonzero(precise) >= _MIN_STARS:
            return _clipped(ratio[precise], error[precise])
        found = int(np.count_nonzero(precise))
    else:
        found = 0
    raise Unusable(
        f"The continuum cannot be taken off: only {found} stars show in both bands "
        f"({_MIN_STARS} are needed); expose the broad band for longer"
    )


def _fluxes(
    image: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    fwhm_px: float,
    noise_e: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Flux above the ring and its error; NaN where a pixel of the aperture is hidden."""
    blank = hidden | ~np.isfinite(image)
    signal = np.where(blank, np.float32(0), image)
    radius_px = _APERTURE_FWHM * fwhm_px
    inner, outer = _RING_FWHM
    sky = local_sky(signal, blank, x, y, inner * fwhm_px, outer * fwhm_px)
    flux, _, _ = sep.sum_circle(signal, x, y, radius_px, subpix=5)
    lost, _, _ = sep.sum_circle(blank.astype(np.float32), x, y, radius_px, subpix=5)
    area_px2 = np.pi * radius_px**2
    flux = np.where(lost > 0, np.nan, flux - area_px2 * sky.level)
    photons = np.maximum(np.nan_to_num(flux), 0)
    error = np.sqrt(area_px2 * noise_e**2 + (area_px2 * sky.error) ** 2 + photons)
    return np.asarray(flux), np.asarray(error)


def _clipped(ratio: NDArray[np.float64], error: NDArray[np.float64]) -> Scale:
    """The weighted mean, and its error from the scatter that is really there."""
    value, scatter = float(np.median(ratio)), 0.0
    kept = np.ones(len(ratio), bool)
    for _ in range(_ROUNDS):
        off = ratio - value
        spread = 1.4826 * float(np.median(np.abs(off[kept])))
        scatter = float(np.sqrt(max(0.0, spread**2 - float(np.median(error[kept] ** 2)))))
        sigma = np.hypot(error, scatter)
        now = np.abs(off) <= _CLIP_SIGMA * sigma
        if np.count_nonzero(now) < _MIN_STARS:
            break
        weight = 1 / sigma[now] ** 2
        value = float((weight * ratio[now]).sum() / weight.sum())
        if (now == kept).all():
            break
        kept = now
    weight = 1 / np.hypot(error[kept], scatter) ** 2
    spread2 = float((weight**2 * (ratio[kept] - value) ** 2).sum())
    return Scale(value, float(np.sqrt(spread2) / weight.sum()), int(np.count_nonzero(kept)))


def _kernels(psfs: dict[str, Psf | None]) -> dict[str, NDArray[np.float32]]:
    """What each band is convolved with; nothing for those that are wide enough already."""
    narrow, broad = psfs["narrow"], psfs["broad"]
    if narrow is None or broad is None or alike(narrow, broad):
        return {}
    target = common_target(narrow, broad)
    sources = {"narrow": narrow, "broad": broad}
    return {name: kernel(psf, target) for name, psf in sources.items() if psf is not target}


def _hidden(band: Band) -> NDArray[np.bool_]:
    """Pixels that do not count. A saturated core stays: a hole would be no better a star."""
    bits = np.uint8(UNUSABLE & ~MaskBit.SATURATED)
    return np.asarray(((band.mask & bits) != 0) | ~np.isfinite(band.image))


def _variance(band: Band) -> NDArray[np.float32]:
    with np.errstate(divide="ignore"):
        return np.where(band.weight > 0, 1 / band.weight, np.float32(np.nan)).astype(np.float32)


def _variance_after(
    variance: NDArray[np.float32], share: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of one pixel after a convolution, as if pixels had been independent before it."""
    from scipy.signal import oaconvolve  # large, and for narrow bands alone

    filled = np.nan_to_num(variance, nan=0.0)
    # Squares of a narrow kernel: no negative lobes, and what rounding leaves below zero is none.
    moved = np.maximum(oaconvolve(filled, weights**2, mode="same"), 1e-12)
    with np.errstate(divide="ignore"):
        return np.asarray(moved / np.maximum(share, 1e-3) ** 2, np.float32)


def _mask(
    narrow: Band,
    broad: Band,
    image: NDArray[np.float32],
    kernels: dict[str, NDArray[np.float32]],
) -> NDArray[np.uint8]:
    """All bits of both; saturation as far as a convolution spread it."""
    mask = narrow.mask | broad.mask
    saturated = np.zeros(image.shape, bool)
    for name, band in (("narrow", narrow), ("broad", broad)):
        full = (band.mask & MaskBit.SATURATED) != 0
        if name in kernels and full.any():
            weights = kernels[name]
            wide = int(np.count_nonzero(weights[weights.shape[0] // 2] > 0.1 * weights.max()))
            full = maximum_filter(full, size=wide | 1)
        saturated |= full
    mask[saturated] |= np.uint8(MaskBit.SATURATED)
    mask[~np.isfinite(image)] |= np.uint8(MaskBit.NO_DATA)
    return np.asarray(mask, np.uint8)
