"""Columns of sorted values in which none is missing, as nearly all are: side by side.

What belongs here: what `clip` does with any column, for many whole ones at once, so that the
processor does several in one instruction; the results are the same. What does not: columns with
missing values, and those that lose one (`clip`). All lanes are (n, width) float32, sorted.
"""

import math
from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def spreads(lanes: Any, factor: float, spread: Any) -> None:
    """`clip._spreads`: into ``spread`` (width,).

    The k values nearest to the median lie side by side: the farthest of them is as far as the
    farther end of the closest such window.
    """
    n, width = lanes.shape
    upper, lower = n // 2 + 1, n // 2 if n % 2 == 0 else n // 2 + 1
    far = np.empty(width, np.float32)
    for j in range(width):
        spread[j] = far[j] = np.inf
    below, above = lanes[(n - 1) // 2], lanes[n // 2]
    half = np.float32(0.5)
    for i in range(n - upper + 1):
        first, last = lanes[i], lanes[i + upper - 1]
        for j in range(width):
            middle = half * (below[j] + above[j])
            spread[j] = min(spread[j], max(middle - first[j], last[j] - middle))
    for i in range(n - lower + 1):
        first, last = lanes[i], lanes[i + lower - 1]
        for j in range(width):
            middle = half * (below[j] + above[j])
            far[j] = min(far[j], max(middle - first[j], last[j] - middle))
    for j in range(width):
        spread[j] = factor * half * (spread[j] + far[j])


@njit(cache=True, nogil=True)
def moments(lanes: Any, centre: Any, deviation: Any) -> None:
    """`clip._moments`: mean and standard deviation, each (width,)."""
    n, width = lanes.shape
    centre[:width] = 0
    deviation[:width] = 0
    for i in range(n):
        for j in range(width):
            d = float(lanes[i, j] - lanes[0, j])
            centre[j] += d
            deviation[j] += d * d
    for j in range(width):
        mean = centre[j] / n
        deviation[j] = math.sqrt(max(0.0, (deviation[j] - centre[j] * mean) / (n - 1)))
        centre[j] = lanes[0, j] + mean


@njit(cache=True, nogil=True)
def means(values: Any, weights: Any, low: Any, mean: Any) -> None:
    """`clip._mean`: into ``mean`` (width,)."""
    n, width = values.shape
    mean[:width] = 0
    total = 0.0
    for i in range(n):
        weight = float(weights[i])
        total += weight
        for j in range(width):
            mean[j] += weight * (values[i, j] - low[j])
    for j in range(width):
        mean[j] = low[j] + mean[j] / total


@njit(cache=True, nogil=True)
def all_stay(
    ordered: Any,
    spread: float,
    centre: float,
    deviation: float,
    floor: float,
    extra: float,
    sigma: float,
) -> bool:
    """Whether neither the first clip nor the second takes a value away: no further one does."""
    n = len(ordered)
    lowest, highest, middle = ordered[0], ordered[n - 1], median(ordered, n)
    s = max(spread, floor)
    limit = sigma * math.sqrt(s * s + extra * extra) * (1 + 1e-6)
    if middle - lowest > limit or highest - middle > limit:
        return False
    s = max(deviation, floor)
    limit = sigma * math.sqrt(s * s + extra * extra) * (1 + 1e-6)
    return bool(centre - lowest <= limit and highest - centre <= limit)


@njit(cache=True, nogil=True)
def median(ordered: Any, n: int) -> float:
    """Of n sorted values."""
    return float(np.float32(0.5) * (ordered[(n - 1) // 2] + ordered[n // 2]))
