"""Columns of sorted values in which none is missing, as nearly all are: side by side.

What belongs here: what `clip` does with any column, for many whole ones at once, so that the
processor does several in one instruction; the results are the same. What does not: columns with
missing values, and those that lose one (`one_column`). All lanes are (n, at least width) float32,
sorted.
"""

from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.order import median

_DOUBT = 1e-3
"""Columns that are so near to losing a value are judged one by one, in double precision."""


@njit(cache=True, nogil=True)
def judge(
    lanes: Any,
    width: int,
    factor: float,
    least_spread: float,
    sigma: float,
    spread: Any,
    mean: Any,
    stays: Any,
) -> float:
    """Fill each column's spread, its mean, and whether it surely loses nothing; each (width,).

    Returns the floor below which no spread is taken to be.
    """
    n = len(lanes)
    if n < 3:
        floor = least_spread
        spread[:width] = np.inf
    else:
        _spreads(lanes, width, factor, spread)
        floor = max(least_spread, float(np.float32(median(spread[:width]))))
    _settle(lanes, width, floor, sigma, spread, mean, stays)
    return float(floor)


@njit(cache=True, nogil=True)
def _spreads(lanes: Any, width: int, factor: float, spread: Any) -> None:
    """`clip._spreads`: into ``spread`` (width,).

    The k values nearest to the median lie side by side: the farthest of them is as far as the
    farther end of the closest such window.
    """
    n = len(lanes)
    upper, lower = n // 2 + 1, n // 2 if n % 2 == 0 else n // 2 + 1
    far, middle = np.empty(width, np.float32), np.empty(width, np.float32)
    half = np.float32(0.5)
    for j in range(width):
        spread[j] = far[j] = np.inf
        middle[j] = half * (lanes[(n - 1) // 2, j] + lanes[n // 2, j])
    for i in range(n - upper + 1):
        first, last = lanes[i], lanes[i + upper - 1]
        for j in range(width):
            spread[j] = min(spread[j], max(middle[j] - first[j], last[j] - middle[j]))
    for i in range(n - lower + 1):
        first, last = lanes[i], lanes[i + lower - 1]
        for j in range(width):
            far[j] = min(far[j], max(middle[j] - first[j], last[j] - middle[j]))
    for j in range(width):
        spread[j] = factor * half * (spread[j] + far[j])


@njit(cache=True, nogil=True)
def _settle(
    lanes: Any, width: int, floor: float, sigma: float, spread: Any, mean: Any, stays: Any
) -> None:
    """A column of which neither the first clip nor the second takes a value loses none at all."""
    n = len(lanes)
    total, squares = np.zeros(width, np.float32), np.zeros(width, np.float32)
    for i in range(n):
        for j in range(width):
            d = lanes[i, j] - lanes[0, j]
            total[j] += d
            squares[j] += d * d
    half, least = np.float32(0.5), np.float32(floor)
    within = np.float32(sigma * (1 - _DOUBT))
    share, further = np.float32(1 / n), np.float32(1 / max(n - 1, 1))
    for j in range(width):
        low, high = lanes[0, j], lanes[n - 1, j]
        middle = half * (lanes[(n - 1) // 2, j] + lanes[n // 2, j])
        off = max(middle - low, high - middle)
        average = total[j] * share
        deviation = np.sqrt(max((squares[j] - total[j] * average) * further, np.float32(0)))
        farther = max(average, high - low - average)
        stays[j] = (off <= within * max(spread[j], least)) & (
            farther <= within * max(deviation, least)
        )
        mean[j] = low + float(total[j]) / n


@njit(cache=True, nogil=True)
def means(values: Any, width: int, weights: Any, mean: Any) -> None:
    """`one_column.mean` of unsorted values, all of which count: into ``mean`` (width,)."""
    n = len(values)
    sums = np.zeros(width)
    total = 0.0
    for i in range(n):
        weight = float(weights[i])
        total += weight
        for j in range(width):
            sums[j] += weight * (values[i, j] - values[0, j])
    for j in range(width):
        mean[j] = values[0, j] + sums[j] / total


@njit(cache=True, nogil=True)
def sorted_median(ordered: Any, n: int) -> float:
    """The median of n sorted values."""
    return float(np.float32(0.5) * (ordered[(n - 1) // 2] + ordered[n // 2]))
