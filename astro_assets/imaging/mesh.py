"""The kernels of the mesh background: the sky of a box, and from boxes back to pixels.

What belongs here: loops over pixels. What does not: what is made of them (`background`).
"""

from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.order import median

_CLIP_SIGMA = 3.0
_ROUNDS = 30
_BINS = 240
_EVERY, _FEW = 7, 64
_STARS_SPREADS = 10.0
"""median deviations, nearly seven sigmas"""
_CROWDED = 0.3
_LEAST_SHARE = 0.1
"""A box tells something from this share of usable pixels on."""
_HALF = np.float32(0.5)
_TRUNCATED = 0.9866
"""Standard deviation of a Gaussian that is cut off at 3 σ."""


@njit(cache=True, nogil=True)
def box_sky(
    image: Any, mask: Any, unusable: int, box_px: int, step: int, top: int, bottom: int,
    level: Any, rms: Any,
) -> None:  # fmt: skip
    """Level and noise of the boxes in rows of boxes ``top`` to ``bottom``; NaN for an empty box.

    Rows of pixels are read as they lie in memory, for all boxes that they cross.
    """
    ny, nx = image.shape
    across = level.shape[1]
    values = np.empty((across, (-(-box_px // step)) ** 2), np.float32)
    counts = np.empty(across, np.int64)
    for row in range(top, bottom):
        counts[:] = 0
        lines = range(row * box_px, min((row + 1) * box_px, ny), step)
        for y in lines:
            for column in range(across):
                box, n = values[column], counts[column]
                for x in range(column * box_px, min((column + 1) * box_px, nx), step):
                    value = image[y, x]
                    box[n] = value
                    n += (mask[y, x] & unusable == 0) & np.isfinite(value)
                counts[column] = n
        for column in range(across):
            n = counts[column]
            side = min((column + 1) * box_px, nx) - column * box_px
            if n <= _LEAST_SHARE * len(lines) * (-(-side // step)):
                level[row, column] = rms[row, column] = np.nan
            else:
                level[row, column], rms[row, column] = _clipped_sky(values[column, :n])


@njit(cache=True, nogil=True)
def _clipped_sky(values: Any) -> tuple[float, float]:
    """Mode and standard deviation of what is left after clipping.

    What was clipped once stays out, so the limits only come closer.
    """
    low, high, about = _without_stars(values)
    n, mean, sigma = _mean_and_sigma(values, low, high, about)
    for _ in range(_ROUNDS):
        low, high = max(low, mean - _CLIP_SIGMA * sigma), min(high, mean + _CLIP_SIGMA * sigma)
        left, nearer, narrower = _mean_and_sigma(values, low, high, mean)
        if left == n or left == 0:
            break
        n, mean, sigma = left, nearer, narrower
    middle = _median(values, low, high, n, mean, sigma)
    mode = middle
    if sigma > 0 and abs(mean - middle) < _CROWDED * sigma:
        mode = 2.5 * middle - 1.5 * mean
    return mode, sigma / _TRUNCATED


@njit(cache=True, nogil=True)
def _without_stars(values: Any) -> tuple[float, float, float]:
    """Limits of what is near the median of a few values, and that median.

    Where bright stars fill a tenth of a box, mean and standard deviation alone would keep them.
    """
    few = values[:: _EVERY if len(values) >= _EVERY * _FEW else 1].copy()
    centre = median(few)
    for i in range(len(few)):
        few[i] = abs(few[i] - np.float32(centre))
    reach = _STARS_SPREADS * median(few)
    if reach == 0:
        reach = np.inf
    return centre - reach, centre + reach, centre


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def _mean_and_sigma(
    values: Any, low: float, high: float, about: float
) -> tuple[int, float, float]:  # fmt: skip
    """Number, mean and standard deviation of the values between two limits.

    Written without branches, for many values at a time. In 64 bits, for ``about`` may be a star.
    """
    n = 0
    total = squares = 0.0
    for i in range(len(values)):
        value = float(values[i])
        inside = (value >= low) & (value <= high)
        off = value - about if inside else 0.0
        n += inside
        total += off
        squares += off * off
    if n == 0:
        return 0, about, 0.0
    mean = total / n
    return n, about + mean, np.sqrt(max(squares / n - mean * mean, 0.0))


@njit(cache=True, nogil=True)
def _median(values: Any, low: float, high: float, n: int, mean: float, sigma: float) -> float:
    """Of the ``n`` values between two limits, some sigmas apart, from counts in narrow bins."""
    if sigma == 0:
        return mean
    counts = np.zeros(_BINS, np.int32)
    width = 2 * _CLIP_SIGMA * sigma / _BINS
    start = mean - _CLIP_SIGMA * sigma
    for i in range(len(values)):
        value = float(values[i])
        if low <= value <= high:
            counts[min(max(int((value - start) / width), 0), _BINS - 1)] += 1
    below = 0
    for k in range(_BINS):
        if below + counts[k] >= 0.5 * n:
            return float(start + width * (k + (0.5 * n - below) / counts[k]))
        below += counts[k]
    return mean


@njit(cache=True, nogil=True)
def spread(nodes: Any, box_px: int, top: int, bottom: int, result: Any) -> None:
    """Rows ``top`` to ``bottom`` of ``result`` (ny, nx) from one node in the middle of each box."""
    for y in range(top, bottom):
        spread_row(nodes, box_px, y, result[y])


@njit(cache=True, nogil=True)
def spread_row(nodes: Any, box_px: int, y: int, row: Any) -> None:
    """One row of the interpolated mesh: cubic (Catmull & Rom 1974), linear beyond the edges."""
    across = nodes.shape[1]
    line = np.empty(across + 4, np.float32)
    for column in range(across):
        line[column + 2] = _between_rows(nodes, box_px, y, column)
    if across == 1:
        row[:] = line[2]
        return
    for ghost in (1, 0):
        line[ghost] = 2 * line[ghost + 1] - line[ghost + 2]
    for ghost in (across + 2, across + 3):
        line[ghost] = 2 * line[ghost - 1] - line[ghost - 2]
    # Segment k lies between the nodes k - 1 and k; the first and the last reach half a box out.
    for k in range(across + 1):
        a, b, c, d = line[k], line[k + 1], line[k + 2], line[min(k + 3, across + 3)]
        c1, c2 = _HALF * (c - a), a - np.float32(2.5) * b + np.float32(2) * c - _HALF * d
        c3 = _HALF * (d - a) + np.float32(1.5) * (b - c)
        centre = (k - 0.5) * box_px - 0.5
        start = max(0, int(np.ceil(centre)))
        stop = min(len(row), int(np.ceil(centre + box_px)))
        offset, scale = np.float32(start - centre) / np.float32(box_px), np.float32(1 / box_px)
        part = row[start:stop]
        for x in range(len(part)):
            t = offset + np.float32(np.int32(x)) * scale
            part[x] = b + t * (c1 + t * (c2 + t * c3))


@njit(cache=True, nogil=True)
def _between_rows(nodes: Any, box_px: int, y: int, column: int) -> float:
    down = nodes.shape[0]
    if down == 1:
        return float(nodes[0, column])
    place = (y + 0.5) / box_px - 0.5
    k = int(np.floor(place))
    t = place - k
    a, b = _node(nodes, k - 1, column), _node(nodes, k, column)
    c, d = _node(nodes, k + 1, column), _node(nodes, k + 2, column)
    c1, c2, c3 = 0.5 * (c - a), a - 2.5 * b + 2 * c - 0.5 * d, 0.5 * (d - a) + 1.5 * (b - c)
    return float(b + t * (c1 + t * (c2 + t * c3)))


@njit(cache=True, nogil=True)
def _node(nodes: Any, row: int, column: int) -> float:
    """A node, or the line through the two outermost beyond them."""
    last = nodes.shape[0] - 1
    if row < 0:
        return float(nodes[0, column] + row * (nodes[1, column] - nodes[0, column]))
    if row > last:
        return float(
            nodes[last, column] + (row - last) * (nodes[last, column] - nodes[last - 1, column])
        )
    return float(nodes[row, column])
