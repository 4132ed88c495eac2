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
from astro_assets.imaging.threads import threads

_TRUNCATION = 4.0
_SAMPLE = 2_000_000
"""Pixels per pair that are enough: the statistical error is then 0.05 %."""
_PATCH = 32
"""Side of the areas within which a flat's signal counts as constant."""
_ALIKE = 0.2
"""Pixels of a patch that differ by more from its median signal are left out."""

_ROUNDS, _SETTLED = 5, 1e-6
_MOST_COUNTS = 65535


def _kept_variance(k: float) -> float:
    """Variance of a unit Gaussian that is cut off at ±k."""
    density = math.exp(-(k**2) / 2) / math.sqrt(2 * math.pi)
    return 1 - 2 * k * density / math.erf(k / math.sqrt(2))


_KEPT_VARIANCE = _kept_variance(_TRUNCATION)


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
    for a, b in itertools.pairwise(map(_sample, frames)):
        step = step or _step(a)
        variances.append(_variance_of_difference(a, b) / 2)
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

    def measured(pair: tuple[Rows, Rows]) -> _Gain:
        return _photon_transfer(pair[0], pair[1], bias, read_noise_adu)

    with ThreadPoolExecutor(threads(), thread_name_prefix="noise") as pool:
        estimates = list(pool.map(measured, flat_pairs))
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
    level = bias if isinstance(bias, int | float) else _sample(bias).astype(np.float64)
    a, b = _sample(first) - np.float64(level), _sample(second) - np.float64(level)
    below = float(np.median(b))
    ratio = float(np.median(a)) / below if below > 0 else math.nan
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


def _variance_of_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    """`_truncated_variance` of a less b."""
    if a.dtype != np.uint16 or b.dtype != np.uint16:
        return float(_truncated_variance(np.asarray(a - b, np.float64).ravel()))
    tally = _differences(a.ravel(), b.ravel())
    seen = np.flatnonzero(tally)
    return _tallied_variance((seen - _MOST_COUNTS).astype(np.float64), tally[seen])


@njit(cache=True, nogil=True)
def _differences(a: Any, b: Any) -> Any:
    """How often each difference of two counts occurs, from -65535 on."""
    tally = np.zeros(2 * _MOST_COUNTS + 1, np.int64)
    for k in range(a.size):
        tally[np.int64(a[k]) - np.int64(b[k]) + _MOST_COUNTS] += 1
    return tally


def _tallied_variance(values: NDArray[np.float64], tally: NDArray[np.int64]) -> float:
    """`_truncated_variance` of ``values``, ascending, each ``tally`` times."""
    offsets = values - _tallied_median(values, tally)
    distance = np.abs(offsets)
    order = np.argsort(distance)
    spread = 1.4826 * _tallied_median(distance[order], tally[order])
    mean = float(np.average(offsets, weights=tally))
    variance = spread**2 or float(np.average((offsets - mean) ** 2, weights=tally))
    for _ in range(_ROUNDS):
        inside = np.where(distance <= _TRUNCATION * math.sqrt(variance), tally, 0)
        kept = int(inside.sum())
        mean = float(inside @ offsets) / max(kept, 1)
        new = float(inside @ (offsets - mean) ** 2) / (kept - 1) / _KEPT_VARIANCE if kept > 1 else 0
        if math.isclose(new, variance, rel_tol=_SETTLED):
            break
        variance = new
    return variance


def _tallied_median(values: NDArray[np.float64], tally: NDArray[np.int64]) -> float:
    """Median of ``values``, ascending, each ``tally`` times."""
    reached = np.cumsum(tally)
    low, high = np.searchsorted(reached, [(reached[-1] - 1) // 2, reached[-1] // 2], "right")
    return float(values[low] + values[high]) / 2


@njit(cache=True, nogil=True)
def _patches(a: Any, b: Any, ratio: float) -> Any:
    """Signal, and variance of a less ratio times b, of areas of `_PATCH` pixels (about) of each of
    the four pixels of a 2 × 2 cell: each (n,) float64.
    """
    rows, columns = a.shape[0] // 2 // _PATCH, a.shape[1] // 2 // _PATCH
    rows, columns = max(1, rows), max(1, columns)
    signals = np.empty(4 * rows * columns)
    variances = np.empty(4 * rows * columns)
    signal = np.empty(((a.shape[0] + 1) // rows + 2) * ((a.shape[1] + 1) // columns + 2))
    spread = np.empty_like(signal)
    used = 0
    for cell in range(4):
        y0, x0 = cell // 2, cell % 2
        ny, nx = (a.shape[0] - y0 + 1) // 2, (a.shape[1] - x0 + 1) // 2
        for patch in range(rows * columns):
            top, bottom = _part(ny, rows, patch // columns)
            left, right = _part(nx, columns, patch % columns)
            n = 0
            for y in range(y0 + 2 * top, y0 + 2 * bottom, 2):
                for x in range(x0 + 2 * left, x0 + 2 * right, 2):
                    signal[n] = (a[y, x] + ratio * b[y, x]) / 2
                    spread[n] = a[y, x] - ratio * b[y, x]
                    n += 1
            if n == 0:
                continue
            # Hot and dead pixels have a signal without its photon noise.
            usual = np.median(signal[:n])
            alike = 0
            total = 0.0
            for k in range(n):
                if abs(signal[k] - usual) <= _ALIKE * usual:
                    total += signal[k]
                    spread[alike] = spread[k]
                    alike += 1
            if alike:
                signals[used] = total / alike
                variances[used] = _truncated_variance(spread[:alike])
                used += 1
    return signals[:used], variances[:used]


@njit(cache=True, nogil=True)
def _part(count: int, parts: int, which: int) -> tuple[int, int]:
    """First and one past the last of one of nearly equal parts, the larger ones first."""
    size, more = count // parts, count % parts
    first = which * size + min(which, more)
    return first, first + size + (1 if which < more else 0)


@njit(cache=True, nogil=True)
def _truncated_variance(values: Any) -> float:
    """Variance of a Gaussian from the values (n,) within 4σ of the median."""
    offsets = values - np.median(values)
    spread = 1.4826 * np.median(np.abs(offsets))
    if spread == 0:
        spread = np.std(offsets)
    variance = spread**2
    for _ in range(_ROUNDS):
        limit = _TRUNCATION * math.sqrt(variance)
        kept, total, squares = 0, 0.0, 0.0
        for offset in offsets:
            if abs(offset) <= limit:
                kept += 1
                total += offset
                squares += offset * offset
        new = 0.0
        if kept > 1:
            new = max(squares - total * total / kept, 0.0) / (kept - 1) / _KEPT_VARIANCE
        if abs(new - variance) <= _SETTLED * max(new, variance):
            break
        variance = new
    return float(variance)


def _step(values: NDArray[np.float64]) -> float:
    """The step of whole-numbered data; 0 for data with fractions."""
    if np.any(values != np.rint(values)):
        return 0.0
    return float(np.gcd.reduce((values - values.flat[0]).astype(np.int64), axis=None))
