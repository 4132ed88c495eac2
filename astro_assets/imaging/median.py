"""The exact median of some hundred or thousand values, by counting instead of sorting.

What belongs here: the kernel. What does not: which values (`tiles`).

How many values are no larger than a pivot is counted on whole lanes of the processor, so that a
few counts, each of which narrows where the median lies, cost less than moving the values about.
"""

from typing import Any

import numpy as np
from numba import njit

_SAMPLE = 15
_ROUNDS = 8
_FEW = 32
"""Values between the limits from which on they are sorted."""
_STEPS = 6


@njit(cache=True, nogil=True)
def median(values: Any, near: Any, off: Any) -> float:
    """Median of (n,) float32, finite, n > 0; of an even number the mean of the middle two.

    near, off : it is looked for within ``off`` of ``near`` first; 0 when nothing is known
    """
    n = len(values)
    if n < 4 * _FEW:
        return float(np.median(values))
    rank = (n + 1) // 2  # of the lower one of the middle two, from 1
    low, below, high, up_to = _bracket(values, rank, np.float32(near), np.float32(off))
    stalled = 0
    for _ in range(_ROUNDS):
        count = up_to - below
        if count <= _FEW or stalled > 1:
            break
        step, place = (high - low) / np.float32(count), rank - below - 0.5
        margin = 2 + np.sqrt(count) if not stalled else 0.0
        if stalled:
            place = 0.5 * count
        first = max(low + step * np.float32(place - margin), low)
        last = min(low + step * np.float32(place + margin), high)
        to_first, to_last = _counts(values, first, last)
        if to_first >= rank:
            high, up_to = first, to_first
        elif to_last >= rank:
            low, below, high, up_to = first, to_first, last, to_last
        else:
            low, below = last, to_last
        stalled = stalled + 1 if up_to - below == count else 0
    if up_to - below > _FEW:
        return _stepped(values, rank, low)
    between = np.empty(_FEW + 1, np.float32)
    _take_between(values, low, high, between)
    _sort(between, up_to - below)
    lower = between[rank - below - 1]
    if n % 2:
        return float(lower)
    upper = between[rank - below] if up_to > rank else _next_above(values, high)
    return float((lower + upper) / 2)


@njit(cache=True, nogil=True)
def _stepped(values: Any, rank: int, low: Any) -> float:
    """The median from value to value above ``low``: whole numbers have many that are equal."""
    n = len(values)
    for _ in range(_STEPS):
        low = _next_above(values, low)
        count = _counts(values, low, low)[0]
        if count >= rank:
            upper = low if n % 2 or count > rank else _next_above(values, low)
            return float((low + upper) / 2)
    return float(np.median(values))


@njit(cache=True, nogil=True)
def _bracket(values: Any, rank: int, near: Any, off: Any) -> tuple[Any, int, Any, int]:
    """Limits ``low < median <= high``, with how many values are no larger than each."""
    n = len(values)
    if off > 0:
        low, high = near - off, near + off
        below, up_to = _counts(values, low, high)
        if below < rank <= up_to:
            return low, below, high, up_to
    sample = np.empty(_SAMPLE, np.float32)
    for k in range(_SAMPLE):
        sample[k] = values[k * n // _SAMPLE]
    _sort(sample, _SAMPLE)
    low, high = sample[_SAMPLE // 3], sample[_SAMPLE - 1 - _SAMPLE // 3]
    below, up_to = _counts(values, low, high)
    if below >= rank:
        high, up_to = low, below
        low, below = np.nextafter(_lowest(values), np.float32(-np.inf)), 0
    elif up_to < rank:
        low, below = high, up_to
        high, up_to = -_lowest(-values), n
    return low, below, high, up_to


@njit(cache=True, nogil=True)
def _take_between(values: Any, low: Any, high: Any, between: Any) -> None:
    """The values ``low < value <= high`` to ``between``, which has room for one more."""
    n = 0
    for k in range(len(values)):
        value = values[k]
        between[n] = value
        n += low < value <= high


@njit(cache=True, nogil=True)
def _sort(values: Any, n: int) -> None:
    """The first n, in place."""
    for k in range(1, n):
        value = values[k]
        j = k - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value


@njit(cache=True, nogil=True, fastmath=True)
def _lowest(values: Any) -> Any:
    lowest = values[0]
    for k in range(len(values)):
        lowest = min(lowest, values[k])
    return lowest


@njit(cache=True, nogil=True, fastmath=True)
def _counts(values: Any, first: Any, last: Any) -> tuple[int, int]:
    """How many values are no larger than each of two pivots."""
    to_first = to_last = np.int32(0)
    for k in range(len(values)):
        to_first += np.int32(values[k] <= first)
        to_last += np.int32(values[k] <= last)
    return int(to_first), int(to_last)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _next_above(values: Any, limit: Any) -> Any:
    """The smallest value above the limit; there is one."""
    lowest = np.float32(np.inf)
    for k in range(len(values)):
        value = values[k]
        lowest = min(lowest, value if value > limit else np.float32(np.inf))
    return lowest
