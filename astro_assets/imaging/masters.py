"""Master bias, dark and flat from raw calibration frames.

What belongs here: how inputs are brought to one level, the combination. What does not: which of
them are fit (`fit_inputs`), which form a set (`steps`), the combination's clip (`combine`), the use
of the masters (`calibrate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.imaging.bayer import colour_planes
from astro_assets.imaging.combine import Correction, Rows, sigma_clipped_mean
from astro_assets.imaging.fit_inputs import (
    far_off,
    fit_levels,
    flat_judged,
    of_each,
    one_size,
    same_size,
    sampled,
    typical,
)
from astro_assets.imaging.noise import read_noise_adu
from astro_assets.imaging.running_median import middle_of
from astro_assets.imaging.threads import over_rows


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
    fit, rejected = fit_levels(frames)
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
    fit, rejected = fit_levels(frames)
    chosen = [frames[i] for i in fit]
    same_size("bias", bias, chosen[0])
    combined = sigma_clipped_mean(chosen, less=bias)
    return Master(combined.image, combined.count, None, None, len(fit), rejected)


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
    sized, rejected = one_size(frames)
    same_size("bias", bias, frames[sized[0]])
    same_size("dark", dark, frames[sized[0]])
    factors = _dark_factors(len(frames), dark_exposure_s, exposures_s)
    bias_there, dark_there = (None if m is None else sampled(m) for m in (bias, dark))

    def judged(i: int) -> tuple[NDArray[np.float64], str]:
        off = None if dark_there is None else dark_there * np.float32(factors[i])
        return flat_judged(frames[i], bias_there, off, bayer, saturation_adu)

    found = of_each(sized, judged)
    levels = {i: level for i, (level, _) in found.items()}
    refusals = {i: refusal for i, (_, refusal) in found.items()}
    usual = typical(float(levels[i].mean()) for i in sized if not refusals[i])
    for i in sized:
        refusals[i] = refusals[i] or far_off(float(levels[i].mean()), usual)
    rejected += [(i, reason) for i, reason in refusals.items() if reason]
    fit = [i for i in sized if not refusals[i]]
    if not fit:
        index, reason = rejected[0]
        raise Unusable(f"none of the {len(frames)} flats can be used; frame {index + 1}: {reason}")
    combined = sigma_clipped_mean(
        [frames[i] for i in fit],
        weights=[float(levels[i].mean() / usual) for i in fit],
        correction=Correction(
            bias,
            dark,
            dark_factors=np.array([factors[i] for i in fit], np.float32),
            scales=np.array([1 / levels[i] for i in fit], np.float32),
        ),
    )
    _normalise(combined.image, bayer)
    return Master(combined.image, combined.count, None, None, len(fit), sorted(rejected))


def _dark_factors(
    n: int, dark_exposure_s: float | None, exposures_s: Sequence[float] | None
) -> list[float]:
    if dark_exposure_s is None or exposures_s is None:
        return [1.0] * n
    if len(exposures_s) != n or not dark_exposure_s > 0:
        raise ValueError("to scale the dark, give its exposure and that of every flat")
    return [exposure_s / dark_exposure_s for exposure_s in exposures_s]


def _normalise(image: NDArray[np.float32], bayer: bool) -> None:
    """Divide by its median, or each pixel of a 2 × 2 cell by the median of its kind."""
    for plane in colour_planes(image) if bayer else (image,):
        level = np.float32(middle_of(np.ascontiguousarray(plane)))
        over_rows(partial(_divide, plane, level), len(plane))


def _divide(plane: NDArray[np.float32], by: np.float32, first: int, last: int) -> None:
    plane[first:last] /= by
