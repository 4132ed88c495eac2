"""What does not belong into a stack: satellites, planes, rays, in layers whose noise is known.

What belongs here: the judgement of one layer's pixels against a median of several. What does not:
levels and weights (`stack`), the mean (`combine`).

A clip that learns the spread of each pixel from its own few values is blind with three of them.
Here the spread follows from the layers' noise, so that three are enough.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from astro_assets.imaging.combine import Rows

OUTLIER_SIGMA = 3.5

_PILOT_LAYERS = 7
"""Enough for a median that three trails at one place do not move."""
_WINDOW_PX = 5
_NOISE_RANGE = 5.0
"""Range of 25 independent values, in standard deviations, that noise alone seldom exceeds."""
_BRIGHT = 20.0
_FEW_PEAKS = 8
_LEAST_CHANGE, _USUAL_CHANGE, _MOST_CHANGE = 0.02, 0.15, 0.35
_CHANGE_SHARE = 0.7
"""Of the worst layer's typical change: the clip then stands at twice that change."""
_STRIP_ROWS = 256
_REACH_PX = 2
_CROWD = 4
_LEAST = 3
"""layers that it takes to say that one of them is wrong"""


@dataclass(frozen=True, slots=True)
class Levelled:
    """A layer and what brings it to the stack's level: ``image * scale + plane``.

    offset : the plane: at the pixel (0, 0), per pixel along x, per pixel along y; electrons
    noise_e : standard deviation of its background after that
    """

    image: Rows
    weight: Rows
    scale: float
    offset: tuple[float, float, float]
    noise_e: float

    def values(self, rows: slice) -> NDArray[np.float32]:
        """Rows at the stack's level; what has no weight is there too."""
        y0, y1, _ = rows.indices(self.weight.shape[0])
        plane = np.asarray(self.image[rows], np.float32) * np.float32(self.scale)
        level, along_x, along_y = self.offset
        plane += (level + along_y * np.arange(y0, y1)).astype(np.float32)[:, None]
        if along_x:
            plane += (along_x * np.arange(plane.shape[1])).astype(np.float32)
        return plane


@dataclass(frozen=True, slots=True)
class Expected:
    """What a layer's pixels are judged by.

    level : (ny, nx) median of some layers, NaN where fewer than three layers have data
    leeway : (ny, nx) further standard deviation that changing seeing brings, electrons
    background_e : the sky in ``level``
    variance : of ``level``, in units of a layer's
    """

    level: NDArray[np.float32]
    leeway: NDArray[np.float32]
    background_e: float
    variance: float


class Verdict(IntEnum):
    """What is said of one value of a layer."""

    NO_DATA = 0
    KEPT = 1
    HIGH = 2
    LOW = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """Some rows of a layer: values and weights as they are, and the `Verdict` on each, uint8."""

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    verdict: NDArray[np.uint8]


def judge(
    layer: Levelled, expected: Expected | None, rows: slice, *, crowds_only: bool = False
) -> Judged:
    """Judge some rows of a layer.

    A value is an outlier when it differs from the expected by more than `OUTLIER_SIGMA` standard
    deviations of background, photon noise and leeway together. Where several stand together, as
    in a satellite's trail, everything within `_REACH_PX` of them goes too: the trail's wings.
    Where nothing is expected, nothing is an outlier.

    Parameters
    ----------
    expected : from `expect`; None keeps all
    crowds_only : let single values pass
    """
    ny = layer.weight.shape[0]
    y0, y1, _ = rows.indices(ny)
    # Crowds are seen across the strip's edges: one reach to find them, one to grow them.
    first, last = max(y0 - 2 * _REACH_PX, 0), min(y1 + 2 * _REACH_PX, ny)
    around, inner = slice(first, last), slice(y0 - first, y1 - first)
    if expected is None:
        around, inner = slice(y0, y1), slice(None)
    image = np.ascontiguousarray(layer.image[around], np.float32)
    weight = np.ascontiguousarray(layer.weight[around], np.float32)
    verdict = np.empty(weight.shape, np.uint8)
    if expected is None:
        verdict[:] = weight > 0
        return Judged(image, weight, verdict)
    _judge(
        image,
        weight,
        layer.scale,
        np.array(layer.offset, np.float64),
        first,
        expected.level[around],
        expected.leeway[around],
        expected.background_e,
        layer.noise_e**2 * (1 + expected.variance),
        OUTLIER_SIGMA,
        crowds_only,
        verdict,
    )
    return Judged(image[inner], weight[inner], verdict[inner])


def expect(layers: Sequence[Levelled], background_e: float) -> Expected:
    """The median of the layers and the leeway of bright structure.

    Seeing that changes spreads the values in star cores; they are no outliers. The leeway is
    ``change × contrast``: contrast is the range of the median within `_WINDOW_PX` pixels beyond
    what noise does, which is large in stars and small in nebulae; change is measured at the peaks
    of stars, for the layer that differs most, so that a steady night keeps a tight clip.

    Parameters
    ----------
    layers : three or more
    background_e : the common level of the sky
    """
    chosen = np.unique(np.linspace(0, len(layers) - 1, _PILOT_LAYERS).round().astype(int))
    some = [layers[i] for i in chosen]
    others = [layer for i, layer in enumerate(layers) if i not in set(chosen)]
    level = _median(some, others)
    noise_e = float(np.median([layer.noise_e for layer in layers]))
    # A median has π/2 of the variance of the mean.
    variance = math.pi / 2 / len(some)
    filled = np.where(np.isfinite(level), level, np.float32(background_e))
    highest = maximum_filter(filled, _WINDOW_PX)
    contrast = highest - minimum_filter(filled, _WINDOW_PX)
    contrast -= np.float32(_NOISE_RANGE * noise_e * math.sqrt(variance))
    np.maximum(contrast, 0, out=contrast)
    peaks = (filled == highest) & (contrast > _BRIGHT * noise_e)
    contrast *= np.float32(_change(layers, level, contrast, peaks))
    first = Expected(level, contrast, background_e, variance)
    return Expected(_without_crowds(some, first), contrast, background_e, variance)


def _median(pilots: Sequence[Levelled], others: Sequence[Levelled]) -> NDArray[np.float32]:
    """Median of the pilots where they have a weight.

    Where fewer than three of them have, as in the tiles of a mosaic, others serve; where fewer
    than three layers have, it is NaN: nobody could tell which of two is right.
    """
    median = np.empty(pilots[0].weight.shape, np.float32)
    for rows in _strips(median.shape):
        values = np.stack([_shown(layer, rows) for layer in pilots])
        median[rows] = _middle(values)
        few = (~np.isnan(values)).sum(axis=0) < _LEAST
        if few.any():
            median[rows][few] = _middle(_filled_up(values[:, few], few, others, rows))
    return median


def _filled_up(
    values: NDArray[np.float32], where: NDArray[np.bool_], others: Sequence[Levelled], rows: slice
) -> NDArray[np.float32]:
    """Values (n, pixels) of which too few are known, with those of other layers put in.

    All NaN where they are too few still.
    """
    full = np.concatenate([values, np.full((_LEAST, values.shape[1]), np.nan, np.float32)])
    full = np.sort(full, axis=0)  # NaN last
    count = (~np.isnan(full)).sum(axis=0)
    for layer in others:
        wanting = count < _LEAST
        if not wanting.any():
            break
        more = _shown(layer, rows)[where]
        taken = np.flatnonzero(wanting & ~np.isnan(more))
        full[count[taken], taken] = more[taken]
        count[taken] += 1
    full[:, count < _LEAST] = np.nan
    return full


def _without_crowds(pilots: Sequence[Levelled], first: Expected) -> NDArray[np.float32]:
    """The median, taken again where it shows that a layer has a trail.

    Under a trail the first median of three layers is the brighter one of the two others.
    """
    median = first.level.copy()
    for rows in _strips(median.shape):
        judged = [judge(layer, first, rows, crowds_only=True) for layer in pilots]
        apart = np.array([j.verdict >= Verdict.HIGH for j in judged])
        again = apart.any(axis=0)
        if not again.any():
            continue
        values = np.stack([_shown(layer, rows)[again] for layer in pilots])
        values[apart[:, again]] = np.nan
        known = median[rows][again]
        fresh = _middle(values)
        median[rows][again] = np.where(np.isnan(known) | np.isnan(fresh), known, fresh)
    return median


def _shown(layer: Levelled, rows: slice) -> NDArray[np.float32]:
    """The layer's levelled rows, NaN where it has no weight."""
    plane = layer.values(rows)
    plane[~(np.asarray(layer.weight[rows]) > 0)] = np.nan
    return plane


def _middle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median along the first axis without NaN: few values, sorted plane by plane."""
    blank = np.isnan(values)
    ordered = np.where(blank, np.float32(np.inf), values)
    n = len(ordered)
    for turn in range(n):  # odd-even transposition
        for i in range(turn % 2, n - 1, 2):
            lower = np.minimum(ordered[i], ordered[i + 1])
            np.maximum(ordered[i], ordered[i + 1], out=ordered[i + 1])
            ordered[i] = lower
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / np.float32(2)
    partly = blank.any(axis=0)
    count = n - blank[:, partly].sum(axis=0)
    some = ordered[:, partly]
    column = np.arange(count.size)
    low, high = (
        some[np.maximum(count - 1, 0) // 2, column],
        some[np.minimum(count // 2, n - 1), column],
    )
    middle[partly] = np.where(count > 0, (low + high) / np.float32(2), np.nan)
    return np.asarray(middle, np.float32)


def _change(
    layers: Sequence[Levelled],
    level: NDArray[np.float32],
    contrast: NDArray[np.float32],
    peaks: NDArray[np.bool_],
) -> float:
    """Leeway per contrast, from how far the layer that differs most strays at the stars' peaks."""
    if np.count_nonzero(peaks) < _FEW_PEAKS:
        return _USUAL_CHANGE
    changes = []
    for layer in layers:
        parts: list[NDArray[np.float32]] = []
        for rows in _strips(level.shape):
            here = peaks[rows] & (np.asarray(layer.weight[rows]) > 0) & np.isfinite(level[rows])
            if not here.any():
                continue
            away = layer.values(rows)[here] - level[rows][here]
            parts.append(np.asarray(away / contrast[rows][here], np.float32))
        relative = np.concatenate(parts) if parts else np.empty(0, np.float32)
        if relative.size >= _FEW_PEAKS:
            changes.append(float(np.median(np.abs(relative))))
    worst = max(changes, default=_USUAL_CHANGE)
    return float(np.clip(_CHANGE_SHARE * worst, _LEAST_CHANGE, _MOST_CHANGE))


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    return (slice(y, min(y + _STRIP_ROWS, shape[0])) for y in range(0, shape[0], _STRIP_ROWS))


@njit(cache=True, nogil=True)
def _judge(
    image: Any,
    weight: Any,
    scale: float,
    offset: Any,
    first_row: int,
    level: Any,
    leeway: Any,
    background_e: float,
    variance: float,
    sigma: float,
    crowds_only: bool,
    verdict: Any,
) -> None:
    """Mark values that stand apart from the expected, and what surrounds those in a crowd."""
    apart = np.zeros(image.shape, np.uint8)
    for y in range(image.shape[0]):
        begin = offset[0] + offset[2] * (first_row + y)
        for x in range(image.shape[1]):
            verdict[y, x] = 0
            if not weight[y, x] > 0:
                continue
            verdict[y, x] = 1
            signal = max(level[y, x] - background_e, np.float32(0))
            spread = variance / weight[y, x] + signal * scale + leeway[y, x] * leeway[y, x]
            miss = image[y, x] * scale + begin + offset[1] * x - level[y, x]
            if miss * miss > sigma * sigma * spread:
                apart[y, x] = 2 if miss > 0 else 3
    for y, x in zip(*np.nonzero(apart)):  # noqa: B905 - numba knows no strict
        if not crowds_only:
            verdict[y, x] = apart[y, x]
        _spread_out(apart, y, x, verdict)


@njit(cache=True, nogil=True)
def _spread_out(apart: Any, y: int, x: int, verdict: Any) -> None:
    """Where a marked value stands in a crowd, what surrounds it goes with it."""
    top, bottom = max(y - _REACH_PX, 0), min(y + _REACH_PX + 1, apart.shape[0])
    left, right = max(x - _REACH_PX, 0), min(x + _REACH_PX + 1, apart.shape[1])
    if np.count_nonzero(apart[top:bottom, left:right]) < _CROWD:
        return
    for v in range(top, bottom):
        for u in range(left, right):
            if verdict[v, u] == 1:
                verdict[v, u] = apart[y, x]
