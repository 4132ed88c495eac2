"""Pixels, columns and rows that a master shows to be bad.

What belongs here: detection on a master dark and a master flat. What does not: the user's own
list, telling cosmic rays from bad pixels in one frame (`cosmic_rays`).

All is relative to the neighbourhood, level and spread alike, so that neither the glow of an
amplifier nor vignetting flags a corner.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.tiles import surroundings

_SIGMA = 6.0
_AROUND = 3
"""Reach, in pixels, of the square whose median has the last word on a candidate."""
_ODD_RESPONSE = 0.25
"""A pixel of a flat is odd when its response differs by more than this share."""
_ODD_COLUMN = 0.03
"""A column of a flat is odd when its response differs by more than this share."""
_COLUMN_SIGMA = 6.0
_COLUMN_WINDOW = 31
"""Columns over which the run of the column medians is taken to be smooth."""


def hot_pixels(dark: NDArray[Any]) -> NDArray[np.bool_]:
    """(ny, nx) bool: pixels that stand out of a master dark, above or below.

    A pixel is hot when it is 6σ off the level around it, the spread being that of its own
    neighbourhood. A pixel that no dark had a value for is bad as well.

    Parameters
    ----------
    dark : (ny, nx), ADU
    """
    level, spread = surroundings(dark)
    return _outliers(dark, level, _SIGMA * spread)


def dead_pixels(flat: NDArray[Any], *, bayer: bool = False) -> NDArray[np.bool_]:
    """(ny, nx) bool: pixels whose response is not that of the pixels around.

    Those that differ by more than a quarter, and by more than 6σ. Less than that a flat corrects.

    Parameters
    ----------
    flat : (ny, nx), relative
    bayer : compare within a colour of a 2 × 2 matrix
    """
    if bayer:
        return _by_colour(flat, dead_pixels)
    level, _ = surroundings(flat)
    # From pixel to pixel, so that the edge of a dust shadow does not count as spread.
    _, difference = surroundings(np.diff(flat, axis=1, append=flat[:, -2:-1]))
    spread = difference / np.float32(math.sqrt(2))
    return _outliers(flat, level, np.maximum(_SIGMA * spread, _ODD_RESPONSE * np.abs(level)))


def bad_columns(image: NDArray[Any], *, least_step: float = 0.0) -> NDArray[np.bool_]:
    """(ny, nx) bool: columns and rows that are off as a whole.

    The robust mean of a column stands against the running median of the columns around it; the
    spread is that of these differences nearby. Works on a dark or a flat; of a Bayer sensor give
    one colour at a time.

    Parameters
    ----------
    image : (ny, nx)
    least_step : what a column must be off at least, in units of the image
    """
    level, _ = surroundings(image)
    flattened = np.asarray(image, np.float32) - level
    bad = np.zeros(image.shape, bool)
    bad[:, _lines(flattened, 0, least_step)] = True
    bad[_lines(flattened, 1, least_step), :] = True
    return bad


def bad_pixel_map(
    dark: NDArray[Any] | None = None, flat: NDArray[Any] | None = None, *, bayer: bool = False
) -> NDArray[np.uint8]:
    """(ny, nx) uint8, `MaskBit.BAD` where dark or flat show a bad pixel, column or row.

    Parameters
    ----------
    dark : master dark (ny, nx), ADU
    flat : master flat (ny, nx), relative
    bayer : whether the sensor has a colour matrix of 2 × 2 pixels

    Raises
    ------
    ValueError : neither is given, or they differ in size
    """
    if dark is None and flat is None:
        raise ValueError("a bad-pixel map needs a master dark, a master flat, or both")
    if dark is not None and flat is not None and dark.shape != flat.shape:
        raise ValueError(f"the dark is {dark.shape} and the flat {flat.shape}: use one camera")
    found: list[NDArray[np.bool_]] = []
    if dark is not None:
        found += [hot_pixels(dark), bad_columns(dark)]
    if flat is not None:
        odd = partial(bad_columns, least_step=_ODD_COLUMN)
        found += [dead_pixels(flat, bayer=bayer), _by_colour(flat, odd) if bayer else odd(flat)]
    return np.where(np.logical_or.reduce(found), np.uint8(MaskBit.BAD), np.uint8(0))


def _by_colour(
    image: NDArray[Any], find: Callable[[NDArray[Any]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    found = np.zeros(image.shape, bool)
    for target, plane in zip(colour_planes(found), colour_planes(image), strict=True):
        target[...] = find(plane)
    return found


def _outliers(
    image: NDArray[Any], level: NDArray[np.float32], limit: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Farther from the level than the limit, and from the median of the pixels right around."""
    values = np.asarray(image, np.float32)
    bad = ~np.isfinite(values)
    ys, xs = np.nonzero(~bad & (np.abs(values - level) > limit))
    padded = np.pad(np.where(bad, level, values), _AROUND, mode="reflect")
    reach = range(2 * _AROUND + 1)
    for part in np.array_split(np.arange(len(ys)), len(ys) // 100_000 + 1):
        y, x = ys[part], xs[part]
        around = np.stack([padded[y + j, x + i] for j in reach for i in reach])
        off = np.abs(values[y, x] - np.median(around, axis=0)) if len(part) else values[:0, 0]
        bad[y, x] = off > limit[y, x]
    return bad


def _lines(flattened: NDArray[np.float32], axis: int, least_step: float) -> NDArray[np.bool_]:
    """Which columns (axis 0) or rows (axis 1) are off."""
    means = _winsorised_means(flattened, axis)
    steps = means - ndimage.median_filter(means, size=_COLUMN_WINDOW, mode="reflect")
    typical = 1.4826 * np.median(np.abs(steps))
    near = 1.4826 * ndimage.median_filter(
        np.abs(steps), size=2 * _COLUMN_WINDOW + 1, mode="reflect"
    )
    limit = np.maximum(_COLUMN_SIGMA * np.maximum(near, typical), least_step)
    return np.asarray(np.abs(steps) > limit)


def _winsorised_means(image: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Means of the columns (axis 0) or rows (axis 1) with far values drawn in to 4 sigma.

    A median would do for a deep master, but of a single frame of whole numbers it jumps from one
    number to the next.
    """
    centre = float(np.nanmedian(image))
    low, high = np.nanpercentile(image, (2.3, 97.7))
    sigma = max(1.4826 * float(np.nanmedian(np.abs(image - centre))), float(high - low) / 4)
    drawn_in = np.clip(image, centre - 4 * sigma, centre + 4 * sigma)
    return np.asarray(np.nanmean(drawn_in, axis=axis), np.float32)
