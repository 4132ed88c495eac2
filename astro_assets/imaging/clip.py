"""The kernels of the sigma-clipped mean: sort, spread, clip, mean, pixel by pixel.

What belongs here: the loops over a strip of rows. What does not: reading strips, threads, what the
clip is for (`combine`, which says how it goes), what is done with a column (`one_column`,
`whole_columns`).

Pixels are sorted in blocks side by side, each comparison of a sorting network on whole rows of
the block, so that the processor does several at once; counts of 16 bits as they are, twice as many.
The clip then only moves the two ends.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging import one_column, whole_columns
from astro_assets.imaging.order import median

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
def combine_counts(
    counts: Any,
    words: bool,
    pairs: Any,
    factors: Any,
    least_spread: float,
    sigma: float,
    max_iterations: int,
    image: Any,
    count: Any,
) -> int:
    """Combine (n, rows, nx) uint16 into (rows, nx), all with one weight; returns what was clipped.

    words : whether they are as FITS writes them: signed, 32768 less, the high byte first
    """
    n, ny, nx = counts.shape
    sorted_counts = np.empty((n, _BLOCK), np.uint16)
    lanes = np.empty((n, _BLOCK), np.float32)
    spread, mean = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    stays = np.empty(_BLOCK, np.bool_)
    column = np.empty(n)
    rejected = 0
    for y in range(ny):
        for x0 in range(0, nx, _BLOCK):
            width = min(_BLOCK, nx - x0)
            for i in range(n):
                _take_counts(counts[i, y, x0 : x0 + width], words, sorted_counts[i])
            _sort(sorted_counts, width, pairs)
            for i in range(n):
                for j in range(width):
                    lanes[i, j] = sorted_counts[i, j]
            floor = whole_columns.judge(
                lanes, width, factors[n], least_spread, sigma, spread, mean, stays
            )
            for j in range(width):
                image[y, x0 + j] = mean[j]
                count[y, x0 + j] = n
            for j in range(width):
                if not stays[j]:
                    column[:] = lanes[:, j]
                    lo, hi, middle = one_column.clip(
                        column, n, spread[j], floor, sigma, max_iterations
                    )
                    image[y, x0 + j] = middle
                    count[y, x0 + j] = hi - lo
                    rejected += n - (hi - lo)
    return rejected


@njit(cache=True, nogil=True)
def combine_values(
    values: Any,
    words: bool,
    bias: Any,
    dark: Any,
    dark_factors: Any,
    scales: Any,
    first_row: int,
    weights: Any,
    pairs: Any,
    factors: Any,
    least_spread: float,
    sigma: float,
    max_iterations: int,
    image: Any,
    count: Any,
) -> int:
    """Combine (n, rows, nx) into (rows, nx): ``(value - bias - dark * factor) * scale``.

    bias, dark : (rows, nx) float32; scales : (n, 2, 2) float32, by the pixel of a 2 × 2 cell
    first_row : of the strip; weights : (n,) above 0; words : as for `combine_counts`
    """
    n, ny, nx = values.shape
    plain, lanes = np.empty((n, _BLOCK), np.float32), np.empty((n, _BLOCK), np.float32)
    valid = np.empty(_BLOCK, np.int64)
    spread, mean = np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32)
    stays = np.empty(_BLOCK, np.bool_)
    column = np.empty(n)
    rejected = 0
    for y in range(ny):
        for x0 in range(0, nx, _BLOCK):
            width = min(_BLOCK, nx - x0)
            for i in range(n):
                _take(
                    values[i, y, x0 : x0 + width], words, bias[y, x0:], dark[y, x0:],
                    dark_factors[i], scales[i, (first_row + y) % 2], plain[i],
                )  # fmt: skip
            _fill(plain, width, lanes, valid)
            _sort(lanes, width, pairs)
            stays[:] = False
            if n > 2 and valid[:width].min() == n:
                floor = whole_columns.judge(
                    lanes, width, factors[n], least_spread, sigma, spread, mean, stays
                )
                whole_columns.means(plain, width, weights, mean)
            else:
                floor = max(least_spread, _spreads(lanes, valid, width, factors, spread))
            for j in range(width):
                lo, hi = 0, n
                if not stays[j]:
                    column[:] = lanes[:, j]
                    lo, hi, _ = one_column.clip(
                        column, valid[j], spread[j], floor, sigma, max_iterations
                    )
                    mean[j] = one_column.mean(plain[:, j], weights, lo, hi, lanes[:, j])
                image[y, x0 + j] = mean[j]
                count[y, x0 + j] = hi - lo
                rejected += valid[j] - (hi - lo)
    return rejected


@njit(cache=True, nogil=True)
def _take_counts(row: Any, words: bool, out: Any) -> None:
    if words:
        for j in range(len(row)):
            out[j] = ((row[j] >> 8) | (row[j] << 8)) ^ 0x8000
    else:
        for j in range(len(row)):
            out[j] = row[j]


@njit(cache=True, nogil=True)
def _take(
    row: Any, words: bool, bias: Any, dark: Any, dark_factor: Any, scales: Any, out: Any
) -> None:
    """Some pixels of a row, from an even column on, corrected."""
    for j in range(len(row)):
        if words:
            word = np.uint16(row[j])
            value = np.float32(np.uint16(((word >> 8) | (word << 8)) ^ 0x8000))
        else:
            value = np.float32(row[j])
        out[j] = (value - bias[j] - dark[j] * dark_factor) * (scales[1] if j % 2 else scales[0])


@njit(cache=True, nogil=True)
def _fill(plain: Any, width: int, lanes: Any, valid: Any) -> None:
    """One block of pixels side by side; what is not finite goes to the end as +inf."""
    valid[:width] = 0
    for i in range(len(plain)):
        for j in range(width):
            finite = abs(plain[i, j]) < np.inf
            lanes[i, j] = plain[i, j] if finite else np.float32(np.inf)
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
        spread[j] = factors[valid[j]] * one_column.mad(lanes[:, j], valid[j])
        if valid[j] > 2:
            several[seen] = spread[j]
            seen += 1
    return float(np.float32(median(several[:seen]))) if seen else 0.0
