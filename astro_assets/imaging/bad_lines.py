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

from astro_assets.imaging.tiles import noise_around, noise_between, without_vignetting

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
_SHARP_IN_A_FLAT = 0.5
"""The same, where the shadow of dust may be but two or three pixels soft."""
_SURE = 0.7
"""The same, as a share of what a column must be off: noise alone does not begin a group."""
_TURNS = 2
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
    if least_step:
        values = without_vignetting(values)
    level, spread = noise_around(values)
    if least_step:  # what is far below it is of no weight
        spread = np.maximum(noise_between(values), np.abs(level) * np.float32(least_step / 8))
    off = np.where(np.isfinite(values), values, level) - level
    most = np.float32(_DRAWN_IN)
    sigmas = np.asarray(np.clip(off / np.maximum(spread, _TINY), -most, most), np.float32)
    share = np.asarray(off / np.maximum(np.abs(level), _TINY), np.float32)
    # Where groups of columns and of rows meet, each is part of what the other is judged against:
    # so in turns, each without what was found of the other.
    rows, columns = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    for _ in range(_TURNS):
        rows = _columns(_without(columns, sigmas).T.copy(), share.T, least_step).T
        columns = _columns(_without(rows, sigmas), share, least_step)
    return np.asarray(rows | columns)


def _without(found: NDArray[np.bool_], sigmas: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(found, np.float32(0), sigmas)


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
        # A neighbour that is off itself, the other way, makes no beginning of a group.
        outside = max(means[first - 1], float(np.median(means[max(first - 3, 0) : first])))
        if means[first] - outside >= max(_SHARP * full, least[first]):
            break
        first += 1
    while first <= last and last < len(step) - 1:
        full = step[max(last - 2, first) : last + 1].max()
        outside = max(means[last + 1], float(np.median(means[last + 1 : last + 4])))
        if means[last] - outside >= max(_SHARP * full, least[last]):
            break
        last -= 1
    if first > last:
        return None
    # The border is no end that tells anything: from there on in, it goes as far as it is strong.
    if last == len(step) - 1:
        last = first + _before_the_fall(step[first:], least[first:])
    elif first == 0:
        first = last - _before_the_fall(step[last::-1], least[last::-1])
    return first, last


def _before_the_fall(step: NDArray[np.float32], least: NDArray[np.float32]) -> int:
    """The first column that those after it are far below; the last if there is none."""
    for column in range(len(step) - 1):
        fall = step[column] - step[column + 1 : column + 4].max()
        if fall >= max(_SHARP * step[column], least[column]):
            return column
    return len(step) - 1


def _far_enough(share: NDArray[np.float32], group: _Group, least_step: float) -> bool:
    """Whether the group begins and ends with a step by that share of the level."""
    rows = np.float32(group.sign) * share[group.top : group.bottom]
    first, last = group.first, group.last
    ends = (
        (rows[:, first : min(first + 3, last + 1)], rows[:, max(first - 3, 0) : first][:, ::-1]),
        (rows[:, max(last - 2, first) : last + 1][:, ::-1], rows[:, last + 1 : last + 4]),
    )
    for inside, outside in ends:
        if not outside.size:  # the border
            continue
        own, usual = np.median(inside, axis=0), np.median(outside, axis=0)
        step = own.max() - np.median(usual)
        if step <= least_step or own[0] - usual[0] < _SHARP_IN_A_FLAT * step:
            return False
    return True


def _mark(sigmas: NDArray[np.float32], group: _Group, found: NDArray[np.bool_]) -> None:
    for k, column in enumerate(range(group.first, group.last + 1)):
        profile = np.float32(group.sign) * sigmas[:, column]
        # Elsewhere along the column what is usual is 0.
        profile[group.top : group.bottom] -= np.float32(group.sign) * group.ground[k]
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
