"""Pixels that masters and raw darks show to be bad, and the map of all that is.

What belongs here: hot, dead, odd and telegraph pixels; the map. What does not: columns and rows
(`bad_lines`), the user's own list (`user_list`), telling cosmic rays from bad pixels in one frame
(`cosmic_rays`).

All is relative to the neighbourhood, level and spread alike, so that neither the glow of an
amplifier nor vignetting flags a corner.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.around import Around, above, around_dark, around_flat, outliers
from astro_assets.imaging.bad_lines import bad_columns
from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.scatter import scatter
from astro_assets.imaging.threads import threads

ENOUGH_DARKS = 5
"""With fewer, a scatter says little of a pixel."""
_SIGMA = 6.0
_ODD_RESPONSE = 0.25
"""A pixel of a flat is odd when its response differs by more than this share."""
_ODD_COLUMN = 0.03
"""A column of a flat is odd when its response differs by more than this share."""


def hot_pixels(dark: NDArray[Any], around: Around | None = None) -> NDArray[np.bool_]:
    """(ny, nx) bool: pixels that stand out of a master dark, above or below.

    A pixel is hot when it is 6σ off the level around it, the spread being that of its own
    neighbourhood. A pixel that no dark had a value for is bad as well.

    Parameters
    ----------
    dark : (ny, nx), ADU
    around : of the dark, where it is known
    """
    values = np.ascontiguousarray(dark, np.float32)
    return outliers(values, around or around_dark(values), _SIGMA)


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
    values = np.ascontiguousarray(flat, np.float32)
    return outliers(values, around_flat(values), _SIGMA, _ODD_RESPONSE)


def telegraph_pixels(darks: Sequence[Rows]) -> NDArray[np.bool_] | None:
    """(ny, nx) bool: pixels that jump between levels from dark to dark.

    Their scatter over the darks is 6σ above that of the pixels around. Of each pixel the highest
    value is left out, which a cosmic ray may have been; a pixel that was high but once is thus
    taken for one. None for fewer than `ENOUGH_DARKS`.

    Parameters
    ----------
    darks : raw darks of one exposure time, or masters of several nights, (ny, nx) each, ADU
    """
    if len(darks) < ENOUGH_DARKS:
        return None
    values = scatter(darks)
    return above(values, around_dark(values), _SIGMA)


def bad_pixel_map(
    dark: NDArray[Any] | None = None,
    flat: NDArray[Any] | None = None,
    *,
    darks: Sequence[Rows] = (),
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
    searches: list[Callable[[], NDArray[np.bool_] | None]] = [partial(telegraph_pixels, darks)]
    if dark is not None:
        searches.append(partial(_in_dark, dark))
    if flat is not None:
        odd = partial(bad_columns, least_step=_ODD_COLUMN)
        searches.append(partial(dead_pixels, flat, bayer=bayer))
        searches.append(partial(_by_colour, flat, odd) if bayer else partial(odd, flat))
    with ThreadPoolExecutor(threads(), thread_name_prefix="bad-pixels") as pool:
        found = list(pool.map(lambda search: search(), searches))
    bad, *others = (mask for mask in found if mask is not None)
    for mask in others:
        bad |= mask
    return np.where(bad, np.uint8(MaskBit.BAD), np.uint8(0))


def _in_dark(dark: NDArray[Any]) -> NDArray[np.bool_]:
    values = np.ascontiguousarray(dark, np.float32)
    around = around_dark(values)
    return hot_pixels(values, around) | bad_columns(values, around=around)


def _by_colour(
    image: NDArray[Any], find: Callable[[NDArray[Any]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    found = np.zeros(image.shape, bool)
    for target, plane in zip(colour_planes(found), colour_planes(image), strict=True):
        target[...] = find(plane)
    return found
