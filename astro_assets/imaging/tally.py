"""Sums over layers, pixel by pixel: what a stack is made of while its layers pass by.

What belongs here: adding rows of judged layers, and what the sums become. What does not: the
judgement (`outliers`), levels and weights (`stack`). A tally has the size of the grid, whatever the
number of layers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.outliers import BLOCK_PX, any_above
from astro_assets.imaging.planes import Strip

_SATURATED = int(MaskBit.SATURATED)
_NO_DATA = int(MaskBit.NO_DATA)


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums so far; all (ny, nx). They grow in place.

    value, weight : float32, of weight times value (less the common level), and of weights
    exposure_s : float32, of exposure times
    count, low, high : uint16, layers that went in, and that were left out for being too low or
        too high
    mask : uint8, layers that are saturated there, 255 at most; in the end the mask
    """

    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    exposure_s: NDArray[np.float32]
    count: NDArray[np.uint16]
    low: NDArray[np.uint16]
    high: NDArray[np.uint16]
    mask: NDArray[np.uint8]

    @classmethod
    def blank(cls, shape: tuple[int, int]) -> "Tally":
        return cls(
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.float32),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint16),
            np.zeros(shape, np.uint8),
        )

    def rows(self, y0: int, y1: int) -> "Tally":
        """The same sums of some rows."""
        return Tally(
            self.value[y0:y1], self.weight[y0:y1], self.exposure_s[y0:y1], self.count[y0:y1],
            self.low[y0:y1], self.high[y0:y1], self.mask[y0:y1],
        )  # fmt: skip

    def add(self, strip: Strip, verdict: NDArray[np.uint8], skip: int, weight: float) -> int:
        """Add a levelled strip; give the number of values that were left out.

        Parameters
        ----------
        verdict : of `outliers.Verdict` on the strip's values
        skip : rows of the strip above the first that counts
        weight : of the layer, multiplied onto its pixels' weights; 0 leaves the values to others
            and only counts
        """
        ny = len(self.value)
        rows = slice(skip, skip + ny)
        exposure_s = strip.exposure_s
        mask = strip.mask
        return int(
            _add(
                strip.image[rows], strip.weight[rows], verdict[rows], np.float32(weight),
                exposure_s if exposure_s.size == 1 else exposure_s[rows],
                np.zeros((0, 0), np.uint8) if mask is None else mask[rows],
                self.value, self.weight, self.exposure_s, self.count, self.low, self.high,
                self.mask,
            )
        )  # fmt: skip

    def finish(self, level: float, variance_per_weight: float) -> None:
        """Make the sums what a `Stacked` has of them.

        ``value`` becomes the weighted mean above ``level``, NaN where nothing went in; ``weight``
        the inverse variance. A pixel is saturated when it is in two layers, or in every layer that
        there is.
        """
        _finish(
            self.value, self.weight, self.count, np.float32(level),
            np.float32(variance_per_weight), self.mask,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _add(
    image: Any,
    share: Any,
    verdict: Any,
    layer_weight: Any,
    exposure_s: Any,
    mask: Any,
    value: Any,
    weight: Any,
    exposures: Any,
    count: Any,
    low: Any,
    high: Any,
    saturated: Any,
) -> int:
    none = np.float32(0)
    left_out = 0
    for y in range(image.shape[0]):
        line, part, said = image[y], share[y], verdict[y]
        total, weights, times, number = value[y], weight[y], exposures[y], count[y]
        if layer_weight > none:
            for x in range(line.size):
                w = layer_weight * part[x]
                total[x] += w * line[x] if said[x] == 1 else none
                weights[x] += w if said[x] == 1 else none
        if exposure_s.size == 1:
            each = exposure_s[0, 0]
            for x in range(line.size):
                times[x] += each if said[x] == 1 else none
        else:
            lasting = exposure_s[y]
            for x in range(line.size):
                times[x] += lasting[x] if said[x] == 1 else none
        for x in range(line.size):
            number[x] += np.uint16(said[x] == 1)
        left_out += _count_outliers(said, low[y], high[y])
        if mask.size:
            _count_saturated(mask[y], saturated[y])
    return left_out


@njit(cache=True, nogil=True)
def _count_outliers(said: Any, low: Any, high: Any) -> int:
    left_out = 0
    for begin in range(0, said.size, BLOCK_PX):
        if not any_above(said[begin : begin + BLOCK_PX], 1):
            continue
        for x in range(begin, min(begin + BLOCK_PX, said.size)):
            if said[x] > 1:
                left_out += 1
                if said[x] == 2:
                    high[x] += 1
                else:
                    low[x] += 1
    return left_out


@njit(cache=True, nogil=True)
def _count_saturated(mask: Any, saturated: Any) -> None:
    for x in range(mask.size):
        more = saturated[x] + np.uint8(1) if saturated[x] < 255 else saturated[x]
        saturated[x] = more if mask[x] & np.uint8(_SATURATED) else saturated[x]


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(value: Any, weight: Any, count: Any, level: Any, per_weight: Any, mask: Any) -> None:
    for y in range(value.shape[0]):
        for x in range(value.shape[1]):
            if weight[y, x] > 0:
                value[y, x] = value[y, x] / weight[y, x] + level
                mask[y, x] = _SATURATED if mask[y, x] >= min(max(count[y, x], 1), 2) else 0
            else:
                value[y, x] = np.nan
                mask[y, x] = _NO_DATA
            weight[y, x] *= per_weight
