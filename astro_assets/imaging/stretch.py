"""Electrons into what a screen shows: one stretch for all channels, colour kept.

What belongs here: the tone curve of a picture, and eight bits of sixteen. What does not: the loops
over its pixels (`tone_rows`), the mixture of channels (`color`).
"""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from astro_assets.imaging.order import median, quantile
from astro_assets.imaging.threads import at_once, over_rows
from astro_assets.imaging.tone_rows import EXPONENTS, PER_OCTAVE, differences, show_rows

SKY_GREY = 0.12
"""Where the sky's level comes to lie between black and white."""
_BLACK_SIGMA = 2.8
_SAMPLES = 1_000_000
_FEW = 20
_OWN_COLOR_SIGMA = 4.0
"""A pixel this far above the sky shows half of its own colour and half of its surroundings'."""
_AROUND_PX = 10
_LEAST_WEIGHT = 0.1
_APART_PX = 3
_A_LINE = 1024
"""values that are looked at together for the brightest"""


@dataclass(frozen=True)
class Tone:
    """How a picture's electrons become grey.

    weights : (3,) float32, what each channel counts in the brightness
    black_e, sky_e, white_e : levels of the brightness
    sigma_e : the sky's spread
    curve : float32, grey of a brightness between black (0) and white (1), at the brightnesses of
        `tone_rows`
    """

    weights: NDArray[np.float32]
    black_e: float
    sky_e: float
    white_e: float
    sigma_e: float
    curve: NDArray[np.float32]


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
    tone = tone_of(rgb)
    shown = np.empty((*rgb.shape[1:], 3), np.uint16)
    over_rows(lambda top, bottom: stretch_rows(rgb, tone, top, shown[top:bottom]), rgb.shape[1])
    return np.ascontiguousarray(np.moveaxis(shown, -1, 0))


def tone_of(rgb: NDArray[np.float32]) -> Tone:
    """The tone curve of a picture, as `autostretch` tells."""
    weights = _weights(rgb)
    black, sky, white, sigma = _levels(rgb, weights)
    softening = _softening((sky - black) / (white - black))
    return Tone(weights, black, sky, white, sigma, _curve(softening))


def stretch_rows(rgb: NDArray[np.float32], tone: Tone, top: int, shown: NDArray[np.uint16]) -> None:
    """Some rows of `autostretch`, from ``top`` on, into ``shown``: (rows, nx, 3)."""
    pixels, half = np.ascontiguousarray(rgb, np.float32), tone.sigma_e * _OWN_COLOR_SIGMA
    show_rows(
        pixels, tone.weights, np.float32(tone.sky_e), np.float32(half),
        _AROUND_PX, np.float32(tone.black_e), np.float32(1 / (tone.white_e - tone.black_e)),
        tone.curve, top, shown,
    )  # fmt: skip


def to_uint8(picture: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The same picture in 8 bits, rounded."""
    # (v + 128) // 257 of each, without a division and within 16 bits.
    above = ((picture >> 1) + np.uint16(64)) >> 7
    return ((picture - above + np.uint16(128)) >> 8).astype(np.uint8)


def _weights(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each channel counts in the brightness: inverse variances, none below a tenth."""
    noise = np.array(at_once(*(partial(_differences, plane) for plane in rgb)))
    if not (noise > 0).all():
        return np.full(3, 1 / 3, np.float32)
    shares = np.maximum(noise**-2 / (noise**-2).sum(), _LEAST_WEIGHT)
    return np.asarray(shares / shares.sum(), np.float32)


def _differences(plane: NDArray[np.float32]) -> float:
    """The usual difference between pixels three apart, of a sample of them; 0 without any."""
    ny, nx = plane.shape
    seen = differences(plane, _APART_PX, max(1, ny * nx // _SAMPLES))
    seen = seen[np.isfinite(seen)]
    return median(seen) if seen.size else 0.0


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
    few = _FEW // step**2
    (sky, sigma), brightest = at_once(
        partial(_sky, seen[:: max(1, seen.size // _SAMPLES)]), partial(_brightest, seen, few)
    )
    return sky - _BLACK_SIGMA * sigma, sky, max(brightest, sky + 20 * sigma), sigma


def _brightest(values: NDArray[np.float32], few: int) -> float:
    """Not the very brightest: one hot pixel must not set the scale."""
    if values.size <= few:
        return float(values.max())
    if values.size > few * _A_LINE:
        # As many lines as are wanted have a value at least so bright: darker ones do not count.
        lines = values[: values.size // _A_LINE * _A_LINE].reshape(-1, _A_LINE).max(axis=1)
        values = values[values >= np.partition(lines, -few)[-few]]
    return float(np.partition(values, -few)[-few])


def _sky(values: NDArray[np.float32]) -> tuple[float, float]:
    """Level and spread of the sky: median and MAD of what is not source, clipped at 3 sigma."""
    level, sigma = 0.0, 0.0
    for _ in range(10):
        level = median(values)
        # Sources only add: the lower half alone tells the spread.
        lower = np.count_nonzero(values <= level)
        sigma = 1.4826 * (level - quantile(values, (lower - 1) / 2 / max(values.size - 1, 1)))
        kept = values[(values >= level - 3 * sigma) & (values <= level + 3 * sigma)]
        if kept.size == values.size or kept.size < 100:
            break
        values = kept
    return level, max(sigma, 1e-6 * max(abs(level), 1.0))


def _softening(sky: float) -> float:
    """The asinh curve's scale b for which ``asinh(sky / b) / asinh(1 / b)`` is `SKY_GREY`."""
    if sky >= SKY_GREY:
        return 1e3  # the curve is a straight line by then

    def miss(log_b: float) -> float:
        b = math.exp(log_b)
        return math.asinh(sky / b) / math.asinh(1 / b) - SKY_GREY

    low, high = math.log(1e-30), math.log(1e3)
    return math.exp(brentq(miss, low, high)) if miss(low) * miss(high) < 0 else 1e3


def _curve(softening: float) -> NDArray[np.float32]:
    """Grey of the brightnesses whose bits `tone_rows` looks up."""
    octave = np.exp2(np.arange(*EXPONENTS, dtype=np.float64))
    within = 1 + np.arange(PER_OCTAVE) / PER_OCTAVE
    brightness = (octave[:, None] * within).ravel()
    return np.asarray(np.arcsinh(brightness / softening) / math.asinh(1 / softening), np.float32)
