"""Medians along many lines at once, and that of an image, exactly.

What belongs here: windows along lines, an image gone through on all threads. What does not: the
median of one set of values (`order`, whose way of counting this is, for many windows side by side),
what stands out of them (`bad_lines`).
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import key_of, median
from astro_assets.imaging.threads import over_rows

_HIGHEST = np.int32(2**31 - 1)
_LOWEST = np.int32(-(2**31))
_LANES = 64
_SAMPLED_ROWS, _NEAR = 64, 0.01
"""Rows that tell where an image's median is, and by how much of all values it may be missed."""


def running_medians(values: NDArray[np.float32], width: int, every: int) -> NDArray[np.float32]:
    """(n, nx) float32: along each line the medians of windows around every so manieth pixel, linear
    between.

    Parameters
    ----------
    values : (n, nx) float32, finite; beyond its ends a line goes on mirrored
    width : of the windows, odd
    every : their distance
    """
    reach = width // 2
    padded = np.pad(values, ((0, 0), (reach, reach + every)), mode="symmetric")
    out = np.empty(values.shape, np.float32)
    over_rows(partial(_running_medians, padded, width, every, out), len(values))
    return out


def middle_of(image: NDArray[np.float32]) -> float:
    """Median of the numbers of an image, (ny, nx) float32; NaN for none.

    A sample tells between which values it lies; only what is between is gone through again.
    """
    sample = image[:: max(1, len(image) // _SAMPLED_ROWS)]
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return _plain_middle(image)
    ranks = [int((share + 0.5) * (sample.size - 1)) for share in (-_NEAR, _NEAR)]
    low, high = np.partition(sample, ranks)[ranks]
    parts: list[_Part] = []
    over_rows(lambda first, last: parts.append(_part(image, low, high, first, last)), len(image))
    below, above = sum(part.below for part in parts), sum(part.above for part in parts)
    between = np.sort(np.concatenate([part.between for part in parts]))
    lower, upper = ((below + len(between) + above - odd) // 2 - below for odd in (1, 0))
    if not 0 <= lower <= upper < len(between):
        return _plain_middle(image)
    return float(np.float32(0.5) * (between[lower] + between[upper]))


class _Part(NamedTuple):
    """Of some rows: how many numbers are below and above limits, and those between."""

    below: int
    above: int
    between: NDArray[np.float32]


def _part(image: NDArray[np.float32], low: float, high: float, first: int, last: int) -> _Part:
    return _Part(*_between(image[first:last], low, high))


def _plain_middle(image: NDArray[np.float32]) -> float:
    finite = image[np.isfinite(image)]
    return float(np.float32(median(finite))) if finite.size else math.nan


@njit(cache=True, nogil=True)
def _between(image: Any, low: Any, high: Any) -> Any:
    taken = np.empty(image.size + 1, np.float32)
    below = above = n = 0
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            value = image[y, x]
            below += (value < low) & (value > -np.inf)
            above += (value > high) & (value < np.inf)
            taken[n] = value
            n += low <= value <= high
    return below, above, taken[:n].copy()


@njit(cache=True, nogil=True)
def _running_medians(padded: Any, width: int, every: int, out: Any, first: int, last: int) -> None:
    nx = out.shape[1]
    windows = (nx - 1) // every + 2
    keys = np.zeros((padded.shape[1], _LANES), np.int32)
    medians = np.empty((windows, _LANES), np.int32)
    values = medians.view(np.float32)
    for line in range(first, last, _LANES):
        lanes = min(_LANES, last - line)
        for k in range(lanes):
            bits = padded[line + k].view(np.int32)
            for x in range(len(bits)):
                keys[x, k] = key_of(bits[x])
        for w in range(windows):
            _middles(keys[w * every : w * every + width], medians[w])
        for k in range(lanes):
            for w in range(windows):
                medians[w, k] = key_of(medians[w, k])
            for x in range(nx):
                w = x // every
                share = np.float32((x - w * every) / every)
                out[line + k, x] = values[w, k] * (np.float32(1) - share) + values[w + 1, k] * share


@njit(cache=True, nogil=True)
def _middles(keys: Any, middles: Any) -> None:
    """The middle one of each column of (n, `_LANES`) keys, n odd."""
    n = len(keys)
    below = np.full(_LANES, _LOWEST, np.int32)
    half = np.empty(_LANES, np.int32)
    count = np.empty(_LANES, np.int32)
    middles[:] = _HIGHEST
    for _ in range(32):
        for k in range(_LANES):
            half[k] = (below[k] & middles[k]) + ((below[k] ^ middles[k]) >> np.int32(1))
            count[k] = 0
        for i in range(0, n - 3, 4):  # four at a time: each count is fetched a fourth as often
            for k in range(_LANES):
                count[k] += np.int32(
                    np.int32(keys[i, k] <= half[k])
                    + np.int32(keys[i + 1, k] <= half[k])
                    + np.int32(keys[i + 2, k] <= half[k])
                    + np.int32(keys[i + 3, k] <= half[k])
                )
        for i in range(n // 4 * 4, n):
            for k in range(_LANES):
                count[k] += np.int32(keys[i, k] <= half[k])
        for k in range(_LANES):
            beyond = count[k] > n // 2
            middles[k] = half[k] if beyond else middles[k]
            below[k] = below[k] if beyond else half[k]
