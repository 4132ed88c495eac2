"""How much each pixel differs from frame to frame, in strips of rows.

What belongs here: the scatter of a pixel over frames of one kind, but for its highest value. What
does not: which scatter is too much (`bad_pixels`).
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.combine import Rows
from astro_assets.imaging.differences import median_of_difference
from astro_assets.imaging.threads import over_rows, threads

_STRIP = 64
"""Rows that are gone through at a time."""
_BANDS, _BAND = 32, 16
"""Bands, and rows of each, that tell how much a frame as a whole differs from the first."""


def scatter(frames: Sequence[Rows]) -> NDArray[np.float32]:
    """(ny, nx) float32: standard deviation of each pixel, its highest value left out.

    Frames may differ in level: what counts is how much a pixel changes against the others of its
    frame. NaN where a frame has no number.

    Parameters
    ----------
    frames : three or more, (ny, nx) each
    """
    ny, nx = frames[0].shape
    changes = _changes_of_level(frames)
    out = np.empty((ny, nx), np.float32)

    def strips(first: int, last: int) -> None:
        for top in range(first * _STRIP, min(last * _STRIP, ny), _STRIP):
            rows = slice(top, min(top + _STRIP, ny))
            begin, second = (np.asarray(frame[rows], np.float32) for frame in frames[:2])
            lowest, highest, total, squares = (np.empty_like(begin) for _ in range(4))
            _begin(begin, second, changes[0], lowest, highest, total, squares)
            for frame, change in zip(frames[2:], changes[1:], strict=True):
                _add(np.asarray(frame[rows]), lowest, change, highest, total, squares)
            _spread(highest, total, squares, len(frames), out[rows])

    over_rows(strips, -(-ny // _STRIP))
    return out


def _changes_of_level(frames: Sequence[Rows]) -> list[float]:
    """Medians of the differences of all further frames from the first, seen in bands of rows."""
    ny = frames[0].shape[0]
    tops = np.unique(np.linspace(0, max(ny - _BAND, 0), min(_BANDS, -(-ny // _BAND))).astype(int))

    def sample(frame: Rows) -> NDArray[Any]:
        return np.concatenate([np.asarray(frame[y : y + _BAND]) for y in tops])

    begin = sample(frames[0])

    def change(frame: Rows) -> float:
        found = median_of_difference(sample(frame), begin)
        return found if math.isfinite(found) else 0.0

    with ThreadPoolExecutor(threads(), thread_name_prefix="levels") as pool:
        return list(pool.map(change, frames[1:]))


@njit(cache=True, nogil=True)
def _begin(
    first: Any, second: Any, change: float, lowest: Any, highest: Any, total: Any, squares: Any
) -> None:
    """The lower one of two values is what all are taken from, so that no ray is."""
    shift = np.float32(change)
    for y in range(first.shape[0]):
        for x in range(first.shape[1]):
            a, b = first[y, x], second[y, x] - shift
            lowest[y, x] = min(a, b)
            highest[y, x] = abs(a - b)
            total[y, x] = squares[y, x] = 0


@njit(cache=True, nogil=True)
def _add(frame: Any, lowest: Any, change: float, highest: Any, total: Any, squares: Any) -> None:
    """The higher one of a value and the highest so far stays out of the sums: single precision is
    then enough. What is no number stays in the one or the other.
    """
    shift = np.float32(change)
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            off = np.float32(frame[y, x]) - lowest[y, x] - shift
            top = highest[y, x]
            lower = min(top, off)
            highest[y, x] = max(off, top)
            total[y, x] += lower
            squares[y, x] += lower * lower


@njit(cache=True, nogil=True)
def _spread(highest: Any, total: Any, squares: Any, n: int, out: Any) -> None:
    kept = n - 1
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            variance = (squares[y, x] - total[y, x] * total[y, x] / kept) / (kept - 1)
            finite = variance == variance and abs(highest[y, x]) < np.inf
            out[y, x] = np.sqrt(max(variance, 0)) if finite else np.nan
