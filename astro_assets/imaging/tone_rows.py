"""The loops over the pixels of a picture that is stretched.

What belongs here: rows of electrons into rows of 16 bits, by a curve that is known. What does not:
the curve and its levels (`stretch`).

One row after the other goes through all of it, and stays in the cache: each pixel's share of its
own colour, sums over the square around it (along the row from running sums, down the rows by
adding the one that comes and taking off the one that goes), the curve, the quantisation.
"""

from typing import Any

import numpy as np
from numba import njit

PER_OCTAVE = 256
"""places of the curve between a brightness and its double; straight lines between them are off by
less than a hundredth of the 16 bits' last"""
EXPONENTS = (-40, 24)
"""the curve's places begin at 2 to the first of these, and end before 2 to the second"""

_BITS_AN_OCTAVE = 23
"""of a float32: what is above them is the exponent, so that bits count places of the curve"""
_SHIFT = np.int32(_BITS_AN_OCTAVE - int(np.log2(PER_OCTAVE)))
_BETWEEN = np.int32((1 << int(_SHIFT)) - 1)
_STEP = np.float32(1 / (1 << int(_SHIFT)))
_FIRST = np.int32((127 + EXPONENTS[0]) * PER_OCTAVE)
_LAST = np.int32((EXPONENTS[1] - EXPONENTS[0]) * PER_OCTAVE - 2)

_ZERO, _HALF, _ONE, _FULL = (np.float32(value) for value in (0, 0.5, 1, 65535))


@njit(cache=True, nogil=True, error_model="numpy")
def show_rows(
    rgb: Any, weights: Any, sky: Any, half: Any, reach: int, black: Any, scale: Any,
    curve: Any, top: int, shown: Any,
) -> None:  # fmt: skip
    """Stretch the rows from ``top`` on into ``shown``, (rows, nx, 3) uint16.

    Parameters
    ----------
    rgb : (3, ny, nx) float32, electrons
    weights : (3,) float32, of the channels in the brightness
    sky, half : the sky's level; how far above it a pixel shows half of its own colour
    reach : of the square that the rest comes from
    black, scale : brightness that becomes 0; one over how far above it white is
    curve : grey of a brightness, `PER_OCTAVE` values for each power of two of `EXPONENTS`
    """
    _, ny, nx = rgb.shape
    bottom = top + shown.shape[0]
    kept = 2 * reach + 1
    ring = np.zeros((kept, 3, nx), np.float32)
    around = np.zeros((3, nx), np.float64)
    running = np.zeros((3, nx + 1), np.float64)
    calmed, factor = np.empty((3, nx), np.float32), np.empty(nx, np.float32)
    bright = np.empty(nx, np.float32)
    for y in range(max(top - reach, 0), bottom + reach):
        oldest = ring[y % kept]
        for k in range(3):
            for x in range(nx):
                around[k, x] -= oldest[k, x]
        if y < ny:
            _faint_colors(rgb[:, y], weights, sky, half, reach, running, oldest)
            for k in range(3):
                for x in range(nx):
                    around[k, x] += oldest[k, x]
        else:
            oldest[:] = _ZERO
        if y - reach >= top:
            _calm(rgb[:, y - reach], weights, sky, half, around, black, calmed)
            _brightness(calmed, weights, scale, bright)
            _factors(bright, bright.view(np.int32), curve, scale, factor)
            _quantise(calmed, bright, factor, shown[y - reach - top].reshape(-1))


@njit(cache=True, nogil=True, error_model="numpy")
def differences(plane: Any, apart: int, every: int) -> Any:
    """How far pixels of a row that lie ``apart`` differ, of one pair in ``every``: float32."""
    ny, nx = plane.shape
    across = max(nx - apart, 0)
    found = np.empty((ny * across + every - 1) // every, np.float32)
    for k in range(found.size):
        y, x = divmod(k * every, across)
        found[k] = abs(plane[y, x + apart] - plane[y, x])
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _faint_colors(
    rgb: Any, weights: Any, sky: float, half: float, reach: int, running: Any, sums: Any
) -> None:
    """Sums within ``reach`` along a row, (3, nx): what of its colour each pixel does not show, and
    that times red and blue less the mean.
    """
    nx = rgb.shape[1]
    for x in range(nx):
        mean = weights[0] * rgb[0, x] + weights[1] * rgb[1, x] + weights[2] * rgb[2, x]
        above = max((mean - sky) / half, _ZERO)
        share = _ONE / (_ONE + above * above)
        known = abs(mean) < np.float32(np.inf)
        sums[0, x] = share if known else _ZERO
        sums[1, x] = share * (rgb[0, x] - mean) if known else _ZERO
        sums[2, x] = share * (rgb[2, x] - mean) if known else _ZERO
    for x in range(nx):
        for k in range(3):
            running[k, x + 1] = running[k, x] + sums[k, x]
    inner = max(nx - reach, 0)
    for k in range(3):
        for x in range(min(reach, nx)):
            sums[k, x] = running[k, min(x + reach + 1, nx)]
        for x in range(reach, inner - 1):
            sums[k, x] = running[k, x + reach + 1] - running[k, x - reach]
        for x in range(max(inner - 1, reach), nx):
            sums[k, x] = running[k, nx] - running[k, x - reach]


@njit(cache=True, nogil=True, error_model="numpy")
def _calm(
    rgb: Any, weights: Any, sky: float, half: float, around: Any, black: float, calmed: Any
) -> None:
    """A row above black, the colours of its faint pixels taken from the faint ones around."""
    for x in range(rgb.shape[1]):
        mean = weights[0] * rgb[0, x] + weights[1] * rgb[1, x] + weights[2] * rgb[2, x]
        above = max((mean - sky) / half, _ZERO)
        rest = _ONE / (_ONE + above * above)
        own = _ONE - rest
        red, blue = rgb[0, x] - mean, rgb[2, x] - mean
        faint = np.float32(around[0, x])
        per = rest / faint
        red = own * red + per * np.float32(around[1, x]) if faint > _ONE else red
        blue = own * blue + per * np.float32(around[2, x]) if faint > _ONE else blue
        green = -(weights[0] * red + weights[2] * blue) / weights[1]
        calmed[0, x] = mean + red - black
        calmed[1, x] = mean + green - black
        calmed[2, x] = mean + blue - black


@njit(cache=True, nogil=True, error_model="numpy")
def _brightness(calmed: Any, weights: Any, scale: float, bright: Any) -> None:
    """Between black, 0, and white, 1; 0 for what is darker, and for what is blank."""
    for x in range(bright.size):
        mean = weights[0] * calmed[0, x] + weights[1] * calmed[1, x] + weights[2] * calmed[2, x]
        mean *= scale
        bright[x] = mean if mean > _ZERO else _ZERO  # noqa: FURB136 - NaN becomes 0


@njit(cache=True, nogil=True, error_model="numpy")
def _factors(bright: Any, bits: Any, curve: Any, scale: float, factor: Any) -> None:
    """Grey by the curve into ``bright``, and what the channels are multiplied by."""
    for x in range(bright.size):
        place = (bits[x] >> _SHIFT) - _FIRST
        place = min(max(place, np.int32(0)), _LAST)
        beyond = np.float32(bits[x] & _BETWEEN) * _STEP
        grey = curve[place] + beyond * (curve[place + 1] - curve[place])
        value = bright[x]
        factor[x] = grey / value * scale if value > _ZERO else _ZERO
        bright[x] = grey


@njit(cache=True, nogil=True, error_model="numpy")
def _quantise(calmed: Any, grey: Any, factor: Any, shown: Any) -> None:
    """A row's colours side by side, uint16; factor 0 is blank."""
    for x in range(grey.size):
        blank = factor[x] == _ZERO
        r = max(calmed[0, x] * factor[x], _ZERO)
        g = max(calmed[1, x] * factor[x], _ZERO)
        b = max(calmed[2, x] * factor[x], _ZERO)
        # 1 at white for the strongest channel, and no change where it is dark.
        strongest = max(r, g, b)
        full = _FULL / max(_ONE + strongest - grey[x], strongest)
        shown[3 * x] = np.uint16(0) if blank else np.uint16(r * full + _HALF)
        shown[3 * x + 1] = np.uint16(0) if blank else np.uint16(g * full + _HALF)
        shown[3 * x + 2] = np.uint16(0) if blank else np.uint16(b * full + _HALF)
