"""Cosmic rays in a single frame.

What belongs here: L.A.Cosmic with parameters from the frame, and the test that keeps star cores.
What does not: the pixel loops (`la_cosmic`), rejection among several frames (`combine`), repair
(`repair`).
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.la_cosmic import Limits, search
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.repair import interpolate_bad
from astro_assets.imaging.seeing import quick_fwhm_px
from astro_assets.imaging.tiles import surroundings

_TYPICAL_FWHM_PX = 2.5
_SIGMA = 4.5
_BESIDE = 0.3
_ROUNDS = 4
_CONTRAST = 5.0
_MOST_CONTRAST = 60.0


def cosmic_rays(
    image_e: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    read_noise_e: float,
    saturation_e: float | None,
    fwhm_px: float | None = None,
    bayer: bool = False,
) -> NDArray[np.bool_]:
    """(ny, nx) bool: pixels hit by a cosmic ray.

    L.A.Cosmic (van Dokkum 2001) on the image, or within each of the four colours of a Bayer
    cell, which sample a star only half as well. A pixel is then let off when it is no steeper
    than a star of this seeing: at least three of its four neighbours, whatever their colour, hold
    a good part of the light that a star would have put there.

    The noise of the background is the one that the frame shows around each pixel, but no less
    than the read noise; what is above the background adds its photon noise. Saturated areas and
    what is next to them are left alone.

    Parameters
    ----------
    image_e : (ny, nx) float32, electrons
    mask : (ny, nx) uint8, `MaskBit`; pixels that are unusable already are not looked at
    read_noise_e : per pixel
    saturation_e : from here on a pixel counts as saturated besides those that the mask names;
        None when nobody knows
    fwhm_px : of the stars; when nobody knows, as the frame's bright ones show it, or 2.5
    bayer : whether the sensor has a colour matrix of 2 × 2 pixels

    Raises
    ------
    ValueError : the image and its mask differ in size
    """
    whole, _ = interpolate_bad(image_e, mask, bayer=bayer)
    known = (mask & np.uint8(UNUSABLE & ~MaskBit.SATURATED)) != 0
    saturated = (mask & MaskBit.SATURATED) != 0
    if saturation_e is not None:
        saturated |= image_e >= saturation_e
    known |= _around(saturated)
    level = np.empty(image_e.shape, np.float32)
    spread = np.empty(image_e.shape, np.float32)
    split = colour_planes if bayer else _one_plane
    for plane, plane_level, plane_spread in zip(
        *(split(plane) for plane in (whole, level, spread)), strict=True
    ):
        plane_level[...], plane_spread[...] = surroundings(plane)
    variance = np.maximum(spread**2, np.float32(read_noise_e**2))
    if fwhm_px is None:
        fwhm_px = quick_fwhm_px(whole - level, variance, known, bayer=bayer) or _TYPICAL_FWHM_PX
    return np.asarray(search(whole, level, variance, known, _limits(fwhm_px, bayer), _ROUNDS))


def _one_plane(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return (image,)


def _limits(fwhm_px: float, bayer: bool) -> Limits:
    contrast = _CONTRAST
    # Wide stars are flat, so that little is needed to tell them; rays side by side must not pass.
    steepness = min(max(0.5 + 0.2 * (fwhm_px - _TYPICAL_FWHM_PX), 0.4), 0.7)
    if bayer:
        # Within a colour a sharp star is nearly as steep as a ray, more so the sharper it is.
        contrast = min(
            max(2 * _CONTRAST * (_TYPICAL_FWHM_PX / fwhm_px) ** 3.5, _CONTRAST), _MOST_CONTRAST
        )
        steepness = min(max(0.2 * (fwhm_px - 1), 0.2), 0.5)
    next_pixel = math.exp(-4 * math.log(2) / fwhm_px**2)
    return Limits(
        significance=_SIGMA,
        beside=_SIGMA * _BESIDE,
        contrast=contrast,
        steepness=steepness * next_pixel,
        stride=2 if bayer else 1,
    )


def _around(saturated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Saturated areas (single saturated pixels may be rays) and what is next to them."""
    areas = ndimage.binary_opening(saturated, np.ones((2, 2), bool))
    return np.asarray(ndimage.binary_dilation(areas, np.ones((5, 5), bool)))
