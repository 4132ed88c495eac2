"""The light right around each star that is not the star's.

What belongs here: the ring around one position. What does not: the sky of the whole frame
(`background`), whose mesh is too coarse for the knots and edges of a nebula.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import median
from astro_assets.imaging.threads import over_rows

_CLIP_SIGMA = 3.0
_ROUNDS = 5
_FEW_PIXELS = 20


@dataclass(frozen=True, slots=True)
class LocalSky:
    """One value per star, electrons per pixel.

    level : clipped mean of the ring; 0 where too few of its pixels are usable
    error : of ``level``
    """

    level: NDArray[np.float64]
    error: NDArray[np.float64]


def local_sky(
    signal: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    inner_px: float,
    outer_px: float,
) -> LocalSky:
    """Level in the ring between two radii around each position.

    The mean of what is left after clipping about the median, as in aperture photometry since
    Stetson (1987, PASP 99, 191): other stars in the ring are clipped away.

    Parameters
    ----------
    signal : (ny, nx) float32, electrons above the frame's sky
    hidden : (ny, nx) bool, pixels not to look at
    x, y : 0-based pixels
    """
    level = np.zeros(len(x))
    error = np.zeros(len(x))
    over_rows(
        lambda first, last: _rings(
            signal, hidden, x, y, inner_px, outer_px, first, last, level, error
        ),
        len(x),
    )
    return LocalSky(level, error)


@njit(cache=True, nogil=True)
def _rings(
    signal: Any,
    hidden: Any,
    x: Any,
    y: Any,
    inner_px: float,
    outer_px: float,
    first: int,
    last: int,
    level: Any,
    error: Any,
) -> None:
    reach = int(outer_px) + 1
    values = np.empty((2 * reach + 1) ** 2, np.float32)
    for star in range(first, last):
        n = _ring(signal, hidden, x[star], y[star], inner_px, outer_px, reach, values)
        if n >= _FEW_PIXELS:
            level[star], error[star] = _clipped_mean(values[:n])


@njit(cache=True, nogil=True)
def _ring(
    signal: Any,
    hidden: Any,
    x: float,
    y: float,
    inner_px: float,
    outer_px: float,
    reach: int,
    values: Any,
) -> int:
    """Put the ring's usable pixels into ``values``; returns how many there are."""
    ny, nx = signal.shape
    column, row = round(x), round(y)
    n = 0
    for j in range(max(row - reach, 0), min(row + reach + 1, ny)):
        for i in range(max(column - reach, 0), min(column + reach + 1, nx)):
            r2 = (i - x) ** 2 + (j - y) ** 2
            if inner_px * inner_px <= r2 <= outer_px * outer_px and not hidden[j, i]:
                values[n] = signal[j, i]
                n += 1
    return n


@njit(cache=True, nogil=True)
def _clipped_mean(values: Any) -> Any:
    """Mean and its error of what is left after clipping. Rearranges ``values``.

    Other stars are taken out by median and median deviation, what remains of them by mean and
    standard deviation.
    """
    centre = median(values)
    sigma = 1.4826 * median(np.abs(values - np.float32(centre)))
    n = len(values)
    for _ in range(_ROUNDS):
        left = _within(values, n, centre - _CLIP_SIGMA * sigma, centre + _CLIP_SIGMA * sigma)
        if left < _FEW_PIXELS:
            break
        kept = values[:left]
        centre, sigma = kept.mean(), kept.std()
        if left == n:
            break
        n = left
    return centre, sigma / np.sqrt(n)


@njit(cache=True, nogil=True)
def _within(values: Any, n: int, low: float, high: float) -> int:
    """Bring the values between two limits to the front; returns how many there are."""
    left = 0
    for i in range(n):
        value = values[i]
        values[left] = value
        left += low <= value <= high
    return left
