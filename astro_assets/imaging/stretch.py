"""Electrons into what a screen shows: one stretch for all channels, colour kept.

What belongs here: the tone curve, and the colour of what is too faint to show its own. What does
not: the mixture of channels (`color`).
"""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import brentq

SKY_GREY = 0.12
"""Where the sky's level comes to lie between black and white."""
_BLACK_SIGMA = 2.8
_SAMPLES = 1_000_000
_FEW = 20
_BLANK = 0
_STRIP_ROWS = 128
_OWN_COLOR_SIGMA = 4.0
"""A pixel this far above the sky shows half of its own colour and half of its surroundings'."""
_AROUND_PX = 10
_LEAST_WEIGHT = 0.1


def autostretch(rgb: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Stretch a picture so that faint and bright both show.

    Black lies 2.8 standard deviations below the sky, the sky at `SKY_GREY`, white at the
    brightest stars' level; between them runs an asinh curve of the mean intensity, and every
    channel is multiplied by the same factor, so that a colour stays what it is however bright
    (Lupton et al. 2004, PASP 116, 133). A pixel of which one channel would pass white is scaled
    down as a whole, by a smooth law, instead of being cut.

    The fainter a pixel, the more its colour is that of the faint pixels around it: noise has no
    colour then, while nebulosity keeps its own, and bright stars do not bleed. Its brightness is
    the channels' mean weighted by their noise, so that the noisiest does not hide what is faint.

    Parameters
    ----------
    rgb : (3, ny, nx), background neutral (`color.compose`); NaN is blank

    Returns
    -------
    (3, ny, nx) uint16, full range
    """
    weights = _weights(rgb)
    black, sky, white, sigma = _levels(rgb, weights)
    softening = _softening((sky - black) / (white - black))
    picture = np.empty(rgb.shape, np.uint16)

    def rows(y0: int) -> None:
        above = max(0, y0 - _AROUND_PX)
        strip = rgb[:, above : y0 + _STRIP_ROWS + _AROUND_PX]
        calmed = _calmed(strip, weights, sky, sigma * _OWN_COLOR_SIGMA, _AROUND_PX)
        part = slice(y0 - above, y0 - above + _STRIP_ROWS)
        _stretch(
            calmed[:, part], weights, black, white, softening, picture[:, y0 : y0 + _STRIP_ROWS]
        )

    with ThreadPoolExecutor(2, thread_name_prefix="stretch") as pool:
        list(pool.map(rows, range(0, rgb.shape[1], _STRIP_ROWS)))
    return picture


def to_uint8(picture: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The same picture in 8 bits, rounded."""
    return ((picture.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _weights(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each channel counts in the brightness: inverse variances, none below a tenth."""
    step = max(1, rgb[0].size // _SAMPLES)
    noise = np.zeros(3)
    for channel, plane in enumerate(rgb):
        difference = (plane[:, 3:] - plane[:, :-3]).ravel()[::step]
        difference = np.abs(difference[np.isfinite(difference)])
        noise[channel] = np.median(difference) if difference.size else 0.0
    if not (noise > 0).all():
        return np.full(3, 1 / 3, np.float32)
    shares = np.maximum(noise**-2 / (noise**-2).sum(), _LEAST_WEIGHT)
    return np.asarray(shares / shares.sum(), np.float32)


def _levels(
    rgb: NDArray[np.float32], weights: NDArray[np.float32]
) -> tuple[float, float, float, float]:
    """Black, sky and white of the brightness, and the sky's spread."""
    # Of a large picture every other row and column: no star is smaller than that.
    step = 2 if rgb[0].size > 4 * _SAMPLES else 1
    intensity = np.einsum("c,cyx->yx", weights, rgb[:, ::step, ::step])
    seen = intensity[np.isfinite(intensity)]
    if seen.size == 0:
        return 0.0, 0.5, 1.0, 1.0
    sky, sigma = _sky(seen[:: max(1, seen.size // _SAMPLES)])
    # Not the very brightest: one hot pixel must not set the scale.
    few = _FEW // step**2
    brightest = float(np.partition(seen, -few)[-few]) if seen.size > few else float(seen.max())
    return sky - _BLACK_SIGMA * sigma, sky, max(brightest, sky + 20 * sigma), sigma


def _sky(values: NDArray[np.float32]) -> tuple[float, float]:
    """Level and spread of the sky: median and MAD of what is not source, clipped at 3 sigma."""
    kept = np.sort(values).astype(np.float64)
    level, sigma = 0.0, 0.0
    for _ in range(10):
        level = _middle(kept)
        # Sources only add: the lower half alone tells the spread.
        sigma = 1.4826 * (level - _middle(kept[: np.searchsorted(kept, level, "right")]))
        ends = level - 3 * sigma, level + 3 * sigma
        inside = kept[np.searchsorted(kept, ends[0]) : np.searchsorted(kept, ends[1], "right")]
        if inside.size == kept.size or inside.size < 100:
            break
        kept = inside
    return level, max(sigma, 1e-6 * max(abs(level), 1.0))


def _middle(ordered: NDArray[np.float64]) -> float:
    """The median of what is sorted."""
    n = ordered.size
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _softening(sky: float) -> float:
    """The asinh curve's scale b for which ``asinh(sky / b) / asinh(1 / b)`` is `SKY_GREY`."""
    if sky >= SKY_GREY:
        return 1e3  # the curve is a straight line by then

    def miss(log_b: float) -> float:
        b = math.exp(log_b)
        return math.asinh(sky / b) / math.asinh(1 / b) - SKY_GREY

    low, high = math.log(1e-30), math.log(1e3)
    return math.exp(brentq(miss, low, high)) if miss(low) * miss(high) < 0 else 1e3


@njit(cache=True, nogil=True)
def _calmed(rgb: Any, weights: Any, sky: float, half: float, reach: int) -> Any:
    """The strip with the colours of its faint pixels taken from the faint ones around."""
    _, ny, nx = rgb.shape
    own, sums = _own_colors(rgb, weights, sky, half)
    _box_along_rows(sums, reach)
    calmed = np.empty_like(rgb)
    around = np.zeros((3, nx), np.float32)
    for y in range(min(reach, ny)):
        around += sums[y]
    for y in range(ny):
        if y + reach < ny:
            around += sums[y + reach]
        if y - reach - 1 >= 0:
            around -= sums[y - reach - 1]
        for x in range(nx):
            mean = _brightness(rgb, weights, y, x)
            red, blue = rgb[0, y, x] - mean, rgb[2, y, x] - mean
            if around[0, x] > 1:
                keep = own[y, x]
                red = keep * red + (1 - keep) * around[1, x] / around[0, x]
                blue = keep * blue + (1 - keep) * around[2, x] / around[0, x]
            calmed[0, y, x] = mean + red
            calmed[1, y, x] = mean - (weights[0] * red + weights[2] * blue) / weights[1]
            calmed[2, y, x] = mean + blue
    return calmed


@njit(cache=True, nogil=True)
def _own_colors(rgb: Any, weights: Any, sky: float, half: float) -> Any:
    """How much of its own colour each pixel shows, and of the rest (ny, 3, nx): weight, weighted
    red and blue less the mean.
    """
    _, ny, nx = rgb.shape
    own = np.zeros((ny, nx), np.float32)
    sums = np.zeros((ny, 3, nx), np.float32)
    for y in range(ny):
        for x in range(nx):
            mean = _brightness(rgb, weights, y, x)
            if not math.isfinite(mean):
                continue
            above = max((mean - sky) / half, 0.0)
            own[y, x] = above * above / (1 + above * above)
            weight = 1 - own[y, x]
            sums[y, 0, x] = weight
            sums[y, 1, x] = weight * (rgb[0, y, x] - mean)
            sums[y, 2, x] = weight * (rgb[2, y, x] - mean)
    return own, sums


@njit(cache=True, nogil=True)
def _box_along_rows(sums: Any, reach: int) -> None:
    """Each value becomes the sum of those within ``reach`` in its row, in place."""
    ny, planes, nx = sums.shape
    row = np.empty(nx + 1, np.float64)
    for y in range(ny):
        for k in range(planes):
            row[0] = 0.0
            for x in range(nx):
                row[x + 1] = row[x] + sums[y, k, x]
            for x in range(nx):
                sums[y, k, x] = row[min(x + reach + 1, nx)] - row[max(x - reach, 0)]


@njit(cache=True, nogil=True)
def _brightness(rgb: Any, weights: Any, y: int, x: int) -> float:
    return float(weights[0] * rgb[0, y, x] + weights[1] * rgb[1, y, x] + weights[2] * rgb[2, y, x])


@njit(cache=True, nogil=True)
def _stretch(
    rgb: Any, weights: Any, black: float, white: float, softening: float, picture: Any
) -> None:
    top = 1 / math.asinh(1 / softening)
    scale = 1 / (white - black)
    for y in range(rgb.shape[1]):
        for x in range(rgb.shape[2]):
            r, g, b = rgb[0, y, x] - black, rgb[1, y, x] - black, rgb[2, y, x] - black
            intensity = (weights[0] * r + weights[1] * g + weights[2] * b) * scale
            if not intensity > 0:  # NaN too
                picture[0, y, x] = picture[1, y, x] = picture[2, y, x] = _BLANK
                continue
            grey = math.asinh(intensity / softening) * top
            factor = grey / intensity * scale
            r, g, b = max(r * factor, 0.0), max(g * factor, 0.0), max(b * factor, 0.0)
            # 1 at white for the strongest channel, and no change where it is dark.
            full = 65535 / max(1 + max(r, g, b) - grey, r, g, b)
            picture[0, y, x] = int(r * full + 0.5)
            picture[1, y, x] = int(g * full + 0.5)
            picture[2, y, x] = int(b * full + 0.5)
