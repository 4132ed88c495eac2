"""What a layer of a stack consists of, strip by strip.

What belongs here: the strips that a stack asks for, layers that lie on the grid already. What does
not: frames that come onto it as they are asked for (`laid`), what becomes of them (`stack`).
"""

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.combine import Rows

_Plane = NDArray[np.float32]


class Workspace:
    """Arrays that one thread uses again and again: new ones cost as much as filling them."""

    def __init__(self) -> None:
        self._flat: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> NDArray[Any]:
        """An array whose values are left over; valid until the name is asked for again."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        flat = self._flat.get(name)
        if flat is None or flat.size < size:
            flat = self._flat[name] = np.empty(size, np.uint8)
        return np.asarray(flat[:size].view(dtype).reshape(shape))


@dataclass(frozen=True, slots=True)
class Strip:
    """Some rows of a layer.

    image : (rows, nx) float32, electrons
    weight : (rows, nx) float32, 0 where there is no data
    mask : (rows, nx) uint8, NO_DATA and SATURATED, or None
    exposure_s : (rows, nx) float32, or (1, 1) for all of them
    """

    image: _Plane
    weight: _Plane
    mask: NDArray[np.uint8] | None
    exposure_s: _Plane


class Planes(Protocol):
    """A layer's image, weight, mask and exposure on the grid.

    Several threads ask at a time, each with a workspace of its own; what they get is theirs until
    they ask again.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    def strip(self, y0: int, y1: int, space: Workspace) -> Strip | None:
        """The rows y0 … y1; None where there is no data in them."""

    def at(self, ys: NDArray[np.intp], xs: NDArray[np.intp], space: Workspace) -> _Plane:
        """Single values, of some rows that lie together; NaN where there is no data."""

    def coarse(self, y0: int, y1: int, every: int, space: Workspace) -> _Plane:
        """Every so manieth pixel of every so manieth row of y0 … y1; NaN where there is no data."""


@dataclass(frozen=True, slots=True)
class Held:
    """A layer on the grid, in memory or in files.

    image, weight, mask : (ny, nx), as `warp` makes them
    exposure_s : of the layer, or (ny, nx) of times
    """

    image: Rows
    weight: Rows
    mask: Rows | None = None
    exposure_s: Rows | float = 0.0
    shape: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        if tuple(self.image.shape) != tuple(self.weight.shape):
            raise ValueError("the layers differ in shape")
        ny, nx = self.image.shape
        object.__setattr__(self, "shape", (int(ny), int(nx)))

    def strip(self, y0: int, y1: int, space: Workspace) -> Strip:  # noqa: ARG002
        rows = slice(y0, y1)
        exposure_s = self.exposure_s
        return Strip(
            np.ascontiguousarray(self.image[rows], np.float32),
            np.ascontiguousarray(self.weight[rows], np.float32),
            None if self.mask is None else np.ascontiguousarray(self.mask[rows], np.uint8),
            np.full((1, 1), exposure_s, np.float32)
            if isinstance(exposure_s, int | float)
            else np.ascontiguousarray(exposure_s[rows], np.float32),
        )

    def at(self, ys: NDArray[np.intp], xs: NDArray[np.intp], space: Workspace) -> _Plane:  # noqa: ARG002
        first = int(ys.min())
        rows = slice(first, int(ys.max()) + 1)
        values = np.asarray(self.image[rows], np.float32)[ys - first, xs]
        values[~(np.asarray(self.weight[rows])[ys - first, xs] > 0)] = np.nan
        return values

    def coarse(self, y0: int, y1: int, every: int, space: Workspace) -> _Plane:  # noqa: ARG002
        seen = np.asarray(self.weight[y0:y1])[::every, ::every] > 0
        values = np.asarray(self.image[y0:y1], np.float32)[::every, ::every]
        return np.where(seen, values, np.float32(np.nan))
