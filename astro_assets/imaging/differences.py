"""The difference of two frames: its median, and its variance as of Gaussian values without tails.

What belongs here: these figures, of values and of counts by how often each difference occurs. What
does not: whose noise it is (`noise`).

A variance is that of what lies within 4σ of the median, corrected for the tails that this leaves
out.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import median

_TRUNCATION = 4.0
_ROUNDS, _SETTLED = 5, 1e-6
_MOST_COUNTS = 65535


def _kept_variance(k: float) -> float:
    """Variance of a unit Gaussian that is cut off at ±k."""
    density = math.exp(-(k**2) / 2) / math.sqrt(2 * math.pi)
    return 1 - 2 * k * density / math.erf(k / math.sqrt(2))


_KEPT_VARIANCE = _kept_variance(_TRUNCATION)


def variance_of_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """`truncated_variance` of a less b, of pixels that both have; NaN for none."""
    if not _are_counts(a, b):
        off = _finite(a, b)
        return float(truncated_variance(off)) if off.size else math.nan
    return _of_tally(*_tally(a, b))


def median_of_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Median of a less b, of pixels that both have; NaN for none."""
    if not _are_counts(a, b):
        off = _finite(a, b)
        return median(off) if off.size else math.nan
    return tallied_median(*_tally(a, b))


def _are_counts(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == np.uint16 and b.dtype == np.uint16


def _finite(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float32]:
    off = np.asarray(np.subtract(a, b, dtype=np.float64), np.float32)
    return np.asarray(off[np.isfinite(off)], np.float32)


def _tally(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Each difference that occurs, ascending, and how often it does."""
    tally = _differences(a.ravel(), b.ravel())
    seen = np.flatnonzero(tally)
    return (seen - _MOST_COUNTS).astype(np.float64), tally[seen]


@njit(cache=True, nogil=True)
def _differences(a: Any, b: Any) -> Any:
    """How often each difference of two counts occurs, from -65535 on."""
    tally = np.zeros(2 * _MOST_COUNTS + 1, np.int64)
    for k in range(a.size):
        tally[np.int64(a[k]) - np.int64(b[k]) + _MOST_COUNTS] += 1
    return tally


def _of_tally(values: NDArray[np.float64], tally: NDArray[np.int64]) -> float:
    """`truncated_variance` of ``values``, ascending, each ``tally`` times."""
    offsets = values - tallied_median(values, tally)
    distance = np.abs(offsets)
    order = np.argsort(distance)
    spread = 1.4826 * tallied_median(distance[order], tally[order])
    mean = float(np.average(offsets, weights=tally))
    variance = spread**2 or float(np.average((offsets - mean) ** 2, weights=tally))
    for _ in range(_ROUNDS):
        inside = np.where(distance <= _TRUNCATION * math.sqrt(variance), tally, 0)
        kept = int(inside.sum())
        mean = float(inside @ offsets) / max(kept, 1)
        new = float(inside @ (offsets - mean) ** 2) / (kept - 1) / _KEPT_VARIANCE if kept > 1 else 0
        if math.isclose(new, variance, rel_tol=_SETTLED):
            break
        variance = new
    return variance


def tallied_median(values: NDArray[np.float64], tally: NDArray[np.int64]) -> float:
    """Median of ``values``, ascending, each ``tally`` times."""
    reached = np.cumsum(tally)
    low, high = np.searchsorted(reached, [(reached[-1] - 1) // 2, reached[-1] // 2], "right")
    return float(values[low] + values[high]) / 2


@njit(cache=True, nogil=True)
def truncated_variance(values: Any) -> float:
    """Variance of a Gaussian from the values (n,) float32 within 4σ of the median."""
    offsets = values - np.float32(median(values))
    variance = (1.4826 * median(np.abs(offsets))) ** 2
    if variance == 0:
        variance = float(np.var(offsets))
    for _ in range(_ROUNDS):
        kept, total, squares = _within(offsets, np.float32(_TRUNCATION * math.sqrt(variance)))
        new = 0.0
        if kept > 1:
            new = max(squares - total * total / kept, 0.0) / (kept - 1) / _KEPT_VARIANCE
        if abs(new - variance) <= _SETTLED * max(new, variance):
            break
        variance = new
    return float(variance)


@njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
def _within(offsets: Any, limit: Any) -> tuple[int, float, float]:
    """How many lie within the limit, their sum, and that of their squares."""
    kept = np.int32(0)
    total, squares = 0.0, 0.0
    for k in range(len(offsets)):
        inside = abs(offsets[k]) <= limit
        off = float(offsets[k]) if inside else 0.0
        kept += np.int32(inside)
        total += off
        squares += off * off
    return int(kept), total, squares
