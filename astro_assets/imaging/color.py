"""Filters into colour: one linear picture, its sky neutral and its white white.

What belongs here: the arithmetic of channels. What does not: which filter goes where (`mixture`),
what is white (`white_balance`), what luminance tells (`luminance`), the tone curve (`stretch`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.imaging.continuum import Band, line_emission
from astro_assets.imaging.luminance import lightened
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.mixture import Mixture, mixture_of
from astro_assets.imaging.neutral_sky import sky_levels
from astro_assets.imaging.psf_match import make_alike, measure_psf
from astro_assets.imaging.threads import over_rows
from astro_assets.imaging.white_balance import (
    Balance,
    KnownColors,
    StarColors,
    balance,
    bright_stars,
    star_colors,
    telling,
)

CHANNELS = ("R", "G", "B")

_NOT_NATURAL = "narrow bands and grey have no natural colour"
_ALIKE = 0.04
"""FWHMs of channels that differ by less need no matching"""
_ENOUGH_STARS = 50
"""of green alone that tell colours: the mean is not searched for fainter ones then"""
_PROFILE_PX = 1500
"""of the picture's middle tell the stars' profiles"""
_NOISE_SAMPLES = 200_000
_STRIP_ROWS = 64


@dataclass(frozen=True)
class Composed:
    """A colour picture, linear.

    rgb : (3, ny, nx) float32, electrons of the green channel, sky at 0; NaN where a channel has
        no data
    mixture : which filter went where, and why
    balance : what each channel was multiplied by, and why
    remarks : a sentence for each part of the mixture that could not be done
    softened : the channels that were made as little sharp as the least sharp one
    """

    rgb: NDArray[np.float32]
    mixture: Mixture
    balance: Balance
    remarks: tuple[str, ...] = ()
    softened: tuple[str, ...] = ()


def compose(
    channels: Mapping[str, NDArray[np.float32]],
    masks: Mapping[str, NDArray[np.uint8]] | None = None,
    known: KnownColors | None = None,
    why_not: str = "",
    stars: Mapping[str, pd.DataFrame] | None = None,
    into: NDArray[np.float32] | None = None,
) -> Composed:
    """One linear colour picture from the stacks of several filters on one grid.

    The sky, as the darkest parts of the field show it, is set to 0 and so becomes neutral.
    Channels are scaled so that a star like the Sun is white, or the average star where no
    catalogue tells colours. Where channels differ in sharpness, the sharper ones are made less so:
    a star has no coloured rim then. Luminance takes the place of the channels' own brightness; Hα
    less its continuum is added to red, as much as red's noise bears. Saturated cores, which have
    lost their colour, become white.

    Parameters
    ----------
    channels : filter name → (ny, nx) electrons; for Bayer stacks the names R, G, B
    masks : filter name → (ny, nx) uint8 of `MaskBit`, for those that have one
    known : catalogue stars and their colours
    why_not : a clause that says why there are none
    stars : filter name → its stars as `stars.find_stars` gives them, for those that are known;
        with few or none for green they are looked for on the channels' mean, which is deeper
    into : (3, ny, nx) float32 that becomes the picture; red, green and blue may lie there
        themselves where they are three filters and no line is added

    Raises
    ------
    NothingToDo : there is no channel
    ValueError : the channels differ in shape
    """
    mixture = mixture_of(channels)
    shapes = {image.shape for image in channels.values()}
    if len(shapes) != 1:
        raise ValueError(f"the channels differ in shape: {sorted(shapes)}")
    used = {name: channels[name] for name in mixture.filters}
    levels = sky_levels(used)
    planes, below = _three(used, levels, mixture)
    softened: tuple[str, ...] = ()
    saturated = _saturated(masks or {}, mixture.filters, planes[0].shape)
    if len(set(mixture.channels)) == 1:
        white = Balance((1.0, 1.0, 1.0), "not balanced", 0, 0.0, (0.0, 0.0), _NOT_NATURAL)
    else:
        # Green's: a choice by red or by blue would favour red or blue stars.
        own = (stars or {}).get(mixture.channels[1])
        bright = None if own is None else telling(own)
        if bright is None or len(bright) < _ENOUGH_STARS:
            bright = bright_stars(planes, saturated)
        colors = star_colors(planes, saturated, bright)
        softened, fwhm_px = _equally_sharp(planes, bright, colors)
        if softened:
            colors = star_colors(planes, saturated, bright, fwhm_px)
        white = balance(
            colors, known if mixture.natural else None, why_not if mixture.natural else _NOT_NATURAL
        )
    rgb = _stacked(planes, below, white.factors, into)
    remarks = []
    if mixture.luminance is not None:
        luminance = used[mixture.luminance] - np.float32(levels[mixture.luminance])
        own = (stars or {}).get(mixture.luminance)
        if not lightened(rgb, luminance, own, colors, white):
            remarks.append("luminance was left out: too few stars tell its brightness")
    if mixture.emission is not None:
        remarks += _reddened(rgb, used, masks or {}, mixture, white)
    _whiten(rgb, saturated)
    return Composed(rgb, mixture, white, tuple(remarks), softened)


def _three(
    images: Mapping[str, NDArray[np.float32]], levels: Mapping[str, float], mixture: Mixture
) -> tuple[list[NDArray[np.float32]], list[float]]:
    """The channels with the sky's level in each; an empty name is the mean of the two others."""
    red, green, blue = mixture.channels
    if green:
        names = (red, green, blue)
        return [images[name] for name in names], [levels[name] for name in names]
    mean = (images[red] + images[blue]) * np.float32(0.5)
    sky = levels[red], (levels[red] + levels[blue]) / 2, levels[blue]
    return [images[red], mean, images[blue]], list(sky)


def _stacked(
    planes: Sequence[NDArray[np.float32]],
    levels: Sequence[float],
    factors: Sequence[float],
    into: NDArray[np.float32] | None,
) -> NDArray[np.float32]:
    """The channels above their skies, each times its factor, (3, ny, nx)."""
    rgb = np.empty((3, *planes[0].shape), np.float32) if into is None else into

    def rows(first: int, last: int) -> None:
        for top in range(first, last, _STRIP_ROWS):
            strip = slice(top, min(top + _STRIP_ROWS, last))
            for above, plane, level, factor in zip(rgb, planes, levels, factors, strict=True):
                np.subtract(plane[strip], np.float32(level), out=above[strip])
                above[strip] *= np.float32(factor)

    over_rows(rows, rgb.shape[1])
    return rgb


def _saturated(
    masks: Mapping[str, NDArray[np.uint8]], filters: tuple[str, ...], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    bits = np.zeros(shape, np.uint8)
    for name in set(filters) & set(masks):
        bits |= masks[name]
    return np.asarray(bits & np.uint8(MaskBit.SATURATED), bool)


def _equally_sharp(
    planes: list[NDArray[np.float32]], stars: pd.DataFrame | None, colors: StarColors
) -> tuple[tuple[str, ...], float]:
    """Make the channels alike where they differ.

    Returns
    -------
    Names of those that were exchanged, and the least sharp one's FWHM, px.
    """
    if stars is None or len(colors.x) == 0:
        return (), 0.0
    ny, nx = planes[0].shape
    middle = tuple(
        slice(max(0, (side - _PROFILE_PX) // 2), (side + _PROFILE_PX) // 2) for side in (ny, nx)
    )
    in_all = stars.loc[colors.number]
    x, y = (colors.x - middle[1].start, colors.y - middle[0].start)
    inside = (x > 0) & (x < _PROFILE_PX) & (y > 0) & (y < _PROFILE_PX)
    profiles = []
    for plane, flux_e in zip(planes, colors.flux_e, strict=True):
        part = plane[middle]
        table = in_all.assign(x=x, y=y, flux_e=flux_e)[inside]
        profiles.append(measure_psf(part, ~np.isfinite(part), table))
    done = make_alike(planes, profiles, _ALIKE)
    widest_px = max((profile.fwhm_px for profile in profiles if profile is not None), default=0.0)
    return tuple(CHANNELS[index] for index in done), widest_px


def _reddened(
    rgb: NDArray[np.float32],
    planes: Mapping[str, NDArray[np.float32]],
    masks: Mapping[str, NDArray[np.uint8]],
    mixture: Mixture,
    white: Balance,
) -> list[str]:
    """Add, in place, the line's emission to red; a sentence where that cannot be."""
    if mixture.emission is None:
        return []
    narrow, broad = (_band(planes[name], masks.get(name)) for name in mixture.emission)
    try:
        line = line_emission(narrow, broad)
    except Unusable as error:
        return [f"Hα was left out. {error}"]
    # In units of red, and no more than red's noise bears: it grows by √2 at the most.
    to_red = white.factors[0] / line.scale.value
    noise_e = to_red / float(np.sqrt(np.median(line.weight[line.weight > 0])))
    bears_e = _noise(rgb[0])
    strength = to_red * min(1.0, bears_e / max(noise_e, 1e-6))
    good = np.isfinite(line.image) & ((line.mask & MaskBit.SATURATED) == 0)
    rgb[0] += np.where(good, np.float32(strength) * line.image, np.float32(0))
    return []


def _band(image: NDArray[np.float32], mask: NDArray[np.uint8] | None) -> Band:
    weight = np.float32(1 / max(_noise(image), 1e-6) ** 2)
    return Band(
        image,
        np.zeros(image.shape, np.uint8) if mask is None else mask,
        np.where(np.isfinite(image), weight, np.float32(0)),
    )


def _noise(image: NDArray[np.float32]) -> float:
    """Of one pixel, from differences of neighbours three apart, which no nebula reaches."""
    ny, nx = image.shape
    size = ny * max(nx - 3, 0)
    rows, columns = np.divmod(np.arange(0, size, max(1, size // _NOISE_SAMPLES)), max(nx - 3, 1))
    sample = image[rows, columns + 3] - image[rows, columns]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0
    return float(1.4826 / np.sqrt(2) * np.median(np.abs(sample)))


def _whiten(rgb: NDArray[np.float32], saturated: NDArray[np.bool_]) -> None:
    """Give saturated pixels and their neighbours, in place, no colour and the level of their
    brightest channel.
    """
    rows, columns = np.nonzero(saturated)
    around = [(rows, columns)]
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        near = rows + down, columns + right
        there = [(at >= 0) & (at < size) for at, size in zip(near, saturated.shape, strict=True)]
        around.append(tuple(at[there[0] & there[1]] for at in near))
    # All are looked at before the first is changed.
    brightest = [rgb[:, y, x].max(axis=0) for y, x in around]
    for (y, x), level in zip(around, brightest, strict=True):
        rgb[:, y, x] = level
