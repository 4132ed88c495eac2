"""Telling one peak from the next, among the pixels above a threshold.

What belongs here: which pixel is whose, and each peak's sums. What does not: the threshold
(`detect`).

Pixels are visited from the highest down; each joins the peak of its highest neighbour. Where two
peaks meet, the lower one is a star of its own if it stands clear of the saddle between them: by 4
of its own sigmas and a tenth of its height.
"""

from typing import Any

import numpy as np
from numba import njit

_CLEAR_SIGMA = 4.0
_CLEAR_SHARE = 0.1


@njit(cache=True, nogil=True)
def watershed(
    rows: Any, columns: Any, height: Any, order: Any, correlation: float, photons: float
) -> Any:
    """(n,) the first pixel of the peak that each pixel belongs to.

    ``photons`` : how the variance of a filtered value grows with it
    """
    n = len(rows)
    above, below = _row_starts(rows, columns)
    parent = np.full(n, -1, np.int64)
    neighbours = np.empty(8, np.int64)
    for pixel in order:
        count = _neighbours(rows, columns, above, below, pixel, neighbours)
        best = near = -1
        for k in range(count):
            if parent[neighbours[k]] < 0:
                continue
            root = _root(parent, neighbours[k])
            if best < 0 or height[root] > height[best]:
                best = root
            if near < 0 or height[neighbours[k]] > height[near]:
                near = neighbours[k]
        if best < 0:
            parent[pixel] = pixel
            continue
        _join(parent, height, neighbours[:count], best, height[pixel], correlation, photons)
        parent[pixel] = _root(parent, near)
    for pixel in range(n):
        parent[pixel] = _root(parent, pixel)
    return parent


@njit(cache=True, nogil=True)
def _join(
    parent: Any, height: Any, around: Any, best: int, saddle: float, correlation: float,
    photons: float,
) -> None:  # fmt: skip
    """Peaks that meet here and do not stand clear of the saddle become part of the highest."""
    for pixel in around:
        if parent[pixel] < 0:
            continue
        root = _root(parent, pixel)
        if root != best and _is_part(height[root], saddle, correlation, photons):
            parent[root] = best


@njit(cache=True, nogil=True)
def _is_part(peak: float, saddle: float, correlation: float, photons: float) -> bool:
    """Whether a peak does not stand clear of the saddle to a higher one."""
    sigma = correlation * np.sqrt(1 + photons * peak)
    return bool(peak - saddle < max(_CLEAR_SIGMA * sigma, _CLEAR_SHARE * peak))


@njit(cache=True, nogil=True)
def _root(parent: Any, pixel: int) -> int:
    root = pixel
    while parent[root] != root:
        root = parent[root]
    while parent[pixel] != root:
        pixel, parent[pixel] = parent[pixel], root
    return root


@njit(cache=True, nogil=True)
def _row_starts(rows: Any, columns: Any) -> tuple[Any, Any]:
    """For each pixel the first one of the row above, and below, that may touch it; -1 for none."""
    n = len(rows)
    above, below = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    at = 0
    for pixel in range(n):
        while rows[at] < rows[pixel] - 1 or (
            rows[at] == rows[pixel] - 1 and columns[at] < columns[pixel] - 1
        ):
            at += 1
        if rows[at] == rows[pixel] - 1 and columns[at] <= columns[pixel] + 1:
            above[pixel] = at
    at = 0
    for pixel in range(n):
        while at < n and (
            rows[at] < rows[pixel] + 1
            or (rows[at] == rows[pixel] + 1 and columns[at] < columns[pixel] - 1)
        ):
            at += 1
        if at < n and rows[at] == rows[pixel] + 1 and columns[at] <= columns[pixel] + 1:
            below[pixel] = at
    return above, below


@njit(cache=True, nogil=True)
def _neighbours(rows: Any, columns: Any, above: Any, below: Any, pixel: int, found: Any) -> int:
    """Put the up to eight neighbours into ``found``; returns how many there are."""
    count = 0
    for beside in (pixel - 1, pixel + 1):
        if (
            0 <= beside < len(rows)
            and rows[beside] == rows[pixel]
            and abs(columns[beside] - columns[pixel]) == 1
        ):
            found[count] = beside
            count += 1
    for first in (above[pixel], below[pixel]):
        if first < 0:
            continue
        at = first
        while at < len(rows) and rows[at] == rows[first] and columns[at] <= columns[pixel] + 1:
            found[count] = at
            count += 1
            at += 1
    return count


@njit(cache=True, nogil=True)
def peak_sums(rows: Any, columns: Any, height: Any, owner: Any, light: Any) -> tuple[Any, Any]:
    """Per peak: number of pixels, and height·(1, x, y, x², y², xy), highest light, its place."""
    index = np.full(len(rows), -1, np.int64)
    peaks = 0
    for pixel in range(len(rows)):
        if owner[pixel] == pixel:
            index[pixel] = peaks
            peaks += 1
    n = np.zeros(peaks, np.int64)
    sums = np.zeros((peaks, 9))
    for pixel in range(len(rows)):
        k = index[owner[pixel]]
        x, y, weight = float(columns[pixel]), float(rows[pixel]), float(height[pixel])
        n[k] += 1
        sums[k, 0] += weight
        sums[k, 1] += weight * x
        sums[k, 2] += weight * y
        sums[k, 3] += weight * x * x
        sums[k, 4] += weight * y * y
        sums[k, 5] += weight * x * y
        if light[rows[pixel], columns[pixel]] > sums[k, 6]:
            sums[k, 6] = light[rows[pixel], columns[pixel]]
        if owner[pixel] == pixel:
            sums[k, 7], sums[k, 8] = x, y
    return n, sums
