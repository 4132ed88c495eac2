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

from astro_assets.imaging.combine import Rows, kind_of, read_rows
from astro_assets.imaging.differences import median_of_difference
from astro_assets.imaging.threads import over_rows, threads

_STRIP_BYTES = 4_000_000
_BLOCK = 512
"""Pixels that are gone through at a time."""
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
    changes = np.array([0.0, *_changes_of_level(frames)], np.float32)
    out = np.empty((ny, nx), np.float32)
    kind = kind_of(frames)
    words, dtype = kind == "words", np.dtype(np.float32 if kind == "values" else np.uint16)
    height = max(1, _STRIP_BYTES // (len(frames) * max(nx, 1) * dtype.itemsize))

    def strips(first: int, last: int) -> None:
        values = np.empty(len(frames) * height * nx, dtype)
        for top in range(first, last, height):
            rows = slice(top, min(top + height, last))
            lines = rows.stop - top
            strip = values[: len(frames) * lines * nx].reshape(len(frames), lines, nx)
            read_rows(frames, rows, words, strip)
            _scatter(strip, words, changes, out[rows])

    over_rows(strips, ny)
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
def _scatter(values: Any, words: bool, changes: Any, out: Any) -> None:
    """Of (n, rows, nx) into (rows, nx)."""
    n, ny, nx = values.shape
    lowest, highest, total, squares, off = (
        np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32),
        np.empty(_BLOCK, np.float32), np.empty(_BLOCK, np.float32),
    )  # fmt: skip
    for y in range(ny):
        for x0 in range(0, nx, _BLOCK):
            width = min(_BLOCK, nx - x0)
            _take(values[0, y, x0 : x0 + width], words, changes[0], lowest)
            _take(values[1, y, x0 : x0 + width], words, changes[1], off)
            _begin(width, off, lowest, highest, total, squares)
            for i in range(2, n):
                _take(values[i, y, x0 : x0 + width], words, changes[i], off)
                _add(width, off, lowest, highest, total, squares)
            _spread(highest, total, squares, n, out[y, x0 : x0 + width])


@njit(cache=True, nogil=True)
def _take(row: Any, words: bool, change: Any, out: Any) -> None:
    """Pixels of a row, at the level of the first frame."""
    if words:
        for j in range(len(row)):
            word = np.uint16(row[j])
            out[j] = np.float32(np.uint16(((word >> 8) | (word << 8)) ^ 0x8000)) - change
    else:
        for j in range(len(row)):
            out[j] = np.float32(row[j]) - change


@njit(cache=True, nogil=True)
def _begin(width: int, second: Any, lowest: Any, highest: Any, total: Any, squares: Any) -> None:
    """The lower one of two values is what all are taken from, so that no ray is."""
    for j in range(width):
        first = lowest[j]
        lowest[j] = min(first, second[j])
        highest[j] = abs(first - second[j])
        total[j] = squares[j] = 0


@njit(cache=True, nogil=True)
def _add(width: int, values: Any, lowest: Any, highest: Any, total: Any, squares: Any) -> None:
    """The higher one of a value and the highest so far stays out of the sums: single precision is
    then enough. What is no number stays in the one or the other.
    """
    for j in range(width):
        off = values[j] - lowest[j]
        top = highest[j]
        lower = min(top, off)
        highest[j] = max(off, top)
        total[j] += lower
        squares[j] += lower * lower


@njit(cache=True, nogil=True)
def _spread(highest: Any, total: Any, squares: Any, n: int, out: Any) -> None:
    share, further = np.float32(1 / (n - 1)), np.float32(1 / (n - 2))
    none = np.float32(0)
    for j in range(len(out)):
        variance = (squares[j] - total[j] * total[j] * share) * further
        number = abs(highest[j]) < np.inf
        out[j] = np.sqrt(max(variance, none)) if number & (variance == variance) else np.nan
