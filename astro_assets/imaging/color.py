"""Filters into colour: which image goes into which channel, sky and white balance.

What belongs here: the mixture of channels. What does not: the tone curve (`stretch`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.mask import MaskBit

CHANNELS = ("R", "G", "B")

# Effective wavelengths, nm: of the broad bands they order the channels.
_BROAD_NM = {
    "U": 365.0, "B": 445.0, "G": 530.0, "V": 551.0, "R": 650.0, "I": 800.0, "Z": 900.0,
    "SDSS U": 355.0, "SDSS G": 475.0, "SDSS R": 622.0, "SDSS I": 763.0, "SDSS Z": 905.0,
}  # fmt: skip
_NARROW_NM = {"SII": 672.0, "Ha": 656.3, "OIII": 500.7, "Hb": 486.1}
_LUMINANCE = "L"

_NAMES = {
    "luminance": "L", "lum": "L", "l": "L", "clear": "L", "c": "L", "none": "L", "open": "L",
    "ircut": "L", "lp": "L",
    "red": "R", "r": "R", "rc": "R", "green": "G", "g": "G", "blue": "B", "b": "B",
    "v": "V", "visual": "V", "u": "U", "i": "I", "ic": "I", "z": "Z",
    "ha": "Ha", "halpha": "Ha", "hydrogenalpha": "Ha", "hb": "Hb", "hbeta": "Hb",
    "oiii": "OIII", "o3": "OIII", "oxygen": "OIII", "sii": "SII", "s2": "SII", "sulphur": "SII",
}  # fmt: skip
_RECIPES = (
    ("R", "G", "B"),
    ("R", "V", "B"),
    ("SDSS I", "SDSS R", "SDSS G"),
    ("SII", "Ha", "OIII"),
    ("Ha", "OIII", "OIII"),
)
"""Bands for red, green and blue, the first that all are there is taken."""

_MIN_STARS = 5
_STAR_SNR = 20.0
_APERTURE_PX = 5.0
_SKY_BOX_PX = 32
_SKY_SHARE = 0.1
"""of the boxes, the darkest, are taken for sky"""


@dataclass(frozen=True, slots=True)
class Composed:
    """A colour picture, linear.

    rgb : (3, ny, nx) float32, electrons of the green channel, sky at 0; NaN where a channel has
        no data
    filters : the filter that went into red, green and blue
    factors : what each channel was multiplied by
    n_stars : stars that the white balance rests on; 0 when there were too few and it was left
    """

    rgb: NDArray[np.float32]
    filters: tuple[str, str, str]
    factors: tuple[float, float, float]
    n_stars: int


def channel_of(filter_name: str) -> str | None:
    """The band of a filter by any of its usual names; None when the name says nothing.

    ``Red`` → ``R``, ``H-alpha`` → ``Ha``, ``g'`` → ``SDSS G``, ``Luminance`` → ``L``. A Bayer
    plane counts as the filter of its colour.
    """
    text = filter_name.strip()
    sloan = re.fullmatch(r"(?i)(?:sdss|sloan)?[ _-]*([ugriz])(?:['′p]|[ _-]*prime)", text)
    if sloan is None:
        sloan = re.fullmatch(r"(?i)(?:sdss|sloan)[ _-]*([ugriz])", text)
    if sloan is not None:
        return f"SDSS {sloan[1].upper()}"
    words = text.replace("α", "alpha").replace("β", "beta").lower()
    bare = re.sub(r"[^a-z0-9]", "", re.sub(r"\d+(\.\d+)?\s*nm", "", words))
    return _NAMES.get(bare) or _NAMES.get(re.sub(r"^(johnson|cousins|bessell?|astrodon)", "", bare))


def recipe(filters: Mapping[str, object] | list[str]) -> tuple[str, str, str]:
    """The filters for red, green and blue, out of those that there are.

    A known set of three (or Ha and OIII) as it is commonly shown; else the broad bands by
    wavelength; with two, green is missing and both serve it; one alone makes a grey picture.

    Raises
    ------
    NothingToDo : there is no filter
    """
    names = list(filters)
    if not names:
        raise NothingToDo("there is no stack to make a colour picture of")
    band_of = {name: channel_of(name) for name in names}
    by_band = {band: name for name, band in band_of.items() if band is not None}
    for bands in _RECIPES:
        if all(band in by_band for band in bands):
            red, green, blue = (by_band[band] for band in bands)
            return red, green, blue
    known = {**_BROAD_NM, **_NARROW_NM}
    placed = sorted((band for band in by_band if band in known), key=lambda band: -known[band])
    if len(placed) >= 3:
        middle = placed[len(placed) // 2]
        return by_band[placed[0]], by_band[middle], by_band[placed[-1]]
    if len(placed) == 2:
        return by_band[placed[0]], "", by_band[placed[1]]
    only = by_band.get(_LUMINANCE) or (by_band[placed[0]] if placed else names[0])
    return only, only, only


def compose(
    channels: Mapping[str, NDArray[np.float32]],
    masks: Mapping[str, NDArray[np.uint8]] | None = None,
) -> Composed:
    """One linear colour picture from the stacks of several filters on one grid.

    The sky, as the darkest parts of the field show it, is set to 0 and so becomes neutral.
    Channels are scaled so that the average star is white: the factor is the median over the stars
    of the flux in green by the flux in the channel. Saturated cores, which have lost their
    colour, become white.

    Parameters
    ----------
    channels : filter name → (ny, nx) electrons; for Bayer stacks the names R, G, B
    masks : filter name → (ny, nx) uint8 of `MaskBit`, for those that have one

    Raises
    ------
    NothingToDo : there is no channel
    ValueError : the channels differ in shape
    """
    filters = recipe(channels)
    shapes = {image.shape for image in channels.values()}
    if len(shapes) != 1:
        raise ValueError(f"the channels differ in shape: {sorted(shapes)}")
    planes = _without_sky({name: channels[name] for name in sorted(set(filters)) if name})
    if not filters[1]:
        planes[""] = np.asarray((planes[filters[0]] + planes[filters[2]]) / 2, np.float32)
    rgb = np.stack([planes[name] for name in filters])
    saturated = _saturated(masks or {}, filters, rgb.shape[1:])
    factors, n_stars = _white_balance(rgb, saturated)
    rgb *= np.array(factors, np.float32)[:, None, None]
    rgb[:, saturated] = rgb[:, saturated].max(axis=0)
    return Composed(rgb, filters, factors, n_stars)


def _without_sky(planes: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """The planes less their sky, which is that of the darkest boxes, the same for all planes.

    In a field that a nebula fills, the commonest level is the nebula's: taken off, it would leave
    its complement as the colour of the sky.
    """
    medians = np.array([_box_medians(plane) for plane in planes.values()])
    noise = np.array([_spread(values) for values in medians])[:, None]
    darkness = (medians / np.maximum(noise, 1e-6)).sum(axis=0)
    known = np.flatnonzero(np.isfinite(darkness))
    if known.size == 0:
        return dict(planes)
    darkest = known[np.argsort(darkness[known])][: max(1, round(_SKY_SHARE * known.size))]
    levels = np.median(medians[:, darkest], axis=1)
    return {
        name: np.asarray(plane - np.float32(level), np.float32)
        for (name, plane), level in zip(planes.items(), levels, strict=True)
    }


def _box_medians(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Medians of boxes over the image, row by row of boxes; NaN where most of a box is blank."""
    side = max(1, min(_SKY_BOX_PX, *image.shape))
    ny, nx = image.shape[0] // side, image.shape[1] // side
    boxes = image[: ny * side, : nx * side].reshape(ny, side, nx, side).swapaxes(1, 2)
    values = boxes.reshape(ny * nx, side * side).astype(np.float64)
    blank = np.isnan(values).mean(axis=1) > 0.5
    values[blank] = 0.0
    medians = np.nanmedian(values, axis=1)
    medians[blank] = np.nan
    return np.asarray(medians)


def _spread(values: NDArray[np.float64]) -> float:
    """How much the darker half of the boxes differs: what sky and gradients do, not the object."""
    low, middle = np.nanpercentile(values, (5, 50)) if np.isfinite(values).any() else (0.0, 0.0)
    return float(middle - low)


def _saturated(
    masks: Mapping[str, NDArray[np.uint8]], filters: tuple[str, ...], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    saturated = np.zeros(shape, bool)
    for name in set(filters) & set(masks):
        saturated |= (masks[name] & MaskBit.SATURATED) != 0
    return saturated


def _white_balance(
    rgb: NDArray[np.float32], saturated: NDArray[np.bool_]
) -> tuple[tuple[float, float, float], int]:
    """Factors that make the average star white, and the number of stars behind them."""
    blank = ~np.isfinite(rgb).all(axis=0)
    filled = np.ascontiguousarray(np.where(blank, np.float32(0), rgb))
    sum_image = np.ascontiguousarray(filled.sum(axis=0))
    noise = sep.Background(sum_image, mask=blank, bw=64, bh=64)
    found = sep.extract(
        sum_image - noise.back(), _STAR_SNR / 4, err=noise.globalrms, mask=blank, minarea=5
    )
    ys, xs = found["y"].astype(int), found["x"].astype(int)
    # Round and small is a star; a saturated or blended one tells no colour.
    star = (found["flag"] == 0) & (found["a"] < 1.5 * found["b"]) & (found["a"] < 4 * _APERTURE_PX)
    star &= ~saturated[ys, xs]
    found = found[star]
    fluxes = []
    for plane in filled:
        flux, error, flag = sep.sum_circle(
            plane,
            found["x"],
            found["y"],
            _APERTURE_PX,
            err=sep.Background(plane, mask=blank).globalrms,
            mask=saturated | blank,
            bkgann=(2 * _APERTURE_PX, 3 * _APERTURE_PX),
        )
        fluxes.append(np.where((flag == 0) & (flux > _STAR_SNR * error), flux, np.nan))
    red, green, blue = fluxes
    good = np.isfinite(red) & np.isfinite(green) & np.isfinite(blue)
    n_stars = int(np.count_nonzero(good))
    if n_stars < _MIN_STARS:
        return (1.0, 1.0, 1.0), 0
    return (
        float(np.median(green[good] / red[good])),
        1.0,
        float(np.median(green[good] / blue[good])),
    ), n_stars
