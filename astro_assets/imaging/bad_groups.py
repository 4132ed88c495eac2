"""Groups of columns that are off over one stretch of rows: their ends, to the pixel.

What belongs here: the kernels that follow one stretch. What does not: the stretches and what is
usual around them (`bad_lines`). Rows are columns of the image turned over.

A group is its first and last column, the stretch's rows top … bottom - 1 and the sign of its
deviation; ``step`` is each column's mean deviation in that direction, ``least`` what a first or
last column must have of it, all in sigma of a mean.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from astro_assets.imaging.order import median

_SHARP = 0.35
"""Share of a group's step that is made from one column to the next where it begins and ends."""
_SHARP_IN_A_FLAT = 0.5
"""The same, where the shadow of dust may be but two or three pixels soft."""
_SURE = 0.7
"""The same, as a share of what a column must be off: noise alone does not begin a group."""
_NEAR = 3
"""Columns at either side of a group's end that tell whether it is sharp."""
NEXT_TO_A_GROUP = _NEAR + 1
"""Columns at either side of it that are asked what they are off."""
_ROUNDS = 3


@njit(cache=True, nogil=True)
def mark_groups(
    ends: Any,
    means: Any,
    ground: Any,
    limit: Any,
    place: Any,
    sigmas: Any,
    without: Any,
    shares: Any,
    least_step: float,
    found: Any,
) -> None:
    """Mark in ``found`` (n columns, ny), columns as rows, the groups of some stretches.

    Parameters
    ----------
    ends : (n, 2), first row and last row + 1 of each stretch
    means, ground, limit : (n, nx) float32, of each stretch: sum over the root of its length, what
        is usual around, and how far off it a column surely is off
    place : (nx,), which row of the following is a column: of those that are off by half a limit in
        some stretch, and of `NEXT_TO_A_GROUP` at either side of them
    sigmas, shares : (n columns, ny) float32, each pixel's deviation in sigma and as a share of the
        level
    without : (n columns, ny) bool, pixels that were found before
    least_step : what a group of a flat must be off at either end, as a share of the level, or 0
    """
    nx = means.shape[1]
    mean, step, least = (
        np.empty(nx, np.float32), np.empty(nx, np.float32), np.empty(nx, np.float32)
    )  # fmt: skip
    for k in range(len(ends)):
        top, bottom = ends[k]
        root = math.sqrt(bottom - top)
        for sign in (np.float32(1), np.float32(-1)):
            for x in range(nx):
                mean[x] = sign * means[k, x]
                step[x] = sign * (means[k, x] - ground[k, x])
                least[x] = np.float32(_SURE) * limit[k, x]
            last = -1
            while True:
                first, last = _next_run(step, limit[k], last + 1)
                if first == nx:
                    break
                begin, end = _sharp(mean, step, least, first, last)
                if begin > end:
                    continue
                if least_step and not _far_enough(
                    place, shares, sign, top, bottom, begin, end, least_step
                ):
                    continue
                for x in range(begin, end + 1):
                    usual, at = sign * ground[k, x] / root, place[x]
                    _mark(sigmas, without, sign, top, bottom, at, step[x] / root, usual, found)


@njit(cache=True, nogil=True)
def _next_run(step: Any, limit: Any, begin: int) -> tuple[int, int]:
    """First and last column of the next run that holds a sure one; past the end if none does.

    Within a group some columns may be a little weaker than what is sure by itself.
    """
    nx = len(step)
    x = begin
    while x < nx:
        first, sure = x, False
        while x < nx and step[x] > limit[x] / 2:
            sure |= step[x] > limit[x]
            x += 1
        if sure:
            return first, x - 1
        x += 1
    return nx, nx


@njit(cache=True, nogil=True)
def _sharp(mean: Any, step: Any, least: Any, first: int, last: int) -> tuple[int, int]:
    """The group without flanks that rise slowly; it ends before it begins when nothing is left."""
    nx = len(step)
    while first <= last and first > 0:
        full = step[first : min(first + _NEAR, last + 1)].max()
        # A neighbour that is off itself, the other way, makes no beginning of a group.
        outside = max(mean[first - 1], np.median(mean[max(first - _NEAR, 0) : first]))
        if mean[first] - outside >= max(_SHARP * full, least[first]):
            break
        first += 1
    while first <= last and last < nx - 1:
        full = step[max(last - _NEAR + 1, first) : last + 1].max()
        outside = max(mean[last + 1], np.median(mean[last + 1 : last + 1 + _NEAR]))
        if mean[last] - outside >= max(_SHARP * full, least[last]):
            break
        last -= 1
    if first > last:
        return first, last
    # The border is no end that tells anything: from there on in, it goes as far as it is strong.
    if last == nx - 1:
        return first, _before_the_fall(step, least, first, nx - 1)
    if first == 0:
        return _before_the_fall(step, least, last, 0), last
    return first, last


@njit(cache=True, nogil=True)
def _before_the_fall(step: Any, least: Any, start: int, stop: int) -> int:
    """On the way from start to stop the first column that those after it are far below; else
    stop.
    """
    way = 1 if stop > start else -1
    for column in range(start, stop, way):
        after = step[column + way]
        for other in range(column + way, column + way * (1 + _NEAR), way):
            if (stop - other) * way >= 0:
                after = max(after, step[other])
        if step[column] - after >= max(_SHARP * step[column], least[column]):
            return column
    return stop


@njit(cache=True, nogil=True)
def _far_enough(
    place: Any,
    shares: Any,
    sign: Any,
    top: int,
    bottom: int,
    first: int,
    last: int,
    least_step: float,
) -> bool:
    """Whether the group begins and ends with a step by that share of the level."""
    nx = len(place)
    for end, way in ((first, 1), (last, -1)):
        outer = end - way
        if not 0 <= outer < nx:  # the border
            continue
        inside, outside = np.empty(_NEAR), np.empty(_NEAR)
        n_inside = n_outside = 0
        for k in range(_NEAR):
            if first <= end + k * way <= last:
                inside[k] = _median_of(shares[place[end + k * way]], sign, top, bottom)
                n_inside += 1
            if 0 <= outer - k * way < nx:
                outside[k] = _median_of(shares[place[outer - k * way]], sign, top, bottom)
                n_outside += 1
        step = inside[:n_inside].max() - np.median(outside[:n_outside])
        if step <= least_step or inside[0] - outside[0] < _SHARP_IN_A_FLAT * step:
            return False
    return True


@njit(cache=True, nogil=True)
def _median_of(shares: Any, sign: Any, top: int, bottom: int) -> float:
    return float(sign * np.float32(median(shares[top:bottom])))


@njit(cache=True, nogil=True)
def _mark(
    sigmas: Any,
    without: Any,
    sign: Any,
    top: int,
    bottom: int,
    column: int,
    step: float,
    usual: float,
    found: Any,
) -> None:
    """Mark a column of a group as far as it is off, by ``step`` sigma of a pixel."""
    ny = sigmas.shape[1]
    profile = np.empty(ny, np.float32)
    for y in range(ny):
        profile[y] = 0 if without[column, y] else sign * sigmas[column, y]
    # Elsewhere along the column what is usual is 0.
    for y in range(top, bottom):
        profile[y] -= np.float32(usual)
    start, end = _extent(profile, top, bottom, step)
    found[column, start:end] = True


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
