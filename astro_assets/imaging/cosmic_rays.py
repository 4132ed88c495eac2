"""Cosmic rays in a single frame.

What belongs here: L.A.Cosmic with parameters from the frame, and the test that keeps star cores.
What does not: the pixel loops (`la_cosmic`), rejection among several frames (`combine`), repair
(`repair`).
"""

import math

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.candidates import candidates, state_of
from astro_assets.imaging.la_cosmic import Limits, search
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.repair import INTERPOLATED, fill, places_to_repair
from astro_assets.imaging.seeing import SNR, quick_fwhm_px
from astro_assets.imaging.threads import over_rows
from astro_assets.imaging.tiles import Usual, usual

_UNUSABLE = (UNUSABLE & ~MaskBit.SATURATED).value
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
    own, bits = np.array(image_e, np.float32, order="C"), np.array(mask, np.uint8, order="C")
    places = places_to_repair(bits)
    hits = _hits(own, bits, places, read_noise_e, saturation_e, fwhm_px, bayer)
    found = np.zeros(own.shape, np.bool_)
    found.ravel()[hits] = True
    return found


def remove_rays(
    image_e: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    read_noise_e: float,
    saturation_e: float | None,
    bayer: bool = False,
) -> int:
    """What `cosmic_rays` and `interpolate_bad` after it do, in place: no plane is copied.

    Rays get their bit in the mask; they and all that is unusable get their neighbours' value.

    Parameters
    ----------
    image_e, mask : (ny, nx) float32 and uint8, C-contiguous; they are changed
    read_noise_e, saturation_e, bayer : as for `cosmic_rays`

    Returns
    -------
    the number of pixels that rays have hit

    Raises
    ------
    ValueError : the image and its mask differ in size
    """
    places = places_to_repair(mask)
    hits = _hits(image_e, mask, places, read_noise_e, saturation_e, None, bayer)
    mask.ravel()[hits] |= np.uint8(MaskBit.COSMIC_RAY)
    fill(image_e, mask, np.concatenate([places, hits]), 2 if bayer else 1, INTERPOLATED)
    return len(hits)


def _hits(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    places: NDArray[np.int64],
    read_noise_e: float,
    saturation_e: float | None,
    fwhm_px: float | None,
    bayer: bool,
) -> NDArray[np.int64]:
    """Where rays have hit; ``image`` is mended at ``places`` for the search, then put back."""
    if image.shape != mask.shape:
        raise ValueError(f"the image is {image.shape} and its mask {mask.shape}")
    stride, noise = 2 if bayer else 1, np.float32(read_noise_e)
    state = np.empty(mask.shape, np.uint8)
    full = np.float32(np.inf if saturation_e is None else saturation_e)
    state_of(image, mask, _UNUSABLE, MaskBit.SATURATED.value, full, state)
    before = image.ravel()[places]
    fill(image, mask, places, stride, np.uint8(0))
    background = usual(image, stride)
    steep, bright = _candidates(image, background, noise)
    if fwhm_px is None:
        fwhm_px = quick_fwhm_px(image, background, read_noise_e, state, bright, bayer=bayer)
    limits = limits_for(fwhm_px or _TYPICAL_FWHM_PX, bayer)
    hits = search(image, state, background, noise * noise, steep, limits, _ROUNDS)
    image.ravel()[places] = before
    return np.asarray(hits, np.int64)


def _candidates(
    image: NDArray[np.float32], background: Usual, noise: np.float32
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the whole frame, in order."""
    parts = {}

    def rows(top: int, bottom: int) -> None:
        parts[top] = candidates(image, background, noise, _SIGMA, SNR, top, bottom)

    over_rows(rows, image.shape[0])
    steep, bright = (np.concatenate([parts[top][i] for top in sorted(parts)]) for i in (0, 1))
    return steep, bright


def limits_for(fwhm_px: float, bayer: bool) -> Limits:
    """When a pixel is a ray, in a frame whose stars are so wide."""
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
