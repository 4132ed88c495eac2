"""The kernel of calibration: all corrections of a pixel in one pass over the frame.

What belongs here: the pixel loops. What does not: which masters, with which factors (`calibrate`).
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit

FLAT_FLOOR = 0.1
"""A pixel that sees less than this share of the light has no data."""

_SATURATED = np.uint8(MaskBit.SATURATED)
_NO_DATA = np.uint8(MaskBit.NO_DATA)
_FLOOR = np.float32(FLAT_FLOOR)


class Planes(NamedTuple):
    """The masters' pixels, float32 and uint8; of size 0 what is not used."""

    bias: NDArray[Any]
    dark: NDArray[Any]
    flat: NDArray[Any]
    bad: NDArray[Any]


class Numbers(NamedTuple):
    """float32. saturation in ADU, gain in e/ADU"""

    bias_factor: Any
    dark_factor: Any
    gain: Any
    saturation: Any


# Divisions by zero give infinity, which the mask tells, rather than a branch in every loop.
_compiled = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def to_counts(words: Any) -> None:
    """Words of a FITS file that hold counts, (n,) uint16, in place on a little-endian machine.

    Their bytes change places, and what FITS takes off counts (BZERO) is their highest bit.
    """
    for k in range(len(words)):
        word = words[k]
        words[k] = ((word >> np.uint16(8)) | (word << np.uint16(8))) ^ np.uint16(0x8000)


@_compiled
def convert(
    raw: Any, planes: Planes, zero: Any, numbers: Numbers, top: int, bottom: int,
    image: Any, mask: Any,
) -> None:  # fmt: skip
    """All corrections of some rows, each row in loops that the processor takes on whole lanes."""
    nx = raw.shape[1]
    for y in range(top, bottom):
        counts, row, bits = raw[y], image[y], mask[y]
        for x in range(nx):
            value = np.float32(counts[x])
            bits[x] = _SATURATED if value >= numbers.saturation else np.uint8(0)
            row[x] = value - zero[y]
        _take_off(planes, numbers, y, row)
        for x in range(nx):
            row[x] *= numbers.gain
        if planes.flat.size:
            _flatten(planes.flat[y], row)
        for x in range(nx):
            there = abs(row[x]) < np.float32(np.inf)
            row[x] = row[x] if there else np.float32(0)
            bits[x] |= np.uint8(0) if there else _NO_DATA
        if planes.bad.size:
            bad = planes.bad[y]
            for x in range(nx):
                bits[x] |= bad[x]


@_compiled
def _take_off(planes: Planes, numbers: Numbers, y: int, row: Any) -> None:
    if planes.bias.size and planes.dark.size:
        bias, dark = planes.bias[y], planes.dark[y]
        for x in range(len(row)):
            row[x] -= bias[x] * numbers.bias_factor + dark[x] * numbers.dark_factor
    elif planes.bias.size:
        bias = planes.bias[y]
        for x in range(len(row)):
            row[x] -= bias[x] * numbers.bias_factor
    elif planes.dark.size:
        dark = planes.dark[y]
        for x in range(len(row)):
            row[x] -= dark[x] * numbers.dark_factor


@_compiled
def _flatten(flat: Any, row: Any) -> None:
    for x in range(len(row)):
        seen = flat[x] >= _FLOOR
        row[x] = row[x] / flat[x] if seen else np.float32(np.nan)
