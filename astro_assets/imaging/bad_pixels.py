"""Pixels that masters and raw darks show to be bad, and the map of all that is.

What belongs here: hot, dead, odd and telegraph pixels; the map. What does not: columns and rows
(`bad_lines`), the user's own list (`user_list`), telling cosmic rays from bad pixels in one frame
(`cosmic_rays`).

All is relative to the neighbourhood, level and spread alike, so that neither the glow of an
amplifier nor vignetting flags a corner.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.bad_lines import bad_columns
from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.tiles import noise_around, noise_between, surroundings

ENOUGH_DARKS = 5
"""With fewer, a scatter says little of a pixel."""
_SIGMA = 6.0
_AROUND = 3
"""Reach, in pixels, of the square whose median has the last word on a candidate."""
_ODD_RESPONSE = 0.25
"""A pixel of a flat is odd when its response differs by more than this share."""
_ODD_COLUMN = 0.03
"""A column of a flat is odd when its response differs by more than this share."""


def hot_pixels(dark: NDArray[Any]) -> NDArray[np.bool_]:
    """(ny, nx) bool: pixels that stand out of a master dark, above or below.

    A pixel is hot when it is 6σ off the level around it, the spread being that of its own
    neighbourhood. A pixel that no dark had a value for is bad as well.

    Parameters
    ----------
    dark : (ny, nx), ADU
    """
    level, spread = noise_around(dark)
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
    spread = noise_between(flat)
    return _outliers(flat, level, np.maximum(_SIGMA * spread, _ODD_RESPONSE * np.abs(level)))


def telegraph_pixels(darks: Iterable[NDArray[Any]]) -> NDArray[np.bool_] | None:
    """(ny, nx) bool: pixels that jump between levels from dark to dark.

    Their scatter over the darks is 6σ above that of the pixels around. Of each pixel the highest
    value is left out, which a cosmic ray may have been; a pixel that was high but once is thus
    taken for one. None for fewer than `ENOUGH_DARKS`.

    Parameters
    ----------
    darks : raw darks of one exposure time, or masters of several nights, (ny, nx) each, ADU; they
        are gone through once
    """
    first = highest = total = squares = None
    count = 0
    for dark in darks:
        values = np.asarray(dark, np.float32)
        if first is None:
            first = values
            highest, total, squares = (np.zeros_like(values) for _ in range(3))
        assert highest is not None
        assert total is not None
        assert squares is not None
        change = values - first
        change -= np.nanmedian(change)
        np.fmax(highest, change, out=highest) if count else np.copyto(highest, change)
        total += change
        squares += change**2
        count += 1
    if count < ENOUGH_DARKS or highest is None or total is None or squares is None:
        return None
    kept = count - 1
    variance = (squares - highest**2 - (total - highest) ** 2 / kept) / (kept - 1)
    scatter = np.sqrt(np.maximum(variance, 0))
    level, spread = noise_around(scatter)
    return np.asarray(scatter - level > _SIGMA * spread)


def bad_pixel_map(
    dark: NDArray[Any] | None = None,
    flat: NDArray[Any] | None = None,
    *,
    darks: Iterable[NDArray[Any]] = (),
    bayer: bool = False,
) -> NDArray[np.uint8]:
    """(ny, nx) uint8, `MaskBit.BAD` where dark or flat show a bad pixel, column or row.

    Parameters
    ----------
    dark : master dark (ny, nx), ADU
    flat : master flat (ny, nx), relative
    darks : single darks of one exposure time, ADU, for telegraph pixels
    bayer : whether the sensor has a colour matrix of 2 × 2 pixels

    Raises
    ------
    ValueError : neither master is given, or they differ in size
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
    jumping = telegraph_pixels(darks)
    if jumping is not None:
        found.append(jumping)
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
