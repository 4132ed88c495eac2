"""One column of sorted values: which of them stay, its spread, its mean.

What belongs here: what `clip` does with a column that has missing values, or loses one. What does
not: those that are whole, many side by side (`whole_columns`).
"""

import math
from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.whole_columns import sorted_median


@njit(cache=True, nogil=True)
def clip(
    ordered: Any,
    n: int,
    spread: float,
    floor: float,
    sigma: float,
    max_iterations: int,
) -> tuple[int, int, float]:
    """First and one past the last of the sorted values that stay, and their mean.

    ordered : float64. Sums are about one of the values, for precision, and follow the two ends.
    """
    if n == 0:
        return 0, 0, math.nan
    lo, hi = 0, n
    if n > 2:
        centre = sorted_median(ordered, n)
        lo, hi = _inside(ordered, n, centre, sigma * max(spread, floor) * (1 + 1e-6))
    origin = ordered[lo]
    total, squares = _sums(ordered, lo, hi, origin)
    for _ in range(max_iterations if n > 2 else 0):
        kept = hi - lo
        average = total / kept
        spread = 0.0
        if kept > 1:
            spread = math.sqrt(max(0.0, (squares - total * average) / (kept - 1)))
        limit = sigma * max(spread, floor) * (1 + 1e-6)
        new_lo, new_hi = _inside(ordered, n, origin + average, limit)
        if new_lo == lo and new_hi == hi:
            break
        below, below_squares = _sums(ordered, new_lo, lo, origin)
        above, above_squares = _sums(ordered, hi, new_hi, origin)
        total += below + above
        squares += below_squares + above_squares
        lo, hi = new_lo, new_hi
    return lo, hi, origin + total / (hi - lo)


@njit(cache=True, nogil=True)
def _inside(ordered: Any, n: int, centre: float, limit: float) -> tuple[int, int]:
    """The range within the limit; the value nearest to the centre always stays."""
    lo, hi = 0, n
    while lo < hi - 1 and centre - ordered[lo] > limit:
        lo += 1
    while hi > lo + 1 and ordered[hi - 1] - centre > limit:
        hi -= 1
    return lo, hi


@njit(cache=True, nogil=True)
def _sums(ordered: Any, first: int, last: int, origin: float) -> tuple[float, float]:
    """Of the distances from ``origin``, and of their squares; below zero from ``last`` up."""
    total, squares = 0.0, 0.0
    for i in range(min(first, last), max(first, last)):
        d = ordered[i] - origin
        total += d
        squares += d * d
    return (total, squares) if first <= last else (-total, -squares)


@njit(cache=True, nogil=True)
def mad(ordered: Any, n: int) -> float:
    """Median distance from the median: the two ends are merged, the farthest first."""
    if n < 2:
        return 0.0
    middle = sorted_median(ordered, n)
    left, right = 0, n - 1
    upper, lower = 0.0, 0.0
    for step in range(n // 2 + 1):
        below, above = middle - ordered[left], ordered[right] - middle
        if below > above:
            farthest = below
            left += 1
        else:
            farthest = above
            right -= 1
        if step == n // 2 - 1:
            upper = farthest
        lower = farthest
    return lower if n % 2 else 0.5 * (lower + upper)


@njit(cache=True, nogil=True)
def mean(values: Any, weights: Any, lo: int, hi: int, ordered: Any) -> float:
    """Weighted mean of the values within the limits."""
    if hi <= lo:
        return math.nan
    low, high = ordered[lo], ordered[hi - 1]
    total, weighted = 0.0, 0.0
    for i in range(values.shape[0]):
        value = values[i]
        if low <= value <= high and value < np.inf:
            weight = float(weights[i])
            total += weight
            weighted += weight * (value - low)
    return float(low + weighted / total)
