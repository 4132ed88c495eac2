"""Sensors with a 2 × 2 colour matrix: patterns, planes, colour images.

What belongs here: what follows from the pattern. What does not: colours for the eye (`color`).
Patterns read as FITS spells them in BAYERPAT: the colours of the pixels (0, 0), (1, 0), (0, 1),
(1, 1), as (x, y), in the order of the file's rows.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")

LUMINANCE_NOISE = 0.375
"""Noise of a pixel of `luminance` in units of that of a raw pixel; its neighbours share it."""
LUMINANCE_BLUR_PX2 = 0.5
"""What `luminance` adds to the variance of a star's image, along x and along y, in pixels²."""

_CHANNELS = "RGB"
_IGNORED = int(MaskBit.BAD | MaskBit.USER | MaskBit.COSMIC_RAY | MaskBit.NO_DATA)
"""Pixels with these bits have no value to give; saturated ones do, and hand on their bit."""

# Weights by distance; the outer ones serve where the inner 3 × 3 holds nothing usable.
_NEAR = np.array([1.0, 0.5, 0.0], np.float32)
_BINOMIAL = np.outer(_NEAR, _NEAR)
_CROSS = np.array([[1.0, 0.25, 0.0], [0.25, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)


def colours(pattern: str) -> NDArray[np.int64]:
    """Channel (0 red, 1 green, 2 blue) of each pixel of a cell, indexed [y % 2, x % 2].

    Raises
    ------
    ValueError : there is no such pattern
    """
    if pattern not in PATTERNS:
        raise ValueError(f"{pattern!r} is no Bayer pattern: expected {', '.join(PATTERNS)}")
    return np.array([_CHANNELS.index(letter) for letter in pattern]).reshape(2, 2)


def flip_pattern(
    pattern: str, shape: tuple[int, int], *, rows: bool = False, columns: bool = False
) -> str:
    """The pattern of an image of this (ny, nx) after its rows or columns are put in reverse.

    A rotation by 180° reverses both.
    """
    cell = colours(pattern)
    first_y = (shape[0] - 1) % 2 if rows else 0
    first_x = (shape[1] - 1) % 2 if columns else 0
    cell = np.roll(cell, (-first_y, -first_x), axis=(0, 1))
    return "".join(_CHANNELS[channel] for channel in cell.ravel())


def colour_planes(image: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The four pixels of each cell as views: (y, x) = (0, 0), (0, 1), (1, 0), (1, 1).

    Neighbours in a plane have the same colour. The views are in the order of the pattern's
    letters.
    """
    return tuple(image[y::2, x::2] for y in (0, 1) for x in (0, 1))


def cells_of(pattern: str, colour: str) -> tuple[tuple[int, int], ...]:
    """Where a colour (R, G, B) is in each 2 × 2 cell: (y, x), once or twice.

    Raises
    ------
    ValueError : there is no such pattern
    """
    where = np.argwhere(colours(pattern) == _CHANNELS.index(colour))
    return tuple((int(y), int(x)) for y, x in where)


def channel_mask(shape: tuple[int, int], pattern: str) -> NDArray[np.bool_]:
    """(3, ny, nx) bool: which pixels are red, green, blue."""
    ny, nx = shape
    cell = colours(pattern)
    channel = np.tile(cell, (ny // 2 + 1, nx // 2 + 1))[:ny, :nx]
    return np.stack([channel == index for index in range(3)])


def debayer(
    image_e: NDArray[np.float32], mask: NDArray[np.uint8], pattern: str
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Bilinear colour image from usable pixels only (normalised convolution).

    A measured value stays as it is; a channel's other values are the means of its 2 or 4 nearest
    usable pixels, with 1/2 and 1/4 of the variance. Saturated neighbours serve and hand on their
    bit. Where the 3 × 3 around a pixel holds nothing usable the 5 × 5 is taken, and where the
    pixel's own value was not usable its channel is marked INTERPOLATED; where there is nothing
    the value is 0 and the mask NO_DATA.

    Parameters
    ----------
    image_e : (ny, nx) float32
    mask : (ny, nx) uint8, `MaskBit`

    Returns
    -------
    (3, ny, nx) float32 and (3, ny, nx) uint8: red, green, blue

    Raises
    ------
    ValueError : there is no such pattern
    """
    weights = np.stack([_BINOMIAL, _CROSS, _BINOMIAL])
    return _interpolated(image_e, mask, pattern, weights)


def luminance(
    image_e: NDArray[np.float32], mask: NDArray[np.uint8], pattern: str
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(R + 2 G + B) / 4 at every pixel, for finding stars: no checkerboard for any colour.

    Without masked pixels this is the convolution with the binomial 3 × 3 kernel, which makes stars
    wider (`LUMINANCE_BLUR_PX2`) and noise smaller (`LUMINANCE_NOISE`).

    Parameters
    ----------
    image_e, mask : (ny, nx), as for `debayer`

    Returns
    -------
    (ny, nx) float32, and its mask (ny, nx) uint8: NO_DATA where a colour is missing, SATURATED
    where a saturated pixel has part in it

    Raises
    ------
    ValueError : there is no such pattern
    """
    rgb, masks = _interpolated(image_e, mask, pattern, np.stack([_BINOMIAL] * 3))
    light = (rgb[0] + 2 * rgb[1] + rgb[2]) / np.float32(4)
    bits = masks[0] | masks[1] | masks[2]
    light[(bits & MaskBit.NO_DATA) != 0] = 0
    return light, bits


def _interpolated(
    image_e: NDArray[np.float32],
    mask: NDArray[np.uint8],
    pattern: str,
    weights: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    if image_e.shape != mask.shape:
        raise ValueError(f"the image is {image_e.shape} and its mask {mask.shape}")
    rgb = np.empty((3, *image_e.shape), np.float32)
    masks = np.empty((3, *image_e.shape), np.uint8)
    _interpolate(
        np.ascontiguousarray(image_e, np.float32),
        np.ascontiguousarray(mask),
        colours(pattern),
        weights,
        rgb,
        masks,
    )
    return rgb, masks


_SATURATED = int(MaskBit.SATURATED)
_FILLED = int(MaskBit.INTERPOLATED)
_NO_DATA = int(MaskBit.NO_DATA)


@njit(cache=True, nogil=True)
def _interpolate(image: Any, mask: Any, cell: Any, weights: Any, rgb: Any, masks: Any) -> None:
    ny, nx = image.shape
    for channel in range(3):
        for y in range(ny):
            for x in range(nx):
                value, total, bits = _gather(image, mask, cell, weights[channel], channel, y, x, 1)
                if total == 0:
                    value, total, bits = _gather(
                        image, mask, cell, weights[channel], channel, y, x, 2
                    )
                if cell[y & 1, x & 1] == channel and mask[y, x] & _IGNORED:
                    bits |= _FILLED
                rgb[channel, y, x] = value if total > 0 else 0
                masks[channel, y, x] = bits if total > 0 else _NO_DATA


@njit(cache=True, nogil=True)
def _gather(
    image: Any, mask: Any, cell: Any, weights: Any, channel: int, y: int, x: int, reach: int
) -> tuple[float, float, int]:
    """Weighted mean of one channel around a pixel, the sum of the weights, the bits handed on.

    Within a reach of 1 the weights are those given, within 2 they fall with the distance squared.
    """
    ny, nx = image.shape
    total, weighted = 0.0, 0.0
    bits = 0
    for v in range(max(0, y - reach), min(ny, y + reach + 1)):
        for u in range(max(0, x - reach), min(nx, x + reach + 1)):
            if cell[v & 1, u & 1] != channel or mask[v, u] & _IGNORED:
                continue
            dy, dx = abs(v - y), abs(u - x)
            weight = weights[dy, dx] if reach == 1 else 1.0 / (dy * dy + dx * dx)
            if weight > 0:
                total += weight
                weighted += weight * image[v, u]
                bits |= mask[v, u] & _SATURATED
    return (weighted / total if total > 0 else 0.0), total, bits
