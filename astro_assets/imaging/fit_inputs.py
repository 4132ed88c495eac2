"""Which frames can become one master: those of one size and of about one level.

What belongs here: sizes, levels, saturation, and why a frame is refused. What does not: the masters
(`masters`), which frames form a set (`steps`).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median_low
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.differences import tallied_median
from astro_assets.imaging.order import median
from astro_assets.imaging.threads import threads

_Found = TypeVar("_Found")

_SATURATED_FRACTION = 0.01
"""A flat with more of its pixels saturated is refused; hot pixels and stars are far fewer."""
_FLAT_LEVELS = (1 / 3, 3.0)
"""A flat outside of these, relative to the median of the set, is refused."""
_LEVEL_SIGMA = 5.0
"""Biases and darks whose level is off by more than this, in noise of one pixel, are refused."""
_BANDS = 32
"""Pairs of rows from which the level of a frame is taken."""


def same_size(name: str, master: Rows | None, frame: Rows) -> None:
    """Refuse a master, ``name``, of another size than the frames have.

    Raises
    ------
    Unusable : it has
    """
    if master is not None and tuple(master.shape) != tuple(frame.shape):
        raise Unusable(
            f"the master {name} is {_size(master)} pixels and the frames are {_size(frame)}: use "
            f"a {name} of the same camera and binning"
        )


def _size(frame: Rows) -> str:
    return " × ".join(str(side) for side in reversed(frame.shape))


def one_size(frames: Sequence[Rows]) -> tuple[list[int], list[tuple[int, str]]]:
    """Indices of the frames of the commonest size, and the others with the reason.

    Raises
    ------
    NothingToDo : there are no frames
    """
    if len(frames) == 0:
        raise NothingToDo("there are no frames to combine")
    shapes = [tuple(frame.shape) for frame in frames]
    usual = Counter(shapes).most_common(1)[0][0]
    fit = [i for i, shape in enumerate(shapes) if shape == usual]
    expected = _size(frames[fit[0]])
    return fit, [
        (i, f"it has {_size(frames[i])} pixels, the others have {expected}")
        for i, shape in enumerate(shapes)
        if shape != usual
    ]


def fit_levels(frames: Sequence[Rows]) -> tuple[list[int], list[tuple[int, str]]]:
    """Indices of the biases or darks that belong together, and the others with the reason.

    Raises
    ------
    NothingToDo : there are no frames
    Unusable : none holds numbers
    """
    fit, rejected = one_size(frames)
    found = of_each(fit, lambda i: _level_and_noise(frames[i]))
    levels = {i: level for i, (level, _) in found.items()}
    usual = typical(levels.values())
    limit = _LEVEL_SIGMA * max(typical(noise for _, noise in found.values()), 1.0)
    off = [i for i in fit if not abs(levels[i] - usual) <= limit]
    if len(off) == len(fit):
        raise Unusable(f"none of the {len(frames)} frames holds numbers: look at the files")
    rejected += [(i, _other_level(levels[i], usual)) for i in off]
    return [i for i in fit if i not in off], sorted(rejected)


def of_each(indices: Sequence[int], found: Callable[[int], _Found]) -> dict[int, _Found]:
    """What is found of each frame, several side by side."""
    with ThreadPoolExecutor(threads(), thread_name_prefix="levels") as pool:
        return dict(zip(indices, pool.map(found, indices), strict=True))


def _level_and_noise(frame: Rows) -> tuple[float, float]:
    sample = _rows_from_all_over(frame)
    if sample.dtype == np.uint16:
        return _of_counts(sample)
    values = np.asarray(sample, np.float32)
    level = _median(values)
    return level, 1.4826 * _median(np.abs(values - level))


def _of_counts(sample: NDArray[np.uint16]) -> tuple[float, float]:
    """The same from how often each count occurs."""
    tally = np.bincount(sample.ravel())
    counts = np.flatnonzero(tally)
    level = tallied_median(counts.astype(np.float64), tally[counts])
    off = np.abs(counts - level)
    order = np.argsort(off)
    return level, 1.4826 * tallied_median(off[order], tally[counts[order]])


def _other_level(level: float, usual: float) -> str:
    return f"its level is {level:.0f} ADU, that of the others is {usual:.0f} ADU"


def _median(values: NDArray[np.float32]) -> float:
    """Median of what is finite; NaN for nothing."""
    finite = values[np.isfinite(values)]
    return float(np.float32(median(finite))) if finite.size else math.nan


def typical(levels: Iterable[float]) -> float:
    """The median; the lower one of two, so that it is the level of some frame."""
    finite = [level for level in levels if math.isfinite(level)]
    return median_low(finite) if finite else math.nan


def sampled(frame: Rows) -> NDArray[np.float32]:
    """(n, nx) float32: pairs of rows from all over the frame."""
    return np.asarray(_rows_from_all_over(frame), np.float32)


def _rows_from_all_over(frame: Rows) -> NDArray[Any]:
    ny = frame.shape[0]
    starts = np.unique(np.linspace(0, max(ny - 2, 0), min(_BANDS, max(ny // 2, 1))).astype(int))
    return np.concatenate([np.asarray(frame[y : y + 2]) for y in starts // 2 * 2])


def flat_judged(
    frame: Rows,
    bias: NDArray[np.float32] | None,
    dark: NDArray[np.float32] | None,
    bayer: bool,
    saturation_adu: float | None,
) -> tuple[NDArray[np.float64], str]:
    """Median level of each pixel of a 2 × 2 cell, above bias and dark, one for all unless
    ``bayer``; and why the flat is of no use on its own, empty where it is.

    bias, dark : what is taken off, `sampled`
    """
    raw = sampled(frame)
    above = raw.copy()
    for off in (bias, dark):
        if off is not None:
            above -= off
    levels = _levels(above, bayer)
    return levels, _refusal(raw, levels, saturation_adu)


def _levels(sample: NDArray[np.float32], bayer: bool) -> NDArray[np.float64]:
    if not bayer:
        return np.full((2, 2), _median(sample))
    return np.array([[_median(sample[y::2, x::2]) for x in (0, 1)] for y in (0, 1)])


def _refusal(
    raw: NDArray[np.float32], levels: NDArray[np.float64], saturation_adu: float | None
) -> str:
    if saturation_adu is not None:
        fraction = float(np.mean(raw >= saturation_adu))
        if fraction > _SATURATED_FRACTION:
            return f"{100 * fraction:.0f} % of its pixels are saturated"
    if not levels.min() > 0:
        return f"its level above bias and dark is {levels.min():.0f} ADU: it saw no light"
    return ""


def far_off(level: float, usual: float) -> str:
    """Why a flat of this level does not go with the others; empty where it does."""
    low, high = _FLAT_LEVELS
    if low * usual <= level <= high * usual:
        return ""
    return _other_level(level, usual)
