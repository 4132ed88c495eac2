"""A quick look at how wide a frame's stars are, before anything else is known of them.

What belongs here: one figure for the search of cosmic rays. What does not: the stars themselves
(`stars`).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_SNR = 20.0
_LIT_SIGMA = 3.0
_ENOUGH = 8
_NARROWEST_PX, _WIDEST_PX = 1.2, 12.0
_OF_THE_PIXEL = 0.8
"""What the pixels' own size adds to the square, for Moffat profiles of 1.5 to 5 px."""
_BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))
_ACROSS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def quick_fwhm_px(
    above: NDArray[np.float32],
    variance: NDArray[np.float32],
    hidden: NDArray[np.bool_],
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
    if len(falls) < _ENOUGH:
        return None
    fall = max(float(np.median(falls)), 1e-3)
    seen2 = 4 * math.log(2) * distance2 / fall
    fwhm_px = math.sqrt(max(seen2 - _OF_THE_PIXEL, 0))
    return min(max(fwhm_px, _NARROWEST_PX), _WIDEST_PX)
