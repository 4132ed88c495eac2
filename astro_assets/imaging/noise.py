"""Read noise and gain of a camera, measured from pairs of frames.

What belongs here: noise figures with their errors. What does not: the masters (`masters`), the
noise of a sky background (`background`).

The difference of two frames of a pair has no fixed pattern; its spread is √2 times the noise.
Spreads are taken of what lies within 4σ, and corrected for the tails that this leaves out.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Rows

_TRUNCATION = 4.0
_SAMPLE = 2_000_000
"""Pixels per pair that are enough: the statistical error is then 0.05 %."""
_PATCH = 32
"""Side of the areas within which a flat's signal counts as constant."""
_ALIKE = 0.2
"""Pixels of a patch that differ by more from its median signal are left out."""


def read_noise_adu(frames: Sequence[Rows]) -> tuple[float, float]:
    """Read noise in ADU, and its error, from two or more bias frames.

    Each frame is paired with the next. The noise of rounding to whole numbers, 1/12 of a squared
    step, is not read noise and is taken off (Sheppard's correction). The error is the larger of
    the statistical one and the one that the pairs' scatter tells.

    Parameters
    ----------
    frames : bias frames (ny, nx), ADU, one size

    Raises
    ------
    NothingToDo : fewer than two frames
    """
    if len(frames) < 2:
        raise NothingToDo("the read noise needs two bias frames or more")
    variances, pixels = [], 0
    step = 0.0
    for first, second in itertools.pairwise(frames):
        a, b = _sample(first), _sample(second)
        step = step or _step(a)
        variances.append(_truncated_variance(a - b) / 2)
        pixels += a.size
    noise = math.sqrt(max(float(np.mean(variances)) - step**2 / 12, 0.0))
    # Neighbouring pairs share a frame: the independent differences are about half as many.
    independent = max(len(frames) // 2, 1)
    statistical = noise / math.sqrt(2 * pixels * independent / (len(frames) - 1))
    if len(variances) < 2:
        return noise, statistical
    scatter = float(np.std(np.sqrt(variances), ddof=1)) / math.sqrt(independent)
    return noise, max(statistical, scatter)


def gain_e_per_adu(
    flat_pairs: Sequence[tuple[Rows, Rows]],
    bias: Rows | float,
    read_noise_adu: float = 0.0,
) -> tuple[float, float]:
    """Gain in electrons per ADU, and its error, by photon transfer.

    Signal over variance of the difference, in small areas and apart for the four pixels of a
    2 × 2 cell, so that neither vignetting nor a colour matrix counts as noise (Janesick 2007,
    Photon Transfer). Differences of level within a pair are scaled away.

    Parameters
    ----------
    flat_pairs : two flats (ny, nx) each, ADU, of about one level, far from saturation
    bias : master bias (ny, nx) or a level, ADU
    read_noise_adu : taken off the variance, ADU

    Raises
    ------
    NothingToDo : there are no pairs
    ValueError : the flats hold no signal above the bias
    """
    if len(flat_pairs) == 0:
        raise NothingToDo("the gain needs two flat frames of one level")
    estimates = [_photon_transfer(a, b, bias, read_noise_adu) for a, b in flat_pairs]
    weights = np.array([1 / estimate.error**2 for estimate in estimates])
    values = np.array([estimate.gain for estimate in estimates])
    gain = float(np.average(values, weights=weights))
    error = float(1 / math.sqrt(weights.sum()))
    if len(values) > 1:
        error = max(error, float(np.std(values, ddof=1)) / math.sqrt(len(values)))
    return gain, error


@dataclass(frozen=True, slots=True)
class _Gain:
    gain: float
    error: float


def _photon_transfer(first: Rows, second: Rows, bias: Rows | float, read_noise_adu: float) -> _Gain:
    level = bias if isinstance(bias, int | float) else _sample(bias)
    a, b = _sample(first) - level, _sample(second) - level
    ratio = float(np.median(a) / np.median(b)) if np.median(b) > 0 else math.nan
    if not ratio > 0:
        raise ValueError("the flats hold no signal above the bias: the gain cannot be measured")
    signal, spread = (a + ratio * b) / 2, a - ratio * b
    signals, variances = [], []
    for patch_signal, patch_spread in zip(_patches(signal), _patches(spread), strict=True):
        usual = float(np.median(patch_signal))
        # Hot and dead pixels have a signal without its photon noise.
        alike = np.abs(patch_signal - usual) <= _ALIKE * usual
        if alike.any():
            signals.append(float(np.mean(patch_signal[alike])))
            variances.append(_truncated_variance(patch_spread[alike]))
    # a has the variance S/g + r², and ratio·b has ratio·S/g + ratio²·r².
    shot = np.sum(variances) - len(variances) * (1 + ratio**2) * read_noise_adu**2
    if not shot > 0:
        raise ValueError("the flats vary less than the read noise: the gain cannot be measured")
    gain = float((1 + ratio) * np.sum(signals) / shot)
    return _Gain(gain, gain * math.sqrt(2 / a.size))


def _sample(frame: Rows) -> NDArray[np.float64]:
    """Bands of rows from all over the frame, `_SAMPLE` pixels or somewhat more."""
    ny, nx = frame.shape[0], frame.shape[1]
    band = 2 * _PATCH
    n_bands = max(1, min(ny // band, -(-_SAMPLE // (band * nx))))
    if ny < band:
        return np.asarray(frame[0:ny], np.float64)
    starts = np.linspace(0, ny - band, n_bands).astype(int) // 2 * 2
    return np.concatenate([np.asarray(frame[y : y + band], np.float64) for y in starts])


def _patches(image: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Areas of `_PATCH` pixels of each of the four pixels of a 2 × 2 cell."""
    patches = []
    for plane in (image[y::2, x::2] for y in (0, 1) for x in (0, 1)):
        ny, nx = (max(1, side // _PATCH) for side in plane.shape)
        for rows in np.array_split(plane, ny, axis=0):
            patches += np.array_split(rows, nx, axis=1)
    return patches


def _truncated_variance(values: NDArray[np.float64]) -> float:
    """Variance of a Gaussian from the values within 4σ of the median."""
    offsets = values.ravel() - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(offsets))) or float(np.std(offsets))
    variance = spread**2
    for _ in range(5):
        inside = offsets[np.abs(offsets) <= _TRUNCATION * math.sqrt(variance)]
        new = float(np.var(inside, ddof=1)) / _KEPT_VARIANCE if inside.size > 1 else 0.0
        if math.isclose(new, variance, rel_tol=1e-6):
            break
        variance = new
    return variance


def _kept_variance(k: float) -> float:
    """Variance of a unit Gaussian that is cut off at ±k."""
    density = math.exp(-(k**2) / 2) / math.sqrt(2 * math.pi)
    return 1 - 2 * k * density / math.erf(k / math.sqrt(2))


_KEPT_VARIANCE = _kept_variance(_TRUNCATION)


def _step(values: NDArray[np.float64]) -> float:
    """The step of whole-numbered data; 0 for data with fractions."""
    if np.any(values != np.rint(values)):
        return 0.0
    return float(np.gcd.reduce((values - values.flat[0]).astype(np.int64), axis=None))
