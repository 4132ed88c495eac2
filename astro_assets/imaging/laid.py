"""Frames that come onto the grid as their rows are asked for.

What belongs here: from a frame's rows, as they lie in its file, to rows of the grid. What does not:
files, whole frames at once (`warp`), the interpolation (`lanczos_rows`, `two_pass`).

Nothing of the frame is kept: for each strip of the grid the rows that it is made from are read
anew. Memory is that of the strips, whatever the number of frames.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.lanczos import TABLE
from astro_assets.imaging.lanczos_rows import (
    coarse_rows,
    flag_saturated,
    hold_saturated,
    sample_points,
    warp_rows,
)
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.nearest import nearest_rows
from astro_assets.imaging.placement import Placement
from astro_assets.imaging.planes import Strip, Workspace
from astro_assets.imaging.two_pass import COEFFICIENTS, RAMP, two_pass_rows

EXCLUDED = UNUSABLE & ~MaskBit.SATURATED
"""Bits that keep a pixel out. Saturated ones go along, flagged: a hole is no better a star."""
_SATURATED = int(MaskBit.SATURATED)

_Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FrameRows:
    """Some rows of a frame, float32 in any byte order.

    image : (rows, nx), electrons
    mask : (rows, nx) uint8 of `MaskBit`, or None
    weight : (rows, nx), what its pixels weigh against one another, or None for all alike
    exposure_s : (rows, nx), or None where the frame has one exposure time
    """

    image: _Plane
    mask: NDArray[np.uint8] | None = None
    weight: _Plane | None = None
    exposure_s: _Plane | None = None


class FrameReader(Protocol):
    """A frame of which rows are read, by several threads at a time."""

    def rows(self, y0: int, y1: int, space: Workspace) -> FrameRows:
        """Some rows; they may lie in the workspace, below names that begin with "read"."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows of a frame that a strip is made from, binned and counted as the placement does.

    source : NaN for what must not contribute
    flags : which footprints a saturated pixel falls into; ``saturated``: whether any is flagged
    """

    top: int
    source: _Plane
    flags: NDArray[np.uint8]
    saturated: bool
    raw: FrameRows


@dataclass(frozen=True, slots=True)
class Laid:
    """A frame on a grid, as `Planes` of a layer.

    exposure_s : where the frame does not tell it pixel by pixel
    """

    frame: FrameReader
    placement: Placement
    exposure_s: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.placement.on

    def strip(self, y0: int, y1: int, space: Workspace) -> Strip | None:
        window = self._window(y0, y1, space)
        if window is None:
            return None
        place = self.placement
        shape = (y1 - y0, place.on[1])
        image, weight = space.array("image", shape), space.array("weight", shape)
        mask = space.array("mask", shape, np.uint8)
        if place.straight:
            weight.fill(1)
            mask.fill(0)
            rows = len(window.source)
            two_pass_rows(
                window.source, window.top, place.mesh_x, place.mesh_y, place.step, place.areas,
                COEFFICIENTS, RAMP, TABLE, y0, space.array("between", (rows, place.step)),
                space.array("shares", (rows, 2, place.step)), image, weight, mask,
            )  # fmt: skip
            if window.saturated:
                hold_saturated(
                    window.source, window.flags, window.top, place.mesh_x, place.mesh_y,
                    place.step, place.areas, y0, image, weight, mask,
                )  # fmt: skip
        else:
            warp_rows(
                window.source, window.flags, window.top, place.mesh_x, place.mesh_y, place.step,
                place.areas, place.fine, TABLE, y0, image, weight, mask,
            )  # fmt: skip
        exposure_s = np.full((1, 1), self.exposure_s, np.float32)
        if window.raw.weight is not None:
            own = self._nearest(window.raw.weight, window.top, y0, shape)
            np.multiply(weight, own, out=weight)
        if window.raw.exposure_s is not None:
            exposure_s = self._nearest(window.raw.exposure_s, window.top, y0, shape)
        return Strip(image, weight, mask, exposure_s)

    def at(self, ys: NDArray[np.intp], xs: NDArray[np.intp], space: Workspace) -> _Plane:
        values, weights = np.full(ys.size, np.nan, np.float32), np.zeros(ys.size, np.float32)
        shown = self.placement.shows(ys, xs)
        if not shown.any():
            return values
        window = self._window(int(ys[shown].min()), int(ys[shown].max()) + 1, space)
        if window is not None:
            place = self.placement
            sample_points(
                window.source, window.flags, window.top, place.mesh_x, place.mesh_y, place.step,
                place.areas, place.fine, TABLE, ys, xs, values, weights,
            )  # fmt: skip
            values[~(weights > 0)] = np.nan
        return values

    def coarse(self, y0: int, y1: int, every: int, space: Workspace) -> _Plane:
        shape = (-(-(y1 - y0) // every), -(-self.placement.on[1] // every))
        window = self._window(y0, y1, space)
        if window is None:
            return np.full(shape, np.nan, np.float32)
        place = self.placement
        image = space.array("image", shape)
        coarse_rows(
            window.source, window.top, place.mesh_x, place.mesh_y, place.step, place.areas, y0,
            every, image,
        )  # fmt: skip
        return image

    def _window(self, y0: int, y1: int, space: Workspace) -> _Window | None:
        """The rows that the grid's rows y0 … y1 are made from; None where there are none."""
        place = self.placement
        top, bottom = place.needed(y0, y1)
        if top == bottom:
            return None
        first, last = (place.shape[0] - bottom, place.shape[0] - top) if place.turned_y else (
            top, bottom
        )  # fmt: skip
        rows = self.frame.rows(first * place.binned, last * place.binned, space)
        image = np.ascontiguousarray(rows.image)
        source = space.array("source", image.shape)
        mask = np.zeros((0, 0), np.uint8) if rows.mask is None else rows.mask
        turned = (place.binned == 1) & np.array([place.turned_y, place.turned_x])
        saturated = prepare(
            image.view(np.uint32), not image.dtype.isnative, mask, int(EXCLUDED), turned[0],
            turned[1], source.view(np.uint32),
        )  # fmt: skip
        if place.binned > 1:
            source, full = _binned(source, (mask & np.uint8(_SATURATED)) != 0, place.binned)
            source = _turned(source, place)
            mask = np.where(_turned(full, place), np.uint8(_SATURATED), np.uint8(0))
        flags = space.array("flags", source.shape, np.uint8)
        flags.fill(0)
        if saturated:
            flag_saturated(*saturated_pixels(mask, turned[0], turned[1]), flags)
        return _Window(top, source, flags, saturated, rows)

    def _nearest(self, values: _Plane, top: int, y0: int, shape: tuple[int, int]) -> _Plane:
        """A map of the frame on the grid's rows from y0 on: the nearest pixel's value."""
        place = self.placement
        out = np.zeros(shape, np.float32)
        inside = values[:, : place.shape[1] * place.binned]
        own = np.ascontiguousarray(_turned(inside, place), np.float32)
        nearest_rows(
            own, top, place.binned, place.mesh_x, place.mesh_y, place.step, y0, out
        )  # fmt: skip
        return out


def _turned(rows: NDArray[Any], place: Placement) -> NDArray[Any]:
    """Rows and columns counted as the placement does."""
    return np.ascontiguousarray(
        rows[:: -1 if place.turned_y else 1, :: -1 if place.turned_x else 1]
    )


def _binned(
    source: _Plane, saturated: NDArray[np.bool_], times: int
) -> tuple[_Plane, NDArray[np.bool_]]:
    """Means of the usable ones of ``times × times`` pixels; NaN where fewer than half are."""
    ny, nx = source.shape[0] // times, source.shape[1] // times
    inside = (slice(ny * times), slice(nx * times))
    cells = source[inside].reshape(ny, times, nx, times)
    usable = np.isfinite(cells)
    count = usable.sum(axis=(1, 3))
    total = np.where(usable, cells, 0).sum(axis=(1, 3), dtype=np.float64)
    means = np.where(2 * count >= times**2, total / np.maximum(count, 1), np.nan)
    full = saturated
    if saturated.size:
        full = np.asarray(saturated[inside].reshape(ny, times, nx, times).any(axis=(1, 3)))
    return np.ascontiguousarray(means, np.float32), full


@njit(cache=True, nogil=True)
def saturated_pixels(mask: Any, turn_y: bool, turn_x: bool) -> tuple[Any, Any]:
    """Rows and columns of the saturated pixels, (n,) each.

    Parameters
    ----------
    mask : (ny, nx)
    turn_y, turn_x : count the rows, the columns from the last
    """
    ny, nx = mask.shape
    ys, xs = [0 for _ in range(0)], [0 for _ in range(0)]
    for y in range(ny):
        line, met = mask[y], np.uint8(0)
        for x in range(nx):
            met |= line[x]
        if met & np.uint8(_SATURATED) == 0:
            continue
        for x in range(nx):
            if line[x] & np.uint8(_SATURATED):
                ys.append(ny - 1 - y if turn_y else y)
                xs.append(nx - 1 - x if turn_x else x)
    return np.array(ys, np.int64), np.array(xs, np.int64)


@njit(cache=True, nogil=True)
def prepare(
    words: Any, swapped: bool, mask: Any, excluded: int, turn_y: bool, turn_x: bool, out: Any
) -> bool:
    """A frame's float32 words in this machine's order, NaN for what must not contribute.

    Parameters
    ----------
    words : (ny, nx) uint32; ``swapped``: of the other byte order
    mask : (ny, nx), or of no size
    turn_y, turn_x : write the rows, the columns from the last to the first
    out : (ny, nx) uint32

    Returns
    -------
    whether a pixel is saturated
    """
    ny, nx = words.shape
    infinite, nan = np.uint32(0x7F800000), np.uint32(0x7FC00000)
    out_of = np.uint8(excluded)
    met = np.uint8(0)
    for y in range(ny):
        line, to = words[y], out[ny - 1 - y if turn_y else y]
        if swapped:
            for x in range(nx):
                w = line[x]
                w = (w << np.uint32(24)) | ((w & np.uint32(0xFF00)) << np.uint32(8)) | (
                    (w >> np.uint32(8)) & np.uint32(0xFF00)
                ) | (w >> np.uint32(24))  # fmt: skip
                to[x] = nan if (w & infinite) == infinite else w
        else:
            for x in range(nx):
                w = line[x]
                to[x] = nan if (w & infinite) == infinite else w
        if mask.size:
            bits = mask[y]
            for x in range(nx):
                met |= bits[x]
                to[x] = nan if bits[x] & out_of else to[x]
        if turn_x:
            for x in range(nx // 2):
                to[x], to[nx - 1 - x] = to[nx - 1 - x], to[x]
    return bool((met & np.uint8(_SATURATED)) != 0)
