"""Columns and rows that a master shows to be off: whole, in part, alone or side by side.

What belongs here: the search along lines. What does not: single pixels, the map (`bad_pixels`).

Noise averages out along a line, so that a column far below the noise of its pixels is still seen.
Means of stretches of a column, of all lengths from `_SHORTEST` to the whole, stand against the
same rows of the columns around. A group of columns counts when it begins and ends from one column
to the next, which neither glow nor the shadow of dust does. Where a stretch begins and ends is
then found to the pixel.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.tiles import surroundings

_SIGMA = 6.0
_DRAWN_IN = 4.0
"""Single pixels count for no more than this, in sigma: hot ones are no column."""
_SHORTEST = 32
"""pixels; what is shorter is found pixel by pixel"""
_AROUND = 101
"""Columns against which one is judged: groups of some 30 still stand out."""
_EVERY = 8
_SHARP = 0.35
"""Share of a group's step that is made from one column to the next where it begins and ends."""
_SURE = 0.7
"""The same, as a share of what a column must be off: noise alone does not begin a group."""
_ROUNDS = 3
_TINY = np.float32(1e-6)


class _Group(NamedTuple):
    """Columns first … last, over the rows top … bottom - 1, that are off in one direction.

    step : mean deviation of each, in sigma of a pixel, counted in that direction
    ground : what is usual around, in sigma
    """

    top: int
    bottom: int
    first: int
    last: int
    sign: float
    step: NDArray[np.float32]
    ground: NDArray[np.float32]


def bad_columns(image: NDArray[Any], *, least_step: float = 0.0) -> NDArray[np.bool_]:
    """(ny, nx) bool: columns and rows that are off, as far as they are.

    Works on a dark or a flat; of a Bayer flat give one colour at a time.

    Parameters
    ----------
    image : (ny, nx)
    least_step : what a column of a flat must be off at least, as a share of the level; 0 for a dark
    """
    values = np.asarray(image, np.float32)
    level, spread = noise_around(values)
    if least_step:  # what is far below it is of no weight
        spread = np.maximum(noise_between(values), np.abs(level) * np.float32(least_step / 8))
    off = np.where(np.isfinite(values), values, level) - level
    most = np.float32(_DRAWN_IN)
    sigmas = np.asarray(np.clip(off / np.maximum(spread, _TINY), -most, most), np.float32)
    share = np.asarray(off / np.maximum(np.abs(level), _TINY), np.float32)
    columns = _columns(sigmas, share, least_step)
    rows = _columns(sigmas.T.copy(), share.T, least_step).T
    # Where groups of columns and of rows meet, each is part of what the other is judged against.
    without_rows, without_columns = sigmas.copy(), sigmas.T.copy()
    without_rows[rows] = 0
    without_columns[columns.T] = 0
    return np.asarray(
        _columns(without_rows, share, least_step) | _columns(without_columns, share.T, least_step).T
    )


def noise_around(image: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and spread as in `surroundings`, the spread no less than whole numbers allow.

    Most pixels of a single dark of a quiet camera have the same count; their MAD is 0.
    """
    level, spread = surroundings(image)
    off = np.asarray(image, np.float32) - level
    low, high = np.nanpercentile(off, (2.3, 97.7))
    return level, np.where(spread > 0, spread, np.float32(high - low) / 4)


def noise_between(image: NDArray[Any]) -> NDArray[np.float32]:
    """Spread from pixel to pixel, so that the edge of a dust shadow does not count."""
    _, difference = surroundings(np.diff(image, axis=1, append=image[:, -2:-1]))
    return np.asarray(difference / np.float32(np.sqrt(2)), np.float32)


def _columns(
    sigmas: NDArray[np.float32], share: NDArray[np.float32], least_step: float
) -> NDArray[np.bool_]:
    found = np.zeros(sigmas.shape, bool)
    for tops, bottoms, sums in _stretches(sigmas):
        for group in _groups(tops, bottoms, sums):
            if least_step and not _far_enough(share, group, least_step):
                continue
            _mark(sigmas, group, found)
    return found


def _stretches(
    sigmas: NDArray[np.float32],
) -> Iterator[tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.float32]]]:
    """First row, last row + 1 and sum of overlapping stretches of each length."""
    ny = len(sigmas)
    half = _SHORTEST // 2
    while 2 * half < ny:
        edges = np.append(np.arange(0, ny, half), ny)
        halves = np.add.reduceat(sigmas, edges[:-1], axis=0)
        yield edges[:-2], edges[2:], halves[:-1] + halves[1:]
        half *= 2
    yield np.array([0]), np.array([ny]), sigmas.sum(axis=0, keepdims=True)


def _groups(
    tops: NDArray[np.int_], bottoms: NDArray[np.int_], sums: NDArray[np.float32]
) -> Iterator[_Group]:
    """Columns side by side that are off over one stretch of rows."""
    lengths = (bottoms - tops).astype(np.float32)[:, np.newaxis]
    means = sums / np.sqrt(lengths)  # all of one noise, whatever their length
    ground = _running_median(means)
    steps = means - ground
    near = 1.4826 * _running_median(np.abs(steps))
    limit = _SIGMA * np.maximum(near, 1.4826 * np.median(np.abs(steps)))
    for k in np.flatnonzero((np.abs(steps) > limit).any(axis=1)):
        root = np.sqrt(lengths[k])
        for sign in (1.0, -1.0):
            step = np.float32(sign) * steps[k]
            # Within a group some columns may be a little weaker than what is sure by itself.
            runs, n_runs = ndimage.label(step > limit[k] / 2)
            sure = np.unique(runs[step > limit[k]])
            for first, last in _ends(runs, n_runs, sure):
                trimmed = _sharp(np.float32(sign) * means[k], step, _SURE * limit[k], first, last)
                if trimmed is not None:
                    cut = slice(trimmed[0], trimmed[1] + 1)
                    yield _Group(
                        int(tops[k]), int(bottoms[k]), *trimmed, sign,
                        step[cut] / root, ground[k, cut] / root,
                    )  # fmt: skip


def _running_median(values: NDArray[Any]) -> NDArray[np.float32]:
    """Medians of `_AROUND` columns, taken at every `_EVERY`th, linear between."""
    nx = values.shape[1]
    reach = _AROUND // 2
    padded = np.pad(values, ((0, 0), (reach, reach + _EVERY)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _AROUND, axis=1)
    medians = np.median(windows[:, : nx + _EVERY : _EVERY], axis=2)
    left, rest = np.divmod(np.arange(nx), _EVERY)
    share = (rest / np.float32(_EVERY)).astype(np.float32)
    return np.asarray(medians[:, left] * (1 - share) + medians[:, left + 1] * share, np.float32)


def _ends(
    runs: NDArray[np.int32], n_runs: int, wanted: NDArray[np.int32]
) -> Iterator[tuple[int, int]]:
    places = ndimage.find_objects(runs, n_runs)
    for label in wanted:
        (columns,) = places[label - 1]
        yield columns.start, columns.stop - 1


def _sharp(
    means: NDArray[np.float32],
    step: NDArray[np.float32],
    least: NDArray[np.float32],
    first: int,
    last: int,
) -> tuple[int, int] | None:
    """The group without flanks that rise slowly; None when nothing is left."""
    while first <= last and first > 0:
        full = step[first : min(first + 3, last + 1)].max()
        if means[first] - means[first - 1] >= max(_SHARP * full, least[first]):
            break
        first += 1
    while first <= last and last < len(step) - 1:
        full = step[max(last - 2, first) : last + 1].max()
        if means[last] - means[last + 1] >= max(_SHARP * full, least[last]):
            break
        last -= 1
    return (first, last) if first <= last else None


def _far_enough(share: NDArray[np.float32], group: _Group, least_step: float) -> bool:
    """Whether the strongest of the group is off by that share of the level."""
    rows = share[group.top : group.bottom]
    own = np.median(rows[:, group.first : group.last + 1], axis=0)
    before = rows[:, max(group.first - 3, 0) : group.first]
    usual = np.median(np.hstack([before, rows[:, group.last + 1 : group.last + 4]]))
    return bool(np.max(group.sign * (own - usual)) > least_step)


def _mark(sigmas: NDArray[np.float32], group: _Group, found: NDArray[np.bool_]) -> None:
    for k, column in enumerate(range(group.first, group.last + 1)):
        profile = np.float32(group.sign) * (sigmas[:, column] - group.ground[k])
        top, bottom = _extent(profile, group.top, group.bottom, float(group.step[k]))
        found[top:bottom, column] = True


@njit(cache=True, nogil=True)
def _extent(profile: Any, top: int, bottom: int, step: float) -> tuple[int, int]:
    """Where a stretch that was seen in the rows top … bottom - 1 begins, and where it has ended.

    The likeliest place of a change of level between noise and ``step`` (the maximum of the
    cumulated sum; Page 1954, Biometrika 41, 100).
    """
    start, end = top, bottom
    for _ in range(_ROUNDS):
        start, end = _best_run(profile, top, bottom, step / 2)
        start, end = _grown(profile, start, end, step / 2)
        step = max(np.mean(profile[start:end]), 1e-3)
    # So near to the border the noise does not tell whether it ends before.
    doubt = 10 / step**2
    if start <= doubt:
        start = 0
    if len(profile) - end <= doubt:
        end = len(profile)
    return start, end


@njit(cache=True, nogil=True)
def _best_run(profile: Any, top: int, bottom: int, half: float) -> tuple[int, int]:
    """The run of rows of the largest sum above ``half``."""
    best, total, begin = -1.0, 0.0, top
    start, end = top, bottom
    for y in range(top, bottom):
        if total <= 0:
            total, begin = 0.0, y
        total += profile[y] - half
        if total > best:
            best, start, end = total, begin, y + 1
    return start, end


@njit(cache=True, nogil=True)
def _grown(profile: Any, start: int, end: int, half: float) -> tuple[int, int]:
    """The run with what adds to its sum at either side."""
    total, best, first = 0.0, 0.0, start
    for y in range(start - 1, -1, -1):
        total += profile[y] - half
        if total > best:
            best, first = total, y
    total, best, last = 0.0, 0.0, end
    for y in range(end, len(profile)):
        total += profile[y] - half
        if total > best:
            best, last = total, y + 1
    return first, last
