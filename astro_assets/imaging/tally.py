"""Sums over layers, pixel by pixel: what a stack is made of while its layers pass by.

What belongs here: adding rows of judged layers. What does not: the judgement (`outliers`), levels
and weights (`stack`). A tally has the size of the grid, whatever the number of layers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.outliers import Judged

_SATURATED = int(MaskBit.SATURATED)


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums so far; all (ny, nx). They grow in place.

    value, weight : float32, of weight times value (less the common level), and of weights
    exposure_s : float32, of exposure times
    count, low, high : uint16, layers that went in, and that were left out for being too low or
        too high
    saturated : uint8, layers that are saturated there, 255 at most
    """

    value: NDArray[np.float32]
    weight: NDArray[np.float32]
    exposure_s: NDArray[np.float32]
    count: NDArray[np.uint16]
    low: NDArray[np.uint16]
    high: NDArray[np.uint16]
    saturated: NDArray[np.uint8]

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

    def add(
        self,
        rows: slice,
        judged: Judged,
        *,
        scale: float,
        offset: tuple[float, float, float],
        weight: float,
        exposure_s: NDArray[np.float32],
        mask: NDArray[np.uint8] | None,
    ) -> None:
        """Add some rows of a layer, ``image * scale + offset`` (a plane).

        Parameters
        ----------
        weight : of the layer, multiplied onto its pixels' weights; 0 leaves the values to others
            and only counts
        exposure_s : of these rows, or (1, 1) for all of them
        """
        _add(
            judged.image,
            judged.weight,
            judged.verdict,
            scale,
            np.array(offset, np.float64),
            rows.start,
            weight,
            exposure_s,
            np.zeros((0, 0), np.uint8) if mask is None else mask,
            self.value[rows],
            self.weight[rows],
            self.exposure_s[rows],
            self.count[rows],
            self.low[rows],
            self.high[rows],
            self.saturated[rows],
        )

    def mean(self, level: float) -> NDArray[np.float32]:
        """The weighted mean above ``level``; NaN where nothing went in."""
        with np.errstate(invalid="ignore"):
            mean = self.value / np.where(self.weight > 0, self.weight, np.float32(np.nan))
        return np.asarray(mean + np.float32(level), np.float32)

    def mask(self) -> NDArray[np.uint8]:
        """A pixel is saturated when it is in two layers, or in every layer that there is."""
        mask = np.zeros(self.count.shape, np.uint8)
        mask[self.saturated >= np.clip(self.count, 1, 2)] = MaskBit.SATURATED
        mask[~(self.weight > 0)] = MaskBit.NO_DATA
        return mask


@njit(cache=True, nogil=True)
def _add(
    image: Any,
    pixel_weight: Any,
    verdict: Any,
    scale: float,
    offset: Any,
    first_row: int,
    layer_weight: float,
    exposure_s: Any,
    mask: Any,
    value: Any,
    weight: Any,
    exposures: Any,
    count: Any,
    low: Any,
    high: Any,
    saturated: Any,
) -> None:
    for y in range(image.shape[0]):
        begin = offset[0] + offset[2] * (first_row + y)
        for x in range(image.shape[1]):
            if mask.size and mask[y, x] & _SATURATED and saturated[y, x] < 255:
                saturated[y, x] += 1
            if verdict[y, x] == 1:
                w = np.float32(layer_weight) * pixel_weight[y, x]
                value[y, x] += w * np.float32(image[y, x] * scale + begin + offset[1] * x)
                weight[y, x] += w
                count[y, x] += 1
                exposures[y, x] += exposure_s[
                    y if exposure_s.size > 1 else 0, x if exposure_s.size > 1 else 0
                ]
            elif verdict[y, x] == 2:
                high[y, x] += 1
            elif verdict[y, x] == 3:
                low[y, x] += 1
