"""Order statistics of many values, exact, without sorting them.

What belongs here: which value is the k-th. What does not: what a median is taken of.

The value is found by halving: how many values lie below a trial is counted many at a time, and some
thirty trials settle all bits of a number of 32. Sorting, or partitioning, costs ten times as much.
"""

from typing import Any

import numpy as np
from numba import njit

_ALL_BUT_SIGN = np.int32(0x7FFFFFFF)


@njit(cache=True, nogil=True)
def median(values: Any) -> float:
    """Of float32 values without NaN, one at least; of two middle ones the mean."""
    return quantile(values, 0.5)


@njit(cache=True, nogil=True)
def quantile(values: Any, share: float) -> float:
    """The value that ``share`` of the values lie below, linear between two (as NumPy's).

    values : (n,) float32 without NaN, one at least
    """
    keys = _keys(values)
    place = share * (len(values) - 1)
    rank = int(place)
    key = _ranked(keys, rank)
    low = _value(key)
    if place == rank:
        return low
    return low + (place - rank) * (_value(_next(keys, key, rank)) - low)


@njit(cache=True, nogil=True)
def _keys(values: Any) -> Any:
    """Whole numbers that are ordered as the values are: the bits, turned round below zero."""
    keys = np.empty(len(values), np.int32)
    for i in range(len(values)):
        keys.view(np.float32)[i] = values[i]
    for i in range(len(keys)):
        keys[i] = keys[i] ^ _ALL_BUT_SIGN if keys[i] < 0 else keys[i]
    return keys


@njit(cache=True, nogil=True)
def _value(key: int) -> float:
    bits = np.empty(1, np.int32)
    bits[0] = np.int32(key) ^ _ALL_BUT_SIGN if key < 0 else np.int32(key)
    return np.float64(bits.view(np.float32)[0])


@njit(cache=True, nogil=True)
def _ranked(keys: Any, rank: int) -> int:
    """The key that ``rank`` others precede."""
    low, high = np.int64(keys.min()), np.int64(keys.max())
    while low < high:
        trial = (low + high) >> 1
        if _up_to(keys, np.int32(trial)) > rank:
            high = trial
        else:
            low = trial + 1
    return int(low)


@njit(cache=True, nogil=True)
def _up_to(keys: Any, trial: Any) -> int:
    n = np.int32(0)
    for i in range(len(keys)):
        n += np.int32(keys[i] <= trial)
    return int(n)


@njit(cache=True, nogil=True)
def _next(keys: Any, key: int, rank: int) -> int:
    """The key of the next rank."""
    if _up_to(keys, np.int32(key)) > rank + 1:
        return key
    nearest = np.int32(_ALL_BUT_SIGN)
    for i in range(len(keys)):
        if keys[i] > key:
            nearest = min(nearest, keys[i])
    return int(nearest)
