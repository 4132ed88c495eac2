"""One frame resampled onto a grid: Lanczos-3, masks respected, flux conserved.

What belongs here: moving pixels. What does not: which grid (`grid`), where its pixels lie in the
frame (`pixel_map`), and what becomes of the frames that lie on it (`stack`).

The kernel is the product of two Lanczos windows of half width 3 (Duchon 1979; the usual choice
for co-adds, see Bertin et al. 2002).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.pixel_map import pixel_mesh, typical_area

EXCLUDED = UNUSABLE & ~MaskBit.SATURATED
"""Bits that keep a pixel out. Saturated ones go along, flagged: a hole is no better a star."""
MIN_WEIGHT = 0.5
"""Share of the kernel that must have fallen on good pixels."""

_THREADS = 2
_HALF = 3
_TAPS = 2 * _HALF
_PHASES = 1024
_NEAR, _CORE = 1, 2


@dataclass(frozen=True, slots=True)
class Warped:
    """A frame on the grid.

    image : (ny, nx) float32, electrons per grid pixel, 0 where there is no data
    weight : (ny, nx) float32, 0 where there is no data, else `MIN_WEIGHT` … 1: the share of the
        kernel that fell on good pixels
    mask : (ny, nx) uint8, NO_DATA and SATURATED
    area : of a grid pixel in the frame's pixels; the sky's level has become so many times as
        high, and the noise, as far as it is independent from pixel to pixel, √area times
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    area: float


def warp(
    image: NDArray[np.float32], mask: NDArray[np.uint8] | None, wcs_in: WCS, grid: Grid
) -> Warped:
    """Resample a frame.

    A masked or non-finite pixel contributes nothing; the kernel is renormalised over the others.
    Around saturated pixels the result is held within the range of its nearest inputs, so that
    their steep edges do not ring. Values are multiplied by the ratio of the pixels' areas. Where a
    grid pixel spans several of the frame's, those are averaged first, so that none is passed over.
    On another scale than the frame's a single star's flux errs by up to 1 % (Lanczos-3).

    Parameters
    ----------
    image : (ny, nx), electrons
    mask : (ny, nx) uint8 of `MaskBit`, or None
    wcs_in : the frame's own WCS, distortions included

    Raises
    ------
    ValueError : image and mask differ in shape
    """
    if mask is not None and mask.shape != image.shape:
        raise ValueError(f"the image is {image.shape}, its mask {mask.shape}")
    mesh_x, mesh_y, step = pixel_mesh(wcs_in, grid)
    area = typical_area(mesh_x, mesh_y, step)
    source = _usable(image, mask)
    saturated = _saturated(mask, image.shape)
    times = max(1, round(math.sqrt(area)))
    if times > 1:
        source, saturated = _binned(source, saturated, times)
        mesh_x, mesh_y = ((mesh - (times - 1) / 2) / times for mesh in (mesh_x, mesh_y))
    flags = np.zeros(source.shape, np.uint8)
    ys, xs = np.nonzero(saturated)
    _flag_saturated(ys, xs, flags)
    ny = grid.shape[0]
    out = Warped(
        np.zeros(grid.shape, np.float32),
        np.zeros(grid.shape, np.float32),
        np.zeros(grid.shape, np.uint8),
        area,
    )

    def rows(y0: int) -> None:
        _warp_rows(
            source,
            flags,
            mesh_x,
            mesh_y,
            step,
            times**2,
            _TABLE,
            y0,
            min(y0 + 64, ny),
            out.image,
            out.weight,
            out.mask,
        )

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="warp") as pool:
        list(pool.map(rows, range(0, ny, 64)))
    return out


def _usable(image: NDArray[np.float32], mask: NDArray[np.uint8] | None) -> NDArray[np.float32]:
    """The image with NaN for what must not contribute: one sum then tells if any did."""
    usable = np.array(image, dtype=np.float32, order="C")
    usable[~np.isfinite(usable)] = np.nan
    if mask is not None:
        usable[(mask & EXCLUDED) != 0] = np.nan
    return usable


def _saturated(mask: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask is None:
        return np.zeros(shape, bool)
    return np.asarray((mask & MaskBit.SATURATED) != 0)


def _binned(
    source: NDArray[np.float32], saturated: NDArray[np.bool_], times: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Means of the usable ones of ``times × times`` pixels; NaN where fewer than half are."""
    ny, nx = source.shape[0] // times, source.shape[1] // times
    inside = (slice(ny * times), slice(nx * times))
    cells = source[inside].reshape(ny, times, nx, times)
    usable = np.isfinite(cells)
    count = usable.sum(axis=(1, 3))
    total = np.where(usable, cells, 0).sum(axis=(1, 3), dtype=np.float64)
    means = np.where(2 * count >= times**2, total / np.maximum(count, 1), np.nan)
    full = np.asarray(saturated[inside].reshape(ny, times, nx, times).any(axis=(1, 3)))
    return np.ascontiguousarray(means, np.float32), full


def _lanczos_table() -> NDArray[np.float32]:
    """Weights of the six taps for each phase, (_PHASES + 1, 8); their sum is 1.

    Eight columns, two of them zero: a row then fills whole vector registers.
    """
    phase = np.arange(_PHASES + 1) / _PHASES
    distance = phase[:, None] - np.arange(1 - _HALF, _HALF + 1)
    taps = np.sinc(distance) * np.sinc(distance / _HALF)
    taps[np.abs(distance) >= _HALF] = 0
    table = np.zeros((_PHASES + 1, 8), np.float32)
    table[:, :_TAPS] = taps / taps.sum(axis=1, keepdims=True)
    return table


_TABLE = _lanczos_table()


@njit(cache=True, nogil=True)
def _flag_saturated(ys: Any, xs: Any, flags: Any) -> None:
    """Flag the footprints (by their lower left inner pixel) that a saturated pixel falls into."""
    ny, nx = flags.shape
    for k in range(ys.size):
        for y in range(max(ys[k] - _HALF, 0), min(ys[k] + _HALF, ny)):
            for x in range(max(xs[k] - _HALF, 0), min(xs[k] + _HALF, nx)):
                inner = ys[k] - 1 <= y <= ys[k] and xs[k] - 1 <= x <= xs[k]
                flags[y, x] |= _NEAR | _CORE if inner else _NEAR


@njit(cache=True, nogil=True)
def _warp_rows(
    source: Any,
    flags: Any,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    binning: int,
    table: Any,
    y0: int,
    y1: int,
    image: Any,
    weight: Any,
    mask: Any,
) -> None:
    """Fill rows y0 … y1 of the outputs, mesh by mesh."""
    nx = image.shape[1]
    for y in range(y0, y1):
        row, v = y // step, (y % step) / step
        for column in range((nx - 1) // step + 1):
            # Along a row of one mesh the mapping is linear.
            left_x = mesh_x[row, column] * (1 - v) + mesh_x[row + 1, column] * v
            left_y = mesh_y[row, column] * (1 - v) + mesh_y[row + 1, column] * v
            right_x = mesh_x[row, column + 1] * (1 - v) + mesh_x[row + 1, column + 1] * v
            right_y = mesh_y[row, column + 1] * (1 - v) + mesh_y[row + 1, column + 1] * v
            dx, dy = (right_x - left_x) / step, (right_y - left_y) / step
            area = _area(mesh_x, mesh_y, row, column, step) * binning
            for x in range(column * step, min((column + 1) * step, nx)):
                offset = x - column * step
                image[y, x], weight[y, x], mask[y, x] = _sample(
                    source, flags, table, left_x + offset * dx, left_y + offset * dy, area
                )


@njit(cache=True, nogil=True)
def _area(mesh_x: Any, mesh_y: Any, row: int, column: int, step: int) -> float:
    """Area of a grid pixel in the frame's pixels, from the mesh's diagonals."""
    ax = mesh_x[row + 1, column + 1] - mesh_x[row, column]
    ay = mesh_y[row + 1, column + 1] - mesh_y[row, column]
    bx = mesh_x[row + 1, column] - mesh_x[row, column + 1]
    by = mesh_y[row + 1, column] - mesh_y[row, column + 1]
    return float(abs(ax * by - ay * bx) / (2.0 * step * step))


@njit(cache=True, nogil=True)
def _sample(
    source: Any, flags: Any, table: Any, x: float, y: float, area: float
) -> tuple[float, float, int]:
    """Value, weight and mask bits of one grid pixel that lies at (x, y) in the frame."""
    ny, nx = source.shape
    # Written so that NaN, where the mapping has no value, is outside too.
    if not (-1.0 < x < nx and -1.0 < y < ny):
        return 0.0, 0.0, 32
    ix, iy = math.floor(x), math.floor(y)
    wx = table[int((x - ix) * _PHASES + 0.5)]
    wy = table[int((y - iy) * _PHASES + 0.5)]
    inside = _HALF - 1 <= ix < nx - _HALF and _HALF - 1 <= iy < ny - _HALF
    value, share = math.nan, 1.0
    if inside:
        value = _dense(source, wx, wy, ix, iy)
    if math.isnan(value):
        value, share = _sparse(source, wx, wy, ix, iy)
        if share < MIN_WEIGHT:
            return 0.0, 0.0, 32
    bits = 0
    flag = flags[min(max(iy, 0), ny - 1), min(max(ix, 0), nx - 1)]
    if flag:
        value = _held(source, ix, iy, value)
        bits = 4 if flag & _CORE else 0
    return value * area, min(share, 1.0), bits


@njit(cache=True, nogil=True)
def _dense(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> float:
    """The plain weighted sum; NaN as soon as one pixel is not to be used."""
    total = np.float32(0)
    for j in range(_TAPS):
        line = source[iy + j - _HALF + 1]
        k = ix - _HALF + 1
        along = (
            wx[0] * line[k]
            + wx[1] * line[k + 1]
            + wx[2] * line[k + 2]
            + wx[3] * line[k + 3]
            + wx[4] * line[k + 4]
            + wx[5] * line[k + 5]
        )
        total += wy[j] * along
    return float(total)


@njit(cache=True, nogil=True)
def _sparse(source: Any, wx: Any, wy: Any, ix: int, iy: int) -> tuple[float, float]:
    """The sum over the pixels that may be used, renormalised, and the share of the kernel."""
    ny, nx = source.shape
    total, share = 0.0, 0.0
    for j in range(_TAPS):
        y = iy + j - _HALF + 1
        if not 0 <= y < ny:
            continue
        for i in range(_TAPS):
            x = ix + i - _HALF + 1
            if not 0 <= x < nx:
                continue
            value = source[y, x]
            if not math.isnan(value):
                w = wx[i] * wy[j]
                total += w * value
                share += w
    if share < MIN_WEIGHT:
        return 0.0, 0.0
    return total / share, share


@njit(cache=True, nogil=True)
def _held(source: Any, ix: int, iy: int, value: float) -> float:
    """The value within the range of the 4 × 4 pixels around it."""
    ny, nx = source.shape
    low, high = math.inf, -math.inf
    for y in range(max(iy - 1, 0), min(iy + 3, ny)):
        for x in range(max(ix - 1, 0), min(ix + 3, nx)):
            if not math.isnan(source[y, x]):
                low, high = min(low, source[y, x]), max(high, source[y, x])
    return min(max(value, low), high) if low <= high else value
