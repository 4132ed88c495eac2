"""One frame resampled onto a grid: Lanczos-3, masks respected, flux conserved.

What belongs here: moving pixels. What does not: which grid (`grid`), where its pixels lie in the
frame (`pixel_map`), the kernel itself (`lanczos`), and what becomes of the frames that lie on it
(`stack`).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.lanczos import TABLE, flag_saturated, warp_rows
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.pixel_map import pixel_mesh, typical_area

EXCLUDED = UNUSABLE & ~MaskBit.SATURATED
"""Bits that keep a pixel out. Saturated ones go along, flagged: a hole is no better a star."""
_SAME_SCALE = 0.003
"""Relative difference of pixel scales below which one sample serves a grid pixel."""

_THREADS = 2


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
    On another scale than the frame's each grid pixel is the mean of its four quarters: samples that
    drift through the kernel's phases would give single stars up to 2 % too much or too little.

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
    fine = abs(math.sqrt(area) / times - 1) > _SAME_SCALE
    flags = np.zeros(source.shape, np.uint8)
    ys, xs = np.nonzero(saturated)
    flag_saturated(ys, xs, flags)
    ny = grid.shape[0]
    out = Warped(
        np.zeros(grid.shape, np.float32),
        np.zeros(grid.shape, np.float32),
        np.zeros(grid.shape, np.uint8),
        area,
    )

    def rows(y0: int) -> None:
        warp_rows(
            source,
            flags,
            mesh_x,
            mesh_y,
            step,
            times**2,
            fine,
            TABLE,
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
