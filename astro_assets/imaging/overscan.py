"""The zero level of a read-out, from pixels that see no light.

What belongs here: measuring the level, cutting the edges off. What does not: where a camera has
its overscan (`steps`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Region:
    """Part of an image: rows ``y0`` to before ``y1``, columns likewise, from 0."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def within(self, shape: tuple[int, ...]) -> bool:
        """Whether it is a part of an image of that shape, and holds a pixel."""
        return 0 <= self.y0 < self.y1 <= shape[0] and 0 <= self.x0 < self.x1 <= shape[1]


def overscan_level(raw_adu: NDArray[Any], region: Region, *, by_rows: bool) -> NDArray[np.float32]:
    """The zero level of each row, ADU: (ny,) float32.

    The median of the row's overscan, as `ccdproc.subtract_overscan` takes it, or of all of it.
    Rows that the region does not reach get the median of all.

    Parameters
    ----------
    raw_adu : (ny, nx), with its overscan
    region : pixels without light
    by_rows : follow a level that drifts during the read-out; worth its noise, 1.25 times the read
        noise over the root of the region's width, only where it does drift

    Raises
    ------
    ValueError : the region is not a part of the image, or holds no numbers
    """
    if not region.within(raw_adu.shape):
        raise ValueError(f"the overscan {region} is not a part of an image of {raw_adu.shape}")
    pixels = np.asarray(raw_adu[region.slices], np.float32)
    if not np.isfinite(pixels).all():
        raise ValueError(f"the overscan {region} holds no numbers")
    levels = np.full(raw_adu.shape[0], np.median(pixels), np.float32)
    if by_rows:
        levels[region.y0 : region.y1] = np.median(pixels, axis=1)
    return levels


def trim_overscan(image: NDArray[Any], top: int, right: int) -> NDArray[Any]:
    """Without its last ``top`` rows and last ``right`` columns: a view, (ny − top, nx − right).

    Raises
    ------
    ValueError : nothing would be left, or a number is below zero
    """
    ny, nx = image.shape
    if not (0 <= top < ny and 0 <= right < nx):
        raise ValueError(f"cannot trim {top} rows and {right} columns off {nx} × {ny} pixels")
    return image[: ny - top, : nx - right]
