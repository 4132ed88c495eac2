"""How much each pixel differs from frame to frame, in strips of rows.

What belongs here: the scatter of a pixel over frames of one kind, but for its highest value. What
does not: which scatter is too much (`bad_pixels`).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.combine import Rows
from astro_assets.imaging.running_median import middle
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
            begin = np.asarray(frames[0][rows], np.float32)
            highest, total, squares = (np.zeros_like(begin) for _ in range(3))
            for frame, change in zip(frames[1:], changes, strict=True):
                _add(np.asarray(frame[rows]), begin, change, highest, total, squares)
            _spread(highest, total, squares, len(frames), out[rows])

    over_rows(strips, -(-ny // _STRIP))
    return out


def _changes_of_level(frames: Sequence[Rows]) -> list[float]:
    """Medians of the differences of all further frames from the first, seen in bands of rows."""
    ny = frames[0].shape[0]
    tops = np.unique(np.linspace(0, max(ny - _BAND, 0), min(_BANDS, -(-ny // _BAND))).astype(int))

    def sample(frame: Rows) -> NDArray[np.float32]:
        return np.concatenate([np.asarray(frame[y : y + _BAND], np.float32) for y in tops])

    begin = sample(frames[0])

    def change(frame: Rows) -> float:
        off = (sample(frame) - begin).ravel()
        finite = off[np.isfinite(off)]
        return float(middle(finite)) if finite.size else 0.0

    with ThreadPoolExecutor(threads(), thread_name_prefix="levels") as pool:
        return list(pool.map(change, frames[1:]))


@njit(cache=True, nogil=True)
def _add(frame: Any, begin: Any, change: float, highest: Any, total: Any, squares: Any) -> None:
    shift = np.float32(change)
    for y in range(frame.shape[0]):
        for x in range(frame.shape[1]):
            off = np.float32(frame[y, x]) - begin[y, x] - shift
            highest[y, x] = max(highest[y, x], off)
            total[y, x] += off
            squares[y, x] += off * off


@njit(cache=True, nogil=True)
def _spread(highest: Any, total: Any, squares: Any, n: int, out: Any) -> None:
    kept = n - 1
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            top, rest = highest[y, x], total[y, x] - highest[y, x]
            variance = (squares[y, x] - top * top - rest * rest / kept) / (kept - 1)
            out[y, x] = np.sqrt(max(variance, 0)) if variance == variance else variance
