"""What does not belong into a stack: satellites, planes, rays, in layers whose noise is known.

What belongs here: the judgement of one layer's pixels against a median of several. What does not:
levels and weights (`stack`), the mean (`combine`).

A clip that learns the spread of each pixel from its own few values is blind with three of them.
Here the spread follows from the layers' noise, so that three are enough.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Levelled:
    """A layer and what brings it to the stack's level: ``image * scale + offset``.

    noise_e : standard deviation of its background after that
    """

    image: Rows
    weight: Rows
    scale: float
    offset: float
    noise_e: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What a layer's pixels are judged by.

    level : (ny, nx) median of some layers, NaN where they have no data
    leeway : (ny, nx) further standard deviation that changing seeing brings, electrons
    background_e : the sky in ``level``
    variance : of ``level``, in units of a layer's
    """

    level: NDArray[np.float32]
    leeway: NDArray[np.float32]
    background_e: float
    variance: float


@dataclass(slots=True)
class Judged:
    """A layer's weight by rows, 0 where the layer is an outlier; counts them as rows are read.

    A value is one when it differs from the expected by more than `OUTLIER_SIGMA` standard
    deviations of background, photon noise and leeway together. Where several stand together, as
    in a satellite's trail, everything within `_REACH_PX` of them goes too: the trail's wings.
    """

    layer: Levelled
    expected: Expected
    crowds_only: bool = False
    rejected: int = field(default=0, init=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layer.weight.shape

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        y0, y1, _ = rows.indices(self.shape[0])
        # Crowds are seen across the strip's edges: one reach to find them, one to grow them.
        first, last = max(y0 - 2 * _REACH_PX, 0), min(y1 + 2 * _REACH_PX, self.shape[0])
        around = slice(first, last)
        weight = np.array(self.layer.weight[around], np.float32)
        apart = np.zeros(weight.shape, np.uint8)
        _mark(
            np.ascontiguousarray(self.layer.image[around], np.float32),
            weight,
            self.layer.scale,
            self.layer.offset,
            self.expected.level[around],
            self.expected.leeway[around],
            self.expected.background_e,
            self.layer.noise_e**2 * (1 + self.expected.variance),
            OUTLIER_SIGMA,
            apart,
        )
        inner = slice(y0 - first, y1 - first)
        taken = (_grown(apart, self.crowds_only)[inner] != 0) & (weight[inner] > 0)
        self.rejected += int(np.count_nonzero(taken))
        kept = weight[inner]
        kept[taken] = 0
        return kept


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
    level = _median(some)
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


def _median(layers: Sequence[Levelled]) -> NDArray[np.float32]:
    """Median of the layers where they have a weight; NaN where none has."""
    median = np.empty(layers[0].weight.shape, np.float32)
    for rows in _strips(median.shape):
        median[rows] = _middle(_values(layers, [layer.weight for layer in layers], rows))
    return median


def _without_crowds(layers: Sequence[Levelled], first: Expected) -> NDArray[np.float32]:
    """The median, taken again where it shows that a layer has a trail.

    Under a trail the first median of three layers is the brighter one of the two others.
    """
    median = first.level.copy()
    judged = [Judged(layer, first, crowds_only=True) for layer in layers]
    for rows in _strips(median.shape):
        before = [layer.rejected for layer in judged]
        values = _values(layers, judged, rows)
        if [layer.rejected for layer in judged] != before:
            again = np.isnan(values).any(axis=0)
            median[rows][again] = _middle(values[:, again])
    return median


def _values(
    layers: Sequence[Levelled], weights: Sequence[Rows], rows: slice
) -> NDArray[np.float32]:
    """The layers' levelled rows, NaN where they have no weight: (n, rows, nx)."""
    planes = []
    for layer, weight in zip(layers, weights, strict=True):
        plane = np.asarray(layer.image[rows], np.float32) * np.float32(layer.scale)
        plane += np.float32(layer.offset)
        plane[~(np.asarray(weight[rows]) > 0)] = np.nan
        planes.append(plane)
    return np.stack(planes)


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
            here = peaks[rows] & (np.asarray(layer.weight[rows]) > 0)
            value = np.asarray(layer.image[rows], np.float32)[here] * np.float32(layer.scale)
            away = value + np.float32(layer.offset) - level[rows][here]
            parts.append(np.asarray(away / contrast[rows][here], np.float32))
        relative = np.concatenate(parts)
        if relative.size >= _FEW_PEAKS:
            changes.append(float(np.median(np.abs(relative))))
    worst = max(changes, default=_USUAL_CHANGE)
    return float(np.clip(_CHANGE_SHARE * worst, _LEAST_CHANGE, _MOST_CHANGE))


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    return (slice(y, min(y + _STRIP_ROWS, shape[0])) for y in range(0, shape[0], _STRIP_ROWS))


@njit(cache=True, nogil=True)
def _mark(
    image: Any,
    weight: Any,
    scale: float,
    offset: float,
    level: Any,
    leeway: Any,
    background_e: float,
    variance: float,
    sigma: float,
    apart: Any,
) -> None:
    """Mark values that stand apart from the expected; where nothing is expected, none does."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if not weight[y, x] > 0:
                continue
            signal = max(level[y, x] - background_e, np.float32(0))
            spread = variance / weight[y, x] + signal * scale + leeway[y, x] * leeway[y, x]
            miss = image[y, x] * scale + offset - level[y, x]
            if miss * miss > sigma * sigma * spread:
                apart[y, x] = 1


@njit(cache=True, nogil=True)
def _grown(apart: Any, crowds_only: bool) -> Any:
    """The marked pixels, and what surrounds those that stand in a crowd."""
    ny, nx = apart.shape
    grown = np.zeros_like(apart) if crowds_only else apart.copy()
    for y in range(ny):
        for x in range(nx):
            if apart[y, x] == 0:
                continue
            top, bottom = max(y - _REACH_PX, 0), min(y + _REACH_PX + 1, ny)
            left, right = max(x - _REACH_PX, 0), min(x + _REACH_PX + 1, nx)
            if apart[top:bottom, left:right].sum() >= _CROWD:
                grown[top:bottom, left:right] = 1
    return grown
