"""The search for cosmic rays, written plainly: every pixel looked at, every plane whole.

What belongs here: the oracle that the fast search is compared with, pixel by pixel. What does not:
scenes (`ray_scene`).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.cosmic_rays import limits_for
from astro_assets.imaging.la_cosmic import Limits
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.repair import interpolate_bad
from astro_assets.imaging.tiles import surroundings

_ROUNDS = 4
_TYPICAL_FWHM_PX = 2.5
_SNR = 20.0
_LIT_SIGMA = 3.0
_ENOUGH_PEAKS = 8
_NARROWEST_PX, _WIDEST_PX = 1.2, 12.0
_OF_THE_PIXEL = 0.8
"""What the pixels' own size adds to the square, for Moffat profiles of 1.5 to 5 px."""
_BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))
_ACROSS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def plain_cosmic_rays(
    image_e: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    read_noise_e: float,
    saturation_e: float | None,
    fwhm_px: float | None = None,
    bayer: bool = False,
) -> NDArray[np.bool_]:
    """(ny, nx) bool, as `imaging.cosmic_rays.cosmic_rays`."""
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
        fwhm_px = _quick_fwhm_px(whole - level, variance, known, bayer=bayer) or _TYPICAL_FWHM_PX
    return np.asarray(_search(whole, level, variance, known, limits_for(fwhm_px, bayer), _ROUNDS))


def _one_plane(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return (image,)


def _around(saturated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Saturated areas (single saturated pixels may be rays) and what is next to them."""
    areas = ndimage.binary_opening(saturated, np.ones((2, 2), bool))
    return np.asarray(ndimage.binary_dilation(areas, np.ones((5, 5), bool)))


def _quick_fwhm_px(
    above: NDArray[np.float32],
    variance: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    *,
    bayer: bool = False,
) -> float | None:
    """Median FWHM of the bright peaks; None when there are fewer than `_ENOUGH_PEAKS`.

    Of a Gaussian the geometric mean of the four neighbours, over the peak, is the same wherever in
    its pixel the peak lies: exp(-4 ln 2 · d² / FWHM²) at the distance d. Rays have neighbours
    without light, and are left out. Of a Bayer sensor the diagonal neighbours count, which are of
    one colour.

    Parameters
    ----------
    above : (ny, nx) float32, electrons above the sky
    variance : (ny, nx) float32, of the sky
    hidden : (ny, nx) bool, pixels not to look at
    """
    light = np.where(hidden, np.float32(0), above)
    sigma = np.sqrt(variance)
    peak = (light > _SNR * sigma) & (light == ndimage.maximum_filter(light, 5))
    peak &= ~ndimage.maximum_filter(hidden, 5)
    peak[:1] = peak[-1:] = peak[:, :1] = peak[:, -1:] = False
    ys, xs = np.nonzero(peak)
    steps, distance2 = (_ACROSS, 2) if bayer else (_BESIDE, 1)
    around = np.stack([light[ys + j, xs + i] for j, i in steps]) if len(ys) else np.zeros((4, 0))
    lit = (around > _LIT_SIGMA * sigma[ys, xs]).all(axis=0)
    falls = -np.log(around[:, lit] / light[ys, xs][lit]).mean(axis=0)
    if len(falls) < _ENOUGH_PEAKS:
        return None
    fall = max(float(np.median(falls)), 1e-3)
    seen2 = 4 * math.log(2) * distance2 / fall
    fwhm_px = math.sqrt(max(seen2 - _OF_THE_PIXEL, 0))
    return min(max(fwhm_px, _NARROWEST_PX), _WIDEST_PX)


@njit(cache=True, nogil=True)
def _search(
    image: Any, level: Any, variance: Any, known: Any, limits: Limits, max_rounds: int
) -> Any:
    """(ny, nx) bool. ``image`` (ny, nx) float32 is changed: what is found is smoothed over.

    ``level`` and ``variance`` (ny, nx) are those of the background, ``known`` (ny, nx) bool is
    left out.
    """
    ny, nx = image.shape
    found = np.zeros((ny, nx), np.bool_)
    look = np.ones((ny, nx), np.bool_)
    for _ in range(max_rounds):
        new = _round(image, level, variance, known, found, look, limits)
        if len(new) == 0:
            break
        look[:] = False
        for y, x in new:
            image[y, x] = _clean_value(image, known, found, y, x, limits.stride)
        for y, x in new:
            _mark_around(look, y, x, 2 * limits.stride)
    return found


@njit(cache=True, nogil=True)
def _round(
    image: Any, level: Any, variance: Any, known: Any, found: Any, look: Any, limits: Limits
) -> Any:
    """One search over the pixels to look at; fills ``found`` and returns the new ones."""
    ny, nx = image.shape
    new = [(0, 0) for _ in range(0)]
    for y in range(ny):
        for x in range(nx):
            if not look[y, x] or known[y, x] or found[y, x]:
                continue
            laplacian = _laplacian(image, y, x, limits.stride)
            if laplacian <= 2 * limits.significance * math.sqrt(variance[y, x]):
                continue
            if _is_ray(image, level, variance, y, x, laplacian, limits):
                new.append((y, x))
    for y, x in new:
        found[y, x] = True
    for threshold in (limits.significance, limits.beside):
        _grow(image, level, variance, known, found, new, threshold, limits)
    return new


@njit(cache=True, nogil=True)
def _is_ray(
    image: Any, level: Any, variance: Any, y: int, x: int, laplacian: float, limits: Limits
) -> bool:
    noise = _noise(image, level, variance, y, x, limits.stride)
    significance = _significance(image, y, x, laplacian, noise, limits.stride)
    if significance <= limits.significance:
        return False
    fine = max(_fine_structure(image, y, x, limits.stride) / noise, 0.01)
    if significance <= limits.contrast * fine:
        return False
    return not _like_a_star(image, level, variance, y, x, limits.steepness)


@njit(cache=True, nogil=True)
def _grow(
    image: Any,
    level: Any,
    variance: Any,
    known: Any,
    found: Any,
    new: Any,
    threshold: float,
    limits: Limits,
) -> None:
    """What is next to a new pixel, of whatever colour, and passes the threshold joins in."""
    ny, nx = image.shape
    for k in range(len(new)):
        y, x = new[k]
        for v in range(max(0, y - 1), min(ny, y + 2)):
            for u in range(max(0, x - 1), min(nx, x + 2)):
                if found[v, u] or known[v, u]:
                    continue
                laplacian = _laplacian(image, v, u, limits.stride)
                if laplacian <= 2 * threshold * math.sqrt(variance[v, u]):
                    continue
                noise = _noise(image, level, variance, v, u, limits.stride)
                significance = _significance(image, v, u, laplacian, noise, limits.stride)
                if significance > threshold and not _like_a_star(
                    image, level, variance, v, u, limits.steepness
                ):
                    found[v, u] = True
                    new.append((v, u))


@njit(cache=True, nogil=True)
def _laplacian(image: Any, y: int, x: int, stride: int) -> float:
    """Mean of the positive Laplacians of the pixel's four quarters."""
    ny, nx = image.shape
    v = image[y, x]
    up = image[y - stride, x] if y >= stride else v
    down = image[y + stride, x] if y < ny - stride else v
    left = image[y, x - stride] if x >= stride else v
    right = image[y, x + stride] if x < nx - stride else v
    total = max(2 * v - up - left, 0.0) + max(2 * v - up - right, 0.0)
    total += max(2 * v - down - left, 0.0) + max(2 * v - down - right, 0.0)
    return float(0.25 * total)


@njit(cache=True, nogil=True)
def _noise(image: Any, level: Any, variance: Any, y: int, x: int, stride: int) -> float:
    """Noise of a pixel by the light that the median of the 5 × 5 around it shows."""
    light = max(_median(image, y, x, 2, stride) - level[y, x], 0.0)
    return float(math.sqrt(variance[y, x] + light))


@njit(cache=True, nogil=True)
def _significance(image: Any, y: int, x: int, laplacian: float, noise: float, stride: int) -> float:
    """The Laplacian above its median in the 5 × 5 around, which takes extended objects out."""
    ny, nx = image.shape
    around = np.empty(25, np.float64)
    n = 0
    for j in range(-2, 3):
        for i in range(-2, 3):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                around[n] = _laplacian(image, v, u, stride)
                n += 1
    return float((laplacian - _middle(around, n)) / (2 * noise))


@njit(cache=True, nogil=True)
def _fine_structure(image: Any, y: int, x: int, stride: int) -> float:
    """Median of 3 × 3, less the median of such medians in the 7 × 7 around."""
    ny, nx = image.shape
    around = np.empty(49, np.float64)
    n = 0
    for j in range(-3, 4):
        for i in range(-3, 4):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                around[n] = _median(image, v, u, 1, stride)
                n += 1
    return float(_median(image, y, x, 1, stride) - _middle(around, n))


@njit(cache=True, nogil=True)
def _like_a_star(image: Any, level: Any, variance: Any, y: int, x: int, steepness: float) -> bool:
    """Three of the four neighbours, of whatever colour, hold what a star would have put there."""
    ny, nx = image.shape
    least = max(steepness * (image[y, x] - level[y, x]), 3 * math.sqrt(variance[y, x]))
    lit = 0
    for j, i in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        v, u = y + j, x + i
        if 0 <= v < ny and 0 <= u < nx:
            lit += image[v, u] - level[v, u] > least
    return lit >= 3


@njit(cache=True, nogil=True)
def _clean_value(image: Any, known: Any, found: Any, y: int, x: int, stride: int) -> float:
    """Median of the pixels of the 5 × 5 around that are neither known nor found; or unchanged."""
    ny, nx = image.shape
    around = np.empty(25, np.float64)
    n = 0
    for j in range(-2, 3):
        for i in range(-2, 3):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx and not (known[v, u] or found[v, u]):
                around[n] = image[v, u]
                n += 1
    return _middle(around, n) if n else float(image[y, x])


@njit(cache=True, nogil=True)
def _mark_around(look: Any, y: int, x: int, reach: int) -> None:
    top, left = max(0, y - reach), max(0, x - reach)
    look[top : y + reach + 1, left : x + reach + 1] = True


@njit(cache=True, nogil=True)
def _median(image: Any, y: int, x: int, reach: int, stride: int) -> float:
    """Median of a square of one colour; at the edge, of what there is of it."""
    ny, nx = image.shape
    around = np.empty(25, np.float64)
    n = 0
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                around[n] = image[v, u]
                n += 1
    return _middle(around, n)


@njit(cache=True, nogil=True)
def _middle(values: Any, n: int) -> float:
    """Median of the first n values, which are put in order."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return float(0.5 * (values[(n - 1) // 2] + values[n // 2]))
