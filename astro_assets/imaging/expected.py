"""What a stack's layers are judged by: a median of some, and leeway for changing seeing.

What belongs here: that median, strip by strip, and how far the seeing changes. What does not: the
judgement (`outliers`), the loops over pixels (`layer_medians`).
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.layer_medians import again_without, contrast_of, median_of
from astro_assets.imaging.outliers import REACH_PX, Expected, Levelled, judge, levelled
from astro_assets.imaging.planes import Strip, Workspace
from astro_assets.imaging.threads import threads

MARGIN_PX = 2 * REACH_PX
"""rows beside a strip that its layers are judged with, so that crowds across its edge are seen"""

_PILOT_LAYERS = 7
"""Enough for a median that three trails at one place do not move."""
_HALF_WINDOW_PX = 2
_NOISE_RANGE = 5.0
"""Range of 25 independent values, in standard deviations, that noise alone seldom exceeds."""
_BRIGHT = 20.0
_FEW_PEAKS, _ENOUGH_PEAKS = 8, 100
_LEAST_CHANGE, _USUAL_CHANGE, _MOST_CHANGE = 0.02, 0.15, 0.35
_CHANGE_SHARE = 0.7
"""Of the worst layer's typical change: the clip then stands at twice that change."""
_LEAST = 3
"""layers that it takes to say that one of them is wrong"""
_EDGES = 0.1
"""of a strip: so much of it that only few of the pilots show is no edge but a tile of its own"""
_STRIP_ROWS = 128
_AT_A_TIME = 2
"""strips; not the number of cores, on which the outcome must not depend"""

_Plane = NDArray[np.float32]


class Judges:
    """What the pixels of each strip are judged by.

    The median is that of at most `_PILOT_LAYERS` of the layers; where fewer than three of them
    have data, others serve. Seeing that changes spreads the values in star cores; they are no
    outliers. The leeway is ``change × contrast``: contrast is the range of the median within 5
    pixels beyond what noise does, which is large in stars and small in nebulae; change is measured
    at the peaks of stars, for the layer that differs most, so that a steady night keeps a tight
    clip.

    Parameters
    ----------
    layers : three or more, levelled so that the sky is 0
    """

    def __init__(self, layers: Sequence[Levelled]) -> None:
        self._layers = layers
        self._shape = layers[0].planes.shape
        chosen = np.unique(np.linspace(0, len(layers) - 1, _PILOT_LAYERS).round().astype(int))
        self.pilots = {int(i): number for number, i in enumerate(chosen)}
        self._others = [i for i in range(len(layers)) if i not in self.pilots]
        # A median has π/2 of the variance of the mean.
        self._variance = math.pi / 2 / len(chosen)
        self._noise_e = float(np.median([layer.noise_e for layer in layers]))
        self._change = self._measured_change()

    def of(self, y0: int, y1: int, space: Workspace) -> tuple[Expected, list[Strip]]:
        """What the rows y0 − `MARGIN_PX` … y1 + `MARGIN_PX` are judged by.

        And the pilots there, at the stack's level, as they were needed for it.
        """
        ny = self._shape[0]
        around = MARGIN_PX + 2 * REACH_PX + _HALF_WINDOW_PX
        first, last = max(y0 - around, 0), min(y1 + around, ny)
        pilots, level = self._median(first, last, space)
        leeway = self._contrast(level, space)
        np.multiply(leeway, np.float32(self._change), out=leeway)
        self._without_crowds(pilots, Expected(first, level, leeway, self._variance), space)
        top, bottom = max(y0 - MARGIN_PX, 0), min(y1 + MARGIN_PX, ny)
        inner = slice(top - first, bottom - first)
        expected = Expected(top, level[inner], leeway[inner], self._variance)
        return expected, [_cut(pilot, inner) for pilot in pilots]

    def _median(
        self, first: int, last: int, space: Workspace, *, edges: bool = True
    ) -> tuple[list[Strip], _Plane]:
        """Of the pilots; NaN where fewer than three layers have data: which would be right?

        edges : take care of the few pixels, too, that only other layers show
        """
        shape = (len(self.pilots), last - first, self._shape[1])
        values, weights = space.array("pilots", shape), space.array("pilot weights", shape)
        masks = space.array("pilot masks", shape, np.uint8)
        pilots = []
        for number, i in enumerate(self.pilots):
            strip = levelled(self._layers[i], first, last, values[number], space)
            weights[number] = 0 if strip is None else strip.weight
            if strip is None:
                values[number] = np.nan
                strip = Strip(values[number], weights[number], None, np.zeros((1, 1), np.float32))
            elif strip.mask is not None:
                masks[number] = strip.mask
                strip = replace(strip, mask=masks[number])
            pilots.append(replace(strip, image=values[number], weight=weights[number]))
        level = space.array("level", shape[1:])
        few = median_of(values, _LEAST, level)
        if few and (edges or np.isnan(level).mean() > _EDGES):
            ys, xs = np.nonzero(np.isnan(level))
            level[ys, xs] = self._filled_up(values[:, ys, xs], ys + first, xs, space)
        return pilots, level

    def _filled_up(
        self, values: _Plane, ys: NDArray[np.intp], xs: NDArray[np.intp], space: Workspace
    ) -> _Plane:
        """Medians of values (n, pixels) of which too few are known, with other layers' put in."""
        full = np.concatenate([values, np.full((_LEAST, xs.size), np.nan, np.float32)])
        full = np.sort(full, axis=0)  # NaN last
        count = (~np.isnan(full)).sum(axis=0)
        for i in self._others:
            wanting = np.flatnonzero(count < _LEAST)
            if wanting.size == 0:
                break
            more = self._at(i, ys[wanting], xs[wanting], space)
            taken = wanting[~np.isnan(more)]
            full[count[taken], taken] = more[~np.isnan(more)]
            count[taken] += 1
        full = np.sort(full, axis=0)
        column, last = np.arange(xs.size), len(full) - 1
        low = full[np.clip((count - 1) // 2, 0, last), column]
        high = full[np.clip(count // 2, 0, last), column]
        return np.where(count < _LEAST, np.float32(np.nan), (low + high) / np.float32(2))

    def _at(self, i: int, ys: NDArray[np.intp], xs: NDArray[np.intp], space: Workspace) -> _Plane:
        """Single values of a layer at the stack's level."""
        layer = self._layers[i]
        level, along_x, along_y = layer.offset
        plane = (level + along_x * xs + along_y * ys).astype(np.float32)
        return layer.planes.at(ys, xs, space) * np.float32(layer.scale) + plane

    def _contrast(self, level: _Plane, space: Workspace) -> _Plane:
        floor = np.float32(_NOISE_RANGE * self._noise_e * math.sqrt(self._variance))
        contrast = space.array("contrast", level.shape)
        contrast_of(level, floor, space.array("contrast rows", (4, *level.shape)), contrast)
        return contrast

    def _without_crowds(self, pilots: Sequence[Strip], first: Expected, space: Workspace) -> None:
        """Take the median again where it shows that a layer has a trail, in place.

        Under a trail the first median of three layers is the brighter one of the two others.
        """
        shape = first.level.shape
        apart = space.array("apart", shape, np.uint8)
        verdicts = space.array("verdicts", (len(pilots), *shape), np.uint8)
        for number, i in enumerate(self.pilots):
            pilot = pilots[number]
            judge(
                self._layers[i], pilot.image, pilot.weight, first, apart, verdicts[number],
                crowds_only=True,
            )  # fmt: skip
        again_without(space.array("pilots", (len(pilots), *shape)), verdicts, first.level)

    def _measured_change(self) -> float:
        """Leeway per contrast, from how far the layer that differs most strays at stars' peaks.

        Strips from all over the field are looked at until there are enough peaks.
        """
        ny = self._shape[0]
        strips = list(_spread_out(-(-ny // _STRIP_ROWS)))
        found: list[NDArray[np.float32]] = []
        with ThreadPoolExecutor(min(threads(), _AT_A_TIME), thread_name_prefix="peaks") as pool:
            spaces = [Workspace() for _ in range(_AT_A_TIME)]
            for turn in range(0, len(strips), _AT_A_TIME):
                some = strips[turn : turn + _AT_A_TIME]
                found += pool.map(self._strays, some, spaces[: len(some)])
                if sum(each.shape[1] for each in found) >= _ENOUGH_PEAKS:
                    break
        relative = np.concatenate(found, axis=1)
        if relative.shape[1] < _FEW_PEAKS:
            return _USUAL_CHANGE
        changes = [
            float(np.median(np.abs(of_layer[np.isfinite(of_layer)])))
            for of_layer in relative
            if np.count_nonzero(np.isfinite(of_layer)) >= _FEW_PEAKS
        ]
        worst = max(changes, default=_USUAL_CHANGE)
        return float(np.clip(_CHANGE_SHARE * worst, _LEAST_CHANGE, _MOST_CHANGE))

    def _strays(self, strip: int, space: Workspace) -> NDArray[np.float32]:
        """How far each layer is off at each peak of a strip, over the contrast there."""
        ny = self._shape[0]
        y0, y1 = strip * _STRIP_ROWS, min((strip + 1) * _STRIP_ROWS, ny)
        first, last = max(y0 - _HALF_WINDOW_PX, 0), min(y1 + _HALF_WINDOW_PX, ny)
        pilots, level = self._median(first, last, space, edges=False)
        inner = slice(y0 - first, y1 - first)
        contrast = self._contrast(level, space)[inner]
        # The first of the rows' four parts has each pixel's highest neighbour.
        highest = space.array("contrast rows", (4, *level.shape))[0][inner]
        level = level[inner]
        ys, xs = np.nonzero((level == highest) & (contrast > _BRIGHT * self._noise_e))
        if ys.size == 0:
            return np.empty((len(self._layers), 0), np.float32)
        usual, range_e = level[ys, xs], contrast[ys, xs]
        # The others' values come singly; the pilots' are here.
        values = [
            pilots[self.pilots[i]].image[inner][ys, xs]
            if i in self.pilots
            else self._at(i, ys + y0, xs, space)
            for i in range(len(self._layers))
        ]
        return np.asarray((np.stack(values) - usual) / range_e)


def _cut(strip: Strip, rows: slice) -> Strip:
    exposure_s = strip.exposure_s if strip.exposure_s.size == 1 else strip.exposure_s[rows]
    mask = None if strip.mask is None else strip.mask[rows]
    return Strip(strip.image[rows], strip.weight[rows], mask, exposure_s)


def _spread_out(count: int) -> Iterator[int]:
    """0 … count − 1, so that each few of them are from all over."""
    every = max(1, round(count * 0.382))
    while math.gcd(every, count) > 1:
        every += 1
    return ((count // 2 + i * every) % count for i in range(count))
