"""The kernels of the mesh background: the sky of a box, and from boxes back to pixels.

What belongs here: loops over pixels. What does not: what is made of them (`background`).
"""

from typing import Any

import numpy as np
from numba import njit

_CLIP_SIGMA = 3.0
_ROUNDS = 20
_CROWDED = 0.3
_LEAST_SHARE = 0.1
"""A box tells something from this share of usable pixels on."""
_TRUNCATED = 0.9866
"""Standard deviation of a Gaussian that is cut off at 3 σ."""


@njit(cache=True, nogil=True)
def box_sky(
    image: Any, mask: Any, unusable: int, box_px: int, step: int, top: int, bottom: int,
    level: Any, rms: Any,
) -> None:  # fmt: skip
    """Level and noise of the boxes in rows of boxes ``top`` to ``bottom``; NaN for an empty box."""
    ny, nx = image.shape
    values = np.empty(box_px * box_px, np.float32)
    for row in range(top, bottom):
        for column in range(level.shape[1]):
            n = seen = 0
            for y in range(row * box_px, min((row + 1) * box_px, ny), step):
                for x in range(column * box_px, min((column + 1) * box_px, nx), step):
                    value = image[y, x]
                    seen += 1
                    if not mask[y, x] & unusable and np.isfinite(value):
                        values[n] = value
                        n += 1
            if n <= _LEAST_SHARE * seen:
                level[row, column] = rms[row, column] = np.nan
            else:
                level[row, column], rms[row, column] = _clipped_sky(values[:n])


@njit(cache=True, nogil=True)
def _clipped_sky(values: Any) -> tuple[float, float]:
    """Mode and standard deviation of what lies within 3 σ of the median. Sorts ``values``."""
    values.sort()
    total = np.empty(len(values) + 1)
    squares = np.empty(len(values) + 1)
    total[0] = squares[0] = 0.0
    offset = float(values[len(values) // 2])
    for i in range(len(values)):
        off = values[i] - offset
        total[i + 1] = total[i] + off
        squares[i + 1] = squares[i] + off * off
    first, last = 0, len(values)
    middle = mean = sigma = 0.0
    for _ in range(_ROUNDS):
        n = last - first
        middle = 0.5 * (values[first + (n - 1) // 2] + values[first + n // 2]) - offset
        mean = (total[last] - total[first]) / n
        variance = (squares[last] - squares[first]) / n - mean * mean
        sigma = np.sqrt(max(variance, 0.0))
        left, right = first, last
        while left < right - 1 and values[left] - offset < middle - _CLIP_SIGMA * sigma:
            left += 1
        while right > left + 1 and values[right - 1] - offset > middle + _CLIP_SIGMA * sigma:
            right -= 1
        if left == first and right == last:
            break
        first, last = left, right
    mode = middle
    if sigma > 0 and abs(mean - middle) < _CROWDED * sigma:
        mode = 2.5 * middle - 1.5 * mean
    return offset + mode, sigma / _TRUNCATED


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
        c1, c2 = np.float32(0.5) * (c - a), a - np.float32(2.5) * b + 2 * c - np.float32(0.5) * d
        c3 = np.float32(0.5) * (d - a) + np.float32(1.5) * (b - c)
        centre = (k - 0.5) * box_px - 0.5
        start = max(0, int(np.ceil(centre)))
        stop = min(len(row), int(np.ceil(centre + box_px)))
        offset, scale = np.float32(start - centre) / np.float32(box_px), np.float32(1 / box_px)
        for x in range(start, stop):
            t = offset + np.float32(x - start) * scale
            row[x] = b + t * (c1 + t * (c2 + t * c3))


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
