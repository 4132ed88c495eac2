"""Columns and rows that a master shows to be off: whole, in part, alone or side by side.

What belongs here: the search along lines. What does not: single pixels, the map (`bad_pixels`).

Noise averages out along a line, so that a column far below the noise of its pixels is still seen.
Means of stretches of a column, of all lengths from `_SHORTEST` to the whole, stand against the
same rows of the columns around. A group of columns counts when it begins and ends from one column
to the next, which neither glow nor the shadow of dust does. Where a stretch begins and ends is
then found to the pixel.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.around import Around, around_dark, around_flat, as_shares, in_sigma
from astro_assets.imaging.bad_groups import NEXT_TO_A_GROUP, mark_groups
from astro_assets.imaging.order import median
from astro_assets.imaging.running_median import running_medians
from astro_assets.imaging.threads import over_rows
from astro_assets.imaging.tiles import without_vignetting

_SIGMA = 6.0
_DRAWN_IN = 4.0
"""Single pixels count for no more than this, in sigma: hot ones are no column."""
_SHORTEST = 32
"""pixels; what is shorter is found pixel by pixel"""
_HALF = _SHORTEST // 2
_AROUND = 101
"""Columns against which one is judged: groups of some 30 still stand out."""
_EVERY = 8
_TURNS = 2
_BLOCK = 64


def bad_columns(
    image: NDArray[Any], *, least_step: float = 0.0, around: Around | None = None
) -> NDArray[np.bool_]:
    """(ny, nx) bool: columns and rows that are off, as far as they are.

    Works on a dark or a flat; of a Bayer flat give one colour at a time.

    Parameters
    ----------
    image : (ny, nx)
    least_step : what a column of a flat must be off at least, as a share of the level; 0 for a dark
    around : of the dark, where it is known
    """
    values = np.ascontiguousarray(image, np.float32)
    if least_step:  # what is far below it is of no weight
        values = without_vignetting(values)
        around = around_flat(values, least_step / 8)
    around = around or around_dark(values)
    sigmas = in_sigma(values, around, _DRAWN_IN)
    shares = as_shares(values, around) if least_step else None
    del values
    # Where groups of columns and of rows meet, each is part of what the other is judged against:
    # so in turns, each without what was found of the other.
    shape = sigmas.shape
    rows, columns = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    seen: list[NDArray[np.bool_] | None] = [None, None]
    for _ in range(_TURNS):
        if seen[0] is None or not np.array_equal(seen[0], columns):
            seen[0], rows = columns, _rows(sigmas, columns, shares, least_step)
        if seen[1] is None or not np.array_equal(seen[1], rows):
            seen[1], columns = rows, _columns(sigmas, rows, shares, least_step)
    return np.asarray(rows | columns)


def _columns(
    sigmas: NDArray[np.float32],
    without: NDArray[np.bool_],
    shares: NDArray[np.float32] | None,
    least_step: float,
) -> NDArray[np.bool_]:
    """(ny, nx) bool: columns that are off, judged without pixels that were found before."""
    ny, nx = sigmas.shape
    sums = np.empty((-(-ny // _HALF), nx), np.float32)
    over_rows(partial(_sums_down, sigmas, without, sums), len(sums))
    stretches = _that_are_off(sums, ny)
    if not len(stretches.ends):
        return np.zeros((ny, nx), np.bool_)
    # From here on along columns: those that count are to lie side by side in memory.
    columns = _that_count(stretches)
    place = np.full(nx, -1)
    place[columns] = np.arange(len(columns))
    along = _turned(sigmas, columns)
    share = along if shares is None else _turned(shares, columns)
    marked = np.zeros(along.shape, np.bool_)
    mark_groups(*stretches, place, along, _turned(without, columns), share, least_step, marked)
    found = np.zeros((ny, nx), np.bool_)
    found[:, columns] = marked.T
    return found


def _rows(
    sigmas: NDArray[np.float32],
    without: NDArray[np.bool_],
    shares: NDArray[np.float32] | None,
    least_step: float,
) -> NDArray[np.bool_]:
    """The same of rows."""
    ny, nx = sigmas.shape
    sums = np.empty((-(-nx // _HALF), ny), np.float32)
    over_rows(partial(_sums_across, sigmas, without, sums), ny)
    found = np.zeros((ny, nx), np.bool_)
    stretches = _that_are_off(sums, nx)
    share = sigmas if shares is None else shares
    mark_groups(*stretches, np.arange(ny), sigmas, without, share, least_step, found)
    return found


class _Stretches(NamedTuple):
    """Stretches over which some line is off, as `bad_groups.mark_groups` has them."""

    ends: NDArray[np.int_]
    means: NDArray[np.float32]
    ground: NDArray[np.float32]
    limit: NDArray[np.float32]


def _that_are_off(sums: NDArray[np.float32], length: int) -> _Stretches:
    """Among overlapping stretches of all lengths, from the sums over halves of the shortest.

    All lengths at once: the medians of many lines cost little more than those of a few.
    """
    lengths = list(_of_all_lengths(sums, length))
    ends = np.concatenate([ends for ends, _ in lengths])
    # All of one noise, whatever their length.
    means = np.concatenate([sums for _, sums in lengths])
    means /= np.sqrt(np.diff(ends)).astype(np.float32)
    ground = running_medians(means, _AROUND, _EVERY)
    off = np.abs(means - ground)
    parts = np.split(off, np.cumsum([len(sums) for _, sums in lengths])[:-1])
    usual = np.concatenate(
        [
            np.full((len(part), 1), 1.4826 * np.float32(median(part.ravel())), np.float32)
            for part in parts
        ]
    )
    sigma = np.float32(_SIGMA)
    which = np.flatnonzero((off > sigma * usual).any(axis=1))
    near = np.float32(1.4826) * running_medians(off[which], _AROUND, _EVERY)
    limit = sigma * np.maximum(near, usual[which])
    found = (off[which] > limit).any(axis=1)
    which = which[found]
    return _Stretches(ends[which], means[which], ground[which], limit[found])


def _of_all_lengths(
    sums: NDArray[np.float32], length: int
) -> Iterator[tuple[NDArray[np.int_], NDArray[np.float32]]]:
    """Of each length: the first place of each stretch and one past its last, (n, 2); its sums."""
    half = _HALF
    while len(sums) > 1:
        edges = np.append(np.arange(0, length, half), length)
        if 2 * half < length:
            yield np.stack([edges[:-2], edges[2:]], axis=1), sums[:-1] + sums[1:]
        if len(sums) % 2:
            sums = np.append(sums, np.zeros_like(sums[:1]), axis=0)
        sums = sums[::2] + sums[1::2]
        half *= 2
    yield np.array([[0, length]]), sums


def _that_count(stretches: _Stretches) -> NDArray[np.int_]:
    """Columns that some stretch may mark, with those that a group is compared with."""
    off = np.abs(stretches.means - stretches.ground) > stretches.limit / 2
    return np.flatnonzero(ndimage.binary_dilation(off.any(axis=0), iterations=NEXT_TO_A_GROUP))


def _turned(image: NDArray[Any], columns: NDArray[np.int_]) -> NDArray[Any]:
    """Some columns as rows."""
    out = np.empty((len(columns), len(image)), image.dtype)
    over_rows(partial(_turn, image, columns, out), -(-len(image) // _BLOCK))
    return out


@njit(cache=True, nogil=True)
def _turn(image: Any, columns: Any, out: Any, first: int, last: int) -> None:
    """In blocks, so that what is fetched of either serves more than once."""
    ny = len(image)
    for top in range(first * _BLOCK, last * _BLOCK, _BLOCK):
        for left in range(0, len(columns), _BLOCK):
            for k in range(left, min(left + _BLOCK, len(columns))):
                for y in range(top, min(top + _BLOCK, ny)):
                    out[k, y] = image[y, columns[k]]


@njit(cache=True, nogil=True)
def _sums_down(sigmas: Any, without: Any, sums: Any, first: int, last: int) -> None:
    ny, nx = sigmas.shape
    for k in range(first, last):
        sums[k] = 0
        for y in range(k * _HALF, min((k + 1) * _HALF, ny)):
            for x in range(nx):
                sums[k, x] += np.float32(0) if without[y, x] else sigmas[y, x]


@njit(cache=True, nogil=True)
def _sums_across(sigmas: Any, without: Any, sums: Any, first: int, last: int) -> None:
    nx = sigmas.shape[1]
    for y in range(first, last):
        for k in range(len(sums)):
            total = np.float32(0)
            for x in range(k * _HALF, min((k + 1) * _HALF, nx)):
                total += np.float32(0) if without[y, x] else sigmas[y, x]
            sums[k, y] = total
