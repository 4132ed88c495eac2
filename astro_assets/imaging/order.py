"""Order statistics of many values, exact, without sorting them.

What belongs here: which value is the k-th. What does not: what a median is taken of, medians along
lines (`running_median`).

Real numbers in their order are whole numbers in their order once the sign is seen to (`key_of`).
The one that is looked for is found by halving the range that it lies in until it is alone there:
how many keys are no larger than the middle is counted for as many as the processor takes in one
instruction. Sorting, or partitioning, costs ten times as much.
"""

from typing import Any

import numpy as np
from numba import njit

_HIGHEST = np.int32(2**31 - 1)
_LOWEST = np.int32(-(2**31))


@njit(cache=True, nogil=True)
def median(values: Any) -> float:
    """Of (n,) float32 without NaN, n > 0; of two middle ones the mean."""
    return quantile(values, 0.5)


@njit(cache=True, nogil=True)
def quantile(values: Any, share: float) -> float:
    """The value that ``share`` of the values lie below, linear between two (as NumPy's).

    values : (n,) float32 without NaN, n > 0
    """
    keys, lowest, highest = _keys(values)
    place = share * (len(values) - 1)
    rank = int(place)
    key, up_to_key = _ranked(keys, rank, lowest, highest)
    low = _value_of(key)
    if place == rank:
        return low
    following = key if up_to_key > rank + 1 else _above(keys, key)
    return low + (place - rank) * (_value_of(following) - low)


@njit(cache=True, nogil=True)
def key_of(bits: Any) -> Any:
    """Of the bits of a float32; of its own result the bits."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & _HIGHEST))


@njit(cache=True, nogil=True)
def _value_of(key: Any) -> float:
    bits = np.empty(1, np.int32)
    bits[0] = key_of(key)
    return np.float64(bits.view(np.float32)[0])


@njit(cache=True, nogil=True)
def _keys(values: Any) -> tuple[Any, Any, Any]:
    """The keys, the lowest and the highest."""
    keys = np.empty(len(values), np.int32)
    bits = keys.view(np.float32)
    for k in range(len(values)):
        bits[k] = values[k]
    lowest, highest = _HIGHEST, _LOWEST
    for k in range(len(keys)):
        keys[k] = key_of(keys[k])
        lowest, highest = min(lowest, keys[k]), max(highest, keys[k])
    return keys, lowest, highest


@njit(cache=True, nogil=True)
def _ranked(keys: Any, rank: int, lowest: Any, highest: Any) -> tuple[Any, int]:
    """The key that ``rank`` others precede, and how many are no larger than it."""
    below, up_to = np.int64(lowest) - 1, np.int64(highest)  # below < the key <= up_to
    n_below, n_up_to = 0, len(keys)
    while up_to - below > 1 and n_up_to - n_below > 1:
        half = (below + up_to) >> 1
        count = _up_to(keys, np.int32(half))
        if count > rank:
            up_to, n_up_to = half, count
        else:
            below, n_below = half, count
    return _above(keys, np.int32(below)), n_up_to


@njit(cache=True, nogil=True)
def _up_to(keys: Any, limit: Any) -> Any:
    """How many keys are no larger."""
    count = np.int32(0)
    for k in range(len(keys)):
        count = np.int32(count + np.int32(keys[k] <= limit))
    return count


@njit(cache=True, nogil=True)
def _above(keys: Any, key: Any) -> Any:
    """The lowest of the keys that are higher."""
    nearest = _HIGHEST
    for k in range(len(keys)):
        nearest = min(nearest, keys[k] if keys[k] > key else _HIGHEST)
    return nearest
