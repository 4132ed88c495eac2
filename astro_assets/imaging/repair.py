"""Values for pixels that have none, for the eye and for filters that need whole images.

What belongs here: interpolation over masked pixels. What does not: finding them (`bad_pixels`,
`cosmic_rays`). The mask keeps the reason: a repaired pixel stays out of measurements.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.mask import UNUSABLE, MaskBit

_TO_REPAIR = np.uint8(UNUSABLE & ~MaskBit.SATURATED)
_NO_SOURCE = np.uint8(UNUSABLE)
INTERPOLATED = np.uint8(MaskBit.INTERPOLATED)

_REACH = 5
"""Farthest neighbour, in pixels of one colour: groups up to twice as wide are filled."""
_WORD = 8
_ENOUGH = 3
"""Usable neighbours that end the search outwards."""


def interpolate_bad(
    image: NDArray[np.float32], mask: NDArray[np.uint8], *, bayer: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Fill bad pixels, cosmic rays and holes from the usable pixels around.

    The value is the mean of the usable neighbours in the smallest square that holds three,
    weighted by the inverse squared distance. Filled pixels get INTERPOLATED besides the bits they
    have. What has too few neighbours within `_REACH` stays as it is, and so do pixels that are
    saturated and nothing else.

    Parameters
    ----------
    image : (ny, nx) float32
    mask : (ny, nx) uint8, `MaskBit`
    bayer : take neighbours of the same colour of a 2 × 2 matrix only
    """
    if image.shape != mask.shape:
        raise ValueError(f"the image is {image.shape} and its mask {mask.shape}")
    filled, bits = np.array(image, np.float32, order="C"), mask.copy(order="C")
    fill(filled, bits, places_to_repair(bits), 2 if bayer else 1, INTERPOLATED)
    return filled, bits


def places_to_repair(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Where `interpolate_bad` would fill: indices into the flattened mask, in order."""
    return np.asarray(_places(np.ascontiguousarray(mask).reshape(-1), _TO_REPAIR))


@njit(cache=True, nogil=True)
def fill(image: Any, mask: Any, places: Any, stride: int, filled: Any) -> None:
    """What `interpolate_bad` does, in place; what is filled gets the bit ``filled``.

    The order of the places does not matter, for no pixel that is filled serves another.
    """
    nx = image.shape[1]
    for place in places:
        y, x = place // nx, place % nx
        for reach in range(1, _REACH + 1):
            found, value = _neighbours(image, mask, y, x, stride, reach)
            if found >= _ENOUGH:
                image[y, x] = value
                mask[y, x] |= filled
                break


@njit(cache=True, nogil=True)
def _places(mask: Any, bits: Any) -> Any:
    """``mask`` flat and contiguous; most of it is 0, and is passed over eight pixels at a time."""
    whole = len(mask) // _WORD
    words = mask[: whole * _WORD].view(np.uint64)
    pattern = np.uint64(bits) * np.uint64(0x0101010101010101)
    places = [np.int64(0) for _ in range(0)]
    for w in range(whole):
        if words[w] & pattern:
            _append(mask, bits, w * _WORD, (w + 1) * _WORD, places)
    _append(mask, bits, whole * _WORD, len(mask), places)
    return np.array(places)


@njit(cache=True, nogil=True)
def _append(mask: Any, bits: Any, first: int, last: int, places: Any) -> None:
    for place in range(first, last):
        if mask[place] & bits:
            places.append(np.int64(place))


@njit(cache=True, nogil=True)
def _neighbours(
    image: Any, mask: Any, y: int, x: int, stride: int, reach: int
) -> tuple[int, float]:
    """Number and weighted mean of the usable pixels of the same colour within the reach."""
    ny, nx = image.shape
    found, total, weighted = 0, 0.0, 0.0
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            v, u = y + j * stride, x + i * stride
            if v < 0 or v >= ny or u < 0 or u >= nx or mask[v, u] & _NO_SOURCE:
                continue
            weight = 1.0 / (i * i + j * j)
            found += 1
            total += weight
            weighted += weight * image[v, u]
    return found, weighted / total if total > 0 else 0.0
