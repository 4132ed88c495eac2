"""Master bias, dark and flat from raw calibration frames.

What belongs here: which inputs are fit, how they are brought to one level, the combination. What
does not: which frames form a set (`steps`), the combination's clip (`combine`), the use of the
masters (`calibrate`).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo, Unusable
from astro_assets.imaging.combine import Correction, Rows, sigma_clipped_mean
from astro_assets.imaging.noise import read_noise_adu
from astro_assets.imaging.running_median import middle

_SATURATED_FRACTION = 0.01
"""A flat with more of its pixels saturated is refused; hot pixels and stars are far fewer."""
_FLAT_LEVELS = (1 / 3, 3.0)
"""A flat outside of these, relative to the median of the set, is refused."""
_LEVEL_SIGMA = 5.0
"""Biases and darks whose level is off by more than this, in noise of one pixel, are refused."""
_BANDS = 32
"""Pairs of rows from which the level of a frame is taken."""


@dataclass(frozen=True, slots=True)
class Master:
    """A combined calibration.

    image : (ny, nx) float32; ADU for bias and dark, relative with median 1 for a flat; NaN where
        no input had a value
    count : (ny, nx) uint16, inputs that went into each pixel
    read_noise_adu, read_noise_error : of one bias frame, ADU; None for darks and flats and for a
        single bias
    n_inputs : frames that were combined
    rejected_inputs : index and reason of each frame that was refused
    """

    image: NDArray[np.float32]
    count: NDArray[np.uint16]
    read_noise_adu: float | None
    read_noise_error: float | None
    n_inputs: int
    rejected_inputs: list[tuple[int, str]]


def master_bias(frames: Sequence[Rows]) -> Master:
    """Combine bias frames, ADU.

    Parameters
    ----------
    frames : (ny, nx) each; those of another size or level than the others are refused

    Raises
    ------
    NothingToDo : there are no frames
    """
    fit, rejected = _fit_levels(frames)
    combined = sigma_clipped_mean([frames[i] for i in fit])
    noise, error = read_noise_adu([frames[i] for i in fit]) if len(fit) > 1 else (None, None)
    return Master(combined.image, combined.count, noise, error, len(fit), rejected)


def master_dark(frames: Sequence[Rows], exposure_s: float, bias: Rows | None = None) -> Master:
    """Combine dark frames of one exposure, ADU in ``exposure_s``.

    Parameters
    ----------
    frames : (ny, nx) each; those of another size or level than the others are refused
    exposure_s : of each frame; must be above zero
    bias : master bias (ny, nx), ADU; taken off the result, which can then be scaled in time

    Raises
    ------
    NothingToDo : there are no frames
    Unusable : the bias has another size
    ValueError : the exposure is not above zero
    """
    if not exposure_s > 0:
        raise ValueError(f"a dark has an exposure above 0 s, found {exposure_s} s")
    fit, rejected = _fit_levels(frames)
    chosen = [frames[i] for i in fit]
    _same_size("bias", bias, chosen[0])
    combined = sigma_clipped_mean(chosen)
    image = combined.image if bias is None else combined.image - _float32(bias)
    return Master(image, combined.count, None, None, len(fit), rejected)


def master_flat(
    frames: Sequence[Rows],
    *,
    bias: Rows | None = None,
    dark: Rows | None = None,
    dark_exposure_s: float | None = None,
    exposures_s: Sequence[float] | None = None,
    bayer: bool = False,
    saturation_adu: float | None = None,
) -> Master:
    """Combine flats: each corrected, then scaled to one level, then combined and normalised.

    A frame counts by its level: its relative photon noise is as small as the level is high. For a
    Bayer sensor the four pixels of a cell have levels of their own, from frame to frame (twilight
    changes its colour) and in the result, so that the flat leaves colours as they are.

    Parameters
    ----------
    frames : (ny, nx) each, ADU; those that are saturated, of another size or far from the level
        of the others are refused
    bias : master bias (ny, nx), ADU
    dark : master dark (ny, nx), ADU. Taken off as it is (a dark-flat, with its bias if no bias is
        given), or scaled if both exposures are given; it must then be bias-free
    dark_exposure_s : of the dark
    exposures_s : of each flat
    bayer : whether the sensor has a colour matrix of 2 × 2 pixels
    saturation_adu : raw value from which a pixel is saturated

    Raises
    ------
    NothingToDo : there are no frames
    Unusable : no frame is fit, or bias or dark have another size
    """
    sized, rejected = _one_size(frames)
    _same_size("bias", bias, frames[sized[0]])
    _same_size("dark", dark, frames[sized[0]])
    factors = _dark_factors(len(frames), dark_exposure_s, exposures_s)
    corrected = {i: _Corrected(frames[i], bias, dark, factors[i]) for i in sized}
    levels = {i: _levels(corrected[i], bayer) for i in sized}
    refusals = {i: _flat_refusal(frames[i], levels[i], saturation_adu) for i in sized}
    typical = _typical(float(levels[i].mean()) for i in sized if not refusals[i])
    for i in sized:
        refusals[i] = refusals[i] or _far_off(float(levels[i].mean()), typical)
    rejected += [(i, reason) for i, reason in refusals.items() if reason]
    fit = [i for i in sized if not refusals[i]]
    if not fit:
        index, reason = rejected[0]
        raise Unusable(f"none of the {len(frames)} flats can be used; frame {index + 1}: {reason}")
    combined = sigma_clipped_mean(
        [frames[i] for i in fit],
        weights=[float(levels[i].mean() / typical) for i in fit],
        correction=Correction(
            bias,
            dark,
            dark_factors=np.array([factors[i] for i in fit], np.float32),
            scales=np.array([1 / levels[i] for i in fit], np.float32),
        ),
    )
    return Master(
        _normalised(combined.image, bayer), combined.count, None, None, len(fit), sorted(rejected)
    )


@dataclass(frozen=True, slots=True)
class _Corrected:
    """A flat's rows less bias and dark."""

    raw: Rows
    bias: Rows | None
    dark: Rows | None
    dark_factor: float

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        image = np.array(self.raw[rows], dtype=np.float32)
        if self.bias is not None:
            image -= _float32(self.bias[rows])
        if self.dark is not None:
            image -= _float32(self.dark[rows]) * np.float32(self.dark_factor)
        return image


def _float32(rows: Any) -> NDArray[np.float32]:
    return np.asarray(rows[:], dtype=np.float32)


def _dark_factors(
    n: int, dark_exposure_s: float | None, exposures_s: Sequence[float] | None
) -> list[float]:
    if dark_exposure_s is None or exposures_s is None:
        return [1.0] * n
    if len(exposures_s) != n or not dark_exposure_s > 0:
        raise ValueError("to scale the dark, give its exposure and that of every flat")
    return [exposure_s / dark_exposure_s for exposure_s in exposures_s]


def _same_size(name: str, master: Rows | None, frame: Rows) -> None:
    if master is not None and tuple(master.shape) != tuple(frame.shape):
        raise Unusable(
            f"the master {name} is {_size(master)} pixels and the frames are {_size(frame)}: use "
            f"a {name} of the same camera and binning"
        )


def _size(frame: Rows) -> str:
    return " × ".join(str(side) for side in reversed(frame.shape))


def _one_size(frames: Sequence[Rows]) -> tuple[list[int], list[tuple[int, str]]]:
    """Indices of the frames of the commonest size, and the others with the reason."""
    if len(frames) == 0:
        raise NothingToDo("there are no frames to combine")
    shapes = [tuple(frame.shape) for frame in frames]
    usual = Counter(shapes).most_common(1)[0][0]
    fit = [i for i, shape in enumerate(shapes) if shape == usual]
    expected = _size(frames[fit[0]])
    return fit, [
        (i, f"it has {_size(frames[i])} pixels, the others have {expected}")
        for i, shape in enumerate(shapes)
        if shape != usual
    ]


def _fit_levels(frames: Sequence[Rows]) -> tuple[list[int], list[tuple[int, str]]]:
    """Indices of the biases or darks that belong together, and the others with the reason."""
    fit, rejected = _one_size(frames)
    samples = {i: _sample(frames[i]) for i in fit}
    levels = {i: _median(sample) for i, sample in samples.items()}
    noises = [1.4826 * _median(np.abs(samples[i] - levels[i])) for i in fit]
    typical = _typical(levels.values())
    limit = _LEVEL_SIGMA * max(_typical(noises), 1.0)
    off = [i for i in fit if not abs(levels[i] - typical) <= limit]
    if len(off) == len(fit):
        raise Unusable(f"none of the {len(frames)} frames holds numbers: look at the files")
    rejected += [(i, _other_level(levels[i], typical)) for i in off]
    return [i for i in fit if i not in off], sorted(rejected)


def _other_level(level: float, typical: float) -> str:
    return f"its level is {level:.0f} ADU, that of the others is {typical:.0f} ADU"


def _median(values: NDArray[np.float32]) -> float:
    """Median of what is finite; NaN for nothing."""
    finite = values[np.isfinite(values)]
    return float(middle(finite)) if finite.size else math.nan


def _typical(levels: Iterable[float]) -> float:
    """The median; the lower one of two, so that it is the level of some frame."""
    finite = [level for level in levels if math.isfinite(level)]
    return median_low(finite) if finite else math.nan


def _sample(frame: Rows) -> NDArray[np.float32]:
    """Pairs of rows from all over the frame."""
    ny = frame.shape[0]
    starts = np.unique(np.linspace(0, max(ny - 2, 0), min(_BANDS, max(ny // 2, 1))).astype(int))
    return np.concatenate([np.asarray(frame[y : y + 2], np.float32) for y in starts // 2 * 2])


def _levels(frame: Rows, bayer: bool) -> NDArray[np.float64]:
    """Median level of each pixel of a 2 × 2 cell; one level for all unless ``bayer``."""
    sample = _sample(frame)
    if not bayer:
        return np.full((2, 2), _median(sample))
    return np.array([[_median(sample[y::2, x::2]) for x in (0, 1)] for y in (0, 1)])


def _flat_refusal(raw: Rows, levels: NDArray[np.float64], saturation_adu: float | None) -> str:
    if saturation_adu is not None:
        fraction = float(np.mean(_sample(raw) >= saturation_adu))
        if fraction > _SATURATED_FRACTION:
            return f"{100 * fraction:.0f} % of its pixels are saturated"
    if not levels.min() > 0:
        return f"its level above bias and dark is {levels.min():.0f} ADU: it saw no light"
    return ""


def _far_off(level: float, typical: float) -> str:
    low, high = _FLAT_LEVELS
    if low * typical <= level <= high * typical:
        return ""
    return _other_level(level, typical)


def _normalised(image: NDArray[np.float32], bayer: bool) -> NDArray[np.float32]:
    """Divided by its median, or each pixel of a 2 × 2 cell by the median of its kind."""
    out = image.copy()
    planes = [out[y::2, x::2] for y in (0, 1) for x in (0, 1)] if bayer else [out]
    for plane in planes:
        np.divide(plane, np.float32(_median(plane)), out=plane)
    return out
