"""How deep a stack is in the main.

What belongs here: the usual weight of its pixels. What does not: the part that is worth showing
(`coverage`), medians of what fits into the cache (`order`).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import quantile

_SAMPLES = 200_000
_AROUND = 0.01
"""of the samples, to either side of their middle: ten times as far as the true middle strays"""


def usual_weight(weight: NDArray[np.float32]) -> float:
    """The median of the weights above 0, exact; NaN where there are none.

    A sample tells between which two values it lies, and only those between them are put in order:
    neither a copy of the plane is made nor an order of all of it.

    Parameters
    ----------
    weight : (ny, nx), contiguous, without NaN
    """
    flat = weight.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLES)]
    sample = sample[sample > 0]
    if sample.size == 0:
        sample = flat[flat > 0]
    if sample.size == 0:
        return float("nan")
    low, high = (np.float32(quantile(sample, 0.5 + side)) for side in (-_AROUND, _AROUND))
    counts = _counts(flat, low, high)
    between = np.empty(counts[2], np.float32)
    _collect(flat, low, high, between)
    edges = np.cumsum(counts)
    covered = int(edges[-1])
    ranks = (covered - 1) // 2, covered // 2
    if ranks[0] < edges[0] or ranks[1] >= edges[3]:
        return float(np.median(flat[flat > 0]))  # the sample was not like the rest
    inside = [rank - int(edges[1]) for rank in ranks]
    there = sorted({k for k in inside if 0 <= k < between.size})
    if there:
        between = np.partition(between, there)
    middle = [low if k < 0 else high if k >= between.size else between[k] for k in inside]
    return float(middle[0] + middle[1]) / 2


@njit(cache=True, nogil=True)
def _counts(values: Any, low: Any, high: Any) -> Any:
    """How many values above 0 are below ``low``, equal to it, between, equal to ``high``, above."""
    covered = below = up_to = under = no_more = np.int64(0)
    for k in range(values.size):
        value = values[k]
        covered += value > 0
        below += (value > 0) & (value < low)
        up_to += (value > 0) & (value <= low)
        under += (value > 0) & (value < high)
        no_more += (value > 0) & (value <= high)
    under = max(under, up_to)  # the two may be one
    return np.array([below, up_to - below, under - up_to, no_more - under, covered - no_more])


@njit(cache=True, nogil=True)
def _collect(values: Any, low: Any, high: Any, between: Any) -> None:
    n = 0
    for k in range(values.size):
        if low < values[k] < high:
            between[n] = values[k]
            n += 1
