"""The kernel of the sigma-clipped mean: sort, spread, clip, mean, pixel by pixel.

What belongs here: the loops over a strip of rows. What does not: reading strips, threads, what the
clip is for (`combine`, which says how it goes).

Pixels are sorted in blocks side by side, each comparison of a sorting network on whole rows of
the block, so that the processor does several at once. The clip then only moves the two ends.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging import whole_columns

_BLOCK = 256
"""Pixels that are sorted side by side, and that share a floor for their spread."""


def sorting_network(n: int) -> NDArray[np.int32]:
    """Comparisons that sort n values: merge exchange (Knuth, TAOCP 3, 5.2.2, algorithm M)."""
    pairs: list[tuple[int, int]] = []
    top = 1 << max(math.ceil(math.log2(n)) - 1, 0) if n > 1 else 0
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1
    return np.array(pairs, np.int32).reshape(-1, 2)


def mad_factors(n: int) -> NDArray[np.float32]:
    """What turns the MAD of 0 … n Gaussian values into a standard deviation.

    Croux & Rousseeuw (1992), Time-efficient algorithms for two highly robust estimators of scale.
    """
    few = (0.0, 0.0, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107)
    return np.array(
        [1.4826 * (few[i] if i < len(few) else i / (i - 0.8)) for i in range(n + 1)], np.float32
    )


@njit(cache=True, nogil=True)
def combine_strip(
    values: Any,
    weights: Any,
    maps: Any,
    tolerance: Any,
    pairs: Any,
    factors: Any,
    least_spread: float,
    sigma: float,
    max_iterations: int,
    image: Any,
    count: Any,
    weight: Any,
    low: Any,
    high: Any,
) -> int:
    """Combine (n, rows, nx) into (rows, nx); arrays of size 0 are not wanted or not given."""
    n, ny, nx = values.shape
    lanes = np.empty((n, _BLOCK), np.float32)
    valid = np.empty(_BLOCK, np.int64)
    spread = np.empty(_BLOCK, np.float32)
    centre, deviation, whole_mean = np.empty(_BLOCK), np.empty(_BLOCK), np.empty(_BLOCK)
    all_weights = 0.0
    for i in range(n):
        all_weights += weights[i]
    rejected = 0
    for y in range(ny):
        for x0 in range(0, nx, _BLOCK):
            width = min(_BLOCK, nx - x0)
            _fill(values, y, x0, width, lanes, valid)
            _sort(lanes, width, pairs)
            whole = n > 2 and valid[:width].min() == n
            if whole:
                whole_columns.spreads(lanes[:, :width], factors[n], spread)
                whole_columns.moments(lanes[:, :width], centre, deviation)
                whole_columns.means(values[:, y, x0 : x0 + width], weights, lanes[0], whole_mean)
                floor = max(least_spread, float(np.median(spread[:width])))
            else:
                floor = max(least_spread, _spreads(lanes, valid, width, factors, spread))
            for j in range(width):
                x = x0 + j
                extra = float(tolerance[y, x]) if tolerance.size else 0.0
                if whole and whole_columns.all_stay(
                    lanes[:, j], spread[j], centre[j], deviation[j], floor, extra, sigma
                ):
                    lo, hi = 0, n
                else:
                    lo, hi = _clip(
                        lanes[:, j], valid[j], spread[j], floor, extra, sigma, max_iterations
                    )
                if whole and hi - lo == n and not maps.size:
                    mean, total = whole_mean[j], all_weights
                else:
                    mean, total = _mean(
                        values[:, y, x],
                        weights,
                        maps[:, y, x] if maps.size else values[:0, y, x],
                        lo,
                        hi,
                        lanes[:, j],
                    )
                image[y, x] = mean
                count[y, x] = hi - lo
                rejected += valid[j] - (hi - lo)
                if weight.size:
                    weight[y, x] = total
                if low.size:
                    low[y, x] = lanes[lo, j] if hi > lo else np.float32(np.inf)
                    high[y, x] = lanes[hi - 1, j] if hi > lo else np.float32(-np.inf)
    return rejected


@njit(cache=True, nogil=True)
def _fill(values: Any, y: int, x0: int, width: int, lanes: Any, valid: Any) -> None:
    """One block of pixels side by side; what is not finite goes to the end as +inf."""
    valid[:width] = 0
    for i in range(values.shape[0]):
        for j in range(width):
            value = values[i, y, x0 + j]
            finite = abs(value) < np.inf
            lanes[i, j] = value if finite else np.float32(np.inf)
            valid[j] += finite


@njit(cache=True, nogil=True)
def _sort(lanes: Any, width: int, pairs: Any) -> None:
    """Sort every column of the block with the same network: min and max of whole rows."""
    for k in range(pairs.shape[0]):
        first, second = lanes[pairs[k, 0]], lanes[pairs[k, 1]]
        for j in range(width):
            a, b = first[j], second[j]
            first[j] = min(b, a)
            second[j] = max(a, b)


@njit(cache=True, nogil=True)
def _spreads(lanes: Any, valid: Any, width: int, factors: Any, spread: Any) -> float:
    """Robust standard deviation of each column into ``spread``; returns the block's median."""
    seen = 0
    several = np.empty(width, np.float32)
    for j in range(width):
        spread[j] = factors[valid[j]] * _mad(lanes[:, j], valid[j])
        if valid[j] > 2:
            several[seen] = spread[j]
            seen += 1
    return float(np.median(several[:seen])) if seen else 0.0


@njit(cache=True, nogil=True)
def _mad(ordered: Any, n: int) -> float:
    """Median distance from the median: the two ends are merged, the farthest first."""
    if n < 2:
        return 0.0
    middle = whole_columns.median(ordered, n)
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
def _clip(
    ordered: Any,
    n: int,
    spread: float,
    floor: float,
    extra: float,
    sigma: float,
    max_iterations: int,
) -> tuple[int, int]:
    """First and one past the last of the sorted values that stay."""
    if n <= 2:
        return 0, n
    centre = whole_columns.median(ordered, n)
    lo, hi = 0, n
    for step in range(max_iterations + 1):
        s = max(spread, floor)
        limit = sigma * math.sqrt(s * s + extra * extra) * (1 + 1e-6)
        new_lo, new_hi = _inside(ordered, n, centre, limit)
        if step and new_lo == lo and new_hi == hi:
            break
        lo, hi = new_lo, new_hi
        centre, spread = _moments(ordered, lo, hi)
    return lo, hi


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
def _moments(ordered: Any, lo: int, hi: int) -> tuple[float, float]:
    """Mean and sample standard deviation, summed about one of the values for precision."""
    origin = float(ordered[lo])
    total, squares = 0.0, 0.0
    for i in range(lo, hi):
        d = ordered[i] - origin
        total += d
        squares += d * d
    kept = hi - lo
    mean = total / kept
    if kept < 2:
        return origin + mean, 0.0
    return origin + mean, math.sqrt(max(0.0, (squares - total * mean) / (kept - 1)))


@njit(cache=True, nogil=True)
def _mean(
    values: Any, weights: Any, maps: Any, lo: int, hi: int, ordered: Any
) -> tuple[float, float]:
    """Weighted mean of the values within the limits, and the sum of the weights used."""
    if hi <= lo:
        return math.nan, 0.0
    low, high = ordered[lo], ordered[hi - 1]
    total, weighted = 0.0, 0.0
    for i in range(values.shape[0]):
        value = values[i]
        if low <= value <= high and value < np.inf:
            weight = float(weights[i])
            if maps.size:
                weight *= maps[i]
            total += weight
            weighted += weight * (value - low)
    return low + weighted / total, total
