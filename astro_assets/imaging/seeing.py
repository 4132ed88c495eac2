"""A quick look at how wide a frame's stars are, before anything else is known of them.

What belongs here: one figure for the search of cosmic rays. What does not: the stars themselves
(`stars`).
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.tiles import Usual, level_at, spread_at

SNR = 20.0
"""of a bright pixel"""
_REACH = 2
_LIT_SIGMA = 3.0
_ENOUGH = 8
_NARROWEST_PX, _WIDEST_PX = 1.2, 12.0
_OF_THE_PIXEL = 0.8
"""What the pixels' own size adds to the square, for Moffat profiles of 1.5 to 5 px."""
_BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))
_ACROSS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def quick_fwhm_px(
    image: NDArray[np.float32],
    usual: Usual,
    noise_e: float,
    state: NDArray[np.uint8],
    bright: NDArray[np.int64],
    *,
    bayer: bool = False,
) -> float | None:
    """Median FWHM of the bright peaks; None when there are fewer than `_ENOUGH`.

    Of a Gaussian the geometric mean of the four neighbours, over the peak, is the same wherever in
    its pixel the peak lies: exp(-4 ln 2 · d² / FWHM²) at the distance d. Rays have neighbours
    without light, and are left out. Of a Bayer sensor the diagonal neighbours count, which are of
    one colour.

    Parameters
    ----------
    image : (ny, nx) float32, electrons
    usual : of the sky
    noise_e : the sky's is no less
    state : (ny, nx) uint8, not zero for pixels not to look at
    bright : indices into the flattened image, all those among them that are above `SNR`
    """
    places = np.asarray(bright, np.int64)
    falls = np.asarray(_falls(image, usual, np.float32(noise_e), state, places, bayer))
    if len(falls) < _ENOUGH:
        return None
    fall = max(float(np.median(falls)), 1e-3)
    seen2 = 4 * math.log(2) * (2 if bayer else 1) / fall
    fwhm_px = math.sqrt(max(seen2 - _OF_THE_PIXEL, 0))
    return min(max(fwhm_px, _NARROWEST_PX), _WIDEST_PX)


@njit(cache=True, nogil=True)
def _falls(image: Any, usual: Usual, noise: Any, state: Any, places: Any, bayer: bool) -> Any:
    """How far the light falls off, as a logarithm, around each of the places that is a peak."""
    ny, nx = image.shape
    falls = [0.0 for _ in range(0)]
    for place in places:
        y, x = place // nx, place % nx
        if not (0 < y < ny - 1 and 0 < x < nx - 1):
            continue
        light = image[y, x] - level_at(usual, y, x)
        sigma = max(spread_at(usual, y, x), noise)
        if light <= SNR * sigma or not _is_peak(image, usual, state, y, x, light):
            continue
        total, lit = 0.0, True
        for step in range(4):
            j, i = (_ACROSS if bayer else _BESIDE)[step]
            there = image[y + j, x + i] - level_at(usual, y + j, x + i)
            lit = lit and there > _LIT_SIGMA * sigma
            if lit:
                total -= math.log(there / light)
        if lit:
            falls.append(total / 4)
    return np.array(falls)


@njit(cache=True, nogil=True)
def _is_peak(image: Any, usual: Usual, state: Any, y: int, x: int, light: float) -> bool:
    """No pixel of the 5 × 5 around is brighter, or hidden."""
    ny, nx = image.shape
    for v in range(max(0, y - _REACH), min(ny, y + _REACH + 1)):
        for u in range(max(0, x - _REACH), min(nx, x + _REACH + 1)):
            if state[v, u] != 0 or image[v, u] - level_at(usual, v, u) > light:
                return False
    return True
