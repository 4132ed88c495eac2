"""Read noise and gain of a camera, measured from pairs of frames.

What belongs here: noise figures with their errors. What does not: the masters (`masters`), the
noise of a sky background (`background`).

The difference of two frames of a pair has no fixed pattern; its spread is √2 times the noise.
Spreads are taken of what lies within 4σ, and corrected for the tails that this leaves out.
"""

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.differences import truncated_variance, variance_of_difference
from astro_assets.imaging.order import median
from astro_assets.imaging.threads import threads

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
    edges = np.linspace(0, len(frames) - 1, min(threads(), len(frames) - 1) + 1).astype(int)
    runs = [frames[first : last + 1] for first, last in itertools.pairwise(edges)]
    with ThreadPoolExecutor(threads(), thread_name_prefix="noise") as pool:
        variances = [v for run in pool.map(_variances, runs) for v in run]
    first = _sample(frames[0])
    pixels, step = first.size * len(variances), _step(first)
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

    sampled = None if isinstance(bias, int | float) else _real(_sample(bias))

    def measured(pair: tuple[Rows, Rows]) -> _Gain:
        first, second = (_sample(frame) for frame in pair)
        level = np.full(first.shape, bias, np.float32) if sampled is None else sampled
        return _photon_transfer(_less(first, level), _less(second, level), read_noise_adu)

    with ThreadPoolExecutor(threads(), thread_name_prefix="noise") as pool:
        estimates = list(pool.map(measured, flat_pairs))
    weights = np.array([1 / estimate.error**2 for estimate in estimates])
    values = np.array([estimate.gain for estimate in estimates])
    gain = float(np.average(values, weights=weights))
    error = float(1 / math.sqrt(weights.sum()))
    if len(values) > 1:
        error = max(error, float(np.std(values, ddof=1)) / math.sqrt(len(values)))
    return gain, error


def _variances(frames: Sequence[Rows]) -> list[float]:
    """Of each frame's noise, from it and the next."""
    samples = map(_sample, frames)
    return [variance_of_difference(a, b) / 2 for a, b in itertools.pairwise(samples)]


@dataclass(frozen=True, slots=True)
class _Gain:
    gain: float
    error: float


def _photon_transfer(
    a: NDArray[np.float32], b: NDArray[np.float32], read_noise_adu: float
) -> _Gain:
    below = median(b.ravel())
    ratio = median(a.ravel()) / below if below > 0 else math.nan
    if not ratio > 0:
        raise ValueError("the flats hold no signal above the bias: the gain cannot be measured")
    signals, variances = _patches(a, b, ratio)
    # a has the variance S/g + r², and ratio·b has ratio·S/g + ratio²·r².
    shot = variances.sum() - len(variances) * (1 + ratio**2) * read_noise_adu**2
    if not shot > 0:
        raise ValueError("the flats vary less than the read noise: the gain cannot be measured")
    gain = float((1 + ratio) * signals.sum() / shot)
    return _Gain(gain, gain * math.sqrt(2 / a.size))


def _sample(frame: Rows) -> NDArray[Any]:
    """Bands of rows from all over the frame, `_SAMPLE` pixels or somewhat more.

    Counts of 16 bits stay what they are; all else becomes float64.
    """
    ny, nx = frame.shape[0], frame.shape[1]
    band = 2 * _PATCH
    n_bands = max(1, min(ny // band, -(-_SAMPLE // (band * nx))))
    starts = np.linspace(0, max(ny - band, 0), n_bands).astype(int) // 2 * 2
    sample = np.concatenate([np.asarray(frame[y : y + band]) for y in starts])
    return sample if sample.dtype == np.uint16 else sample.astype(np.float64)


def _real(sample: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(sample, np.float32)


def _less(sample: NDArray[Any], level: NDArray[np.float32]) -> NDArray[np.float32]:
    """A sample of a flat less that of its bias; 0, which is no signal, where one has no number."""
    off = _real(np.subtract(sample, level, dtype=np.float32))
    finite = np.isfinite(off)
    return off if finite.all() else np.where(finite, off, np.float32(0))


@njit(cache=True, nogil=True)
def _patches(a: Any, b: Any, ratio: float) -> Any:
    """Signal, and variance of a less ratio times b, of areas of `_PATCH` pixels (about) of each of
    the four pixels of a 2 × 2 cell: each (n,) float64.
    """
    rows, columns = a.shape[0] // 2 // _PATCH, a.shape[1] // 2 // _PATCH
    rows, columns = max(1, rows), max(1, columns)
    signals = np.empty(4 * rows * columns)
    variances = np.empty(4 * rows * columns)
    size = ((a.shape[0] + 1) // rows + 2) * ((a.shape[1] + 1) // columns + 2)
    signal, spread = np.empty(size, np.float32), np.empty(size, np.float32)
    used = 0
    for cell in range(4):
        y0, x0 = cell // 2, cell % 2
        ny, nx = (a.shape[0] - y0 + 1) // 2, (a.shape[1] - x0 + 1) // 2
        for patch in range(rows * columns):
            top, bottom = _part(ny, rows, patch // columns)
            left, right = _part(nx, columns, patch % columns)
            n = 0
            for y in range(y0 + 2 * top, y0 + 2 * bottom, 2):
                n = _pairs(a[y], b[y], ratio, x0 + 2 * left, right - left, signal, spread, n)
            if n == 0:
                continue
            # Hot and dead pixels have a signal without its photon noise.
            usual = np.float32(median(signal[:n]))
            alike = 0
            total = 0.0
            limit = np.float32(_ALIKE) * usual
            for k in range(n):
                spread[alike] = spread[k]
                if abs(signal[k] - usual) <= limit:
                    total += signal[k]
                    alike += 1
            if alike:
                signals[used] = total / alike
                variances[used] = truncated_variance(spread[:alike])
                used += 1
    return signals[:used], variances[:used]


@njit(cache=True, nogil=True)
def _pairs(
    a: Any, b: Any, ratio: float, first: int, count: int, signal: Any, spread: Any, n: int
) -> int:
    """Every second pixel of a row, from ``first`` on, after the n that are there."""
    factor, half = np.float32(ratio), np.float32(0.5)
    for k in range(count):
        one, other = a[first + 2 * k], factor * b[first + 2 * k]
        signal[n + k] = half * (one + other)
        spread[n + k] = one - other
    return n + count


@njit(cache=True, nogil=True)
def _part(count: int, parts: int, which: int) -> tuple[int, int]:
    """First and one past the last of one of nearly equal parts, the larger ones first."""
    size, more = count // parts, count % parts
    first = which * size + min(which, more)
    return first, first + size + (1 if which < more else 0)


def _step(values: NDArray[np.float64]) -> float:
    """The step of whole-numbered data; 0 for data with fractions."""
    if np.any(values != np.rint(values)):
        return 0.0
    return float(np.gcd.reduce((values - values.flat[0]).astype(np.int64), axis=None))
