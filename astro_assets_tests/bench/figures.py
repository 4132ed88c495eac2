"""How right a result is, as a number: from arrays, the same way for ours, peers' and the truth.

What belongs here: measuring, with sep where stars are to be found, not with our own code. What
does not: what is good enough (`judge`).
"""

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astro_assets.sim.detector import Detector
from astro_assets.sim.exposure import Exposure

_Image = NDArray[np.floating]
_CLEAR_SNR = 25.0
"""stars that nobody should miss"""
_NEAR_PX = 1.5
_BOX_PX = 40
_LEAST_STARS = 20


@dataclass(frozen=True, slots=True)
class Field:
    """Stars of a frame. positions : (n, 2) x and y, 0-based"""

    positions: NDArray[np.float64]
    fwhm_px: float


@dataclass(frozen=True, slots=True)
class Depth:
    """How deep and sharp a stack is: medians over its bright stars."""

    signal_to_noise: float
    fwhm_px: float


def spread(values: NDArray[np.floating]) -> tuple[float, float]:
    """Median and robust standard deviation."""
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def good_pixels(detector: Detector) -> NDArray[np.bool_]:
    """Pixels that have no fault, nor a neighbour column that has."""
    bad = detector.hot | detector.dead | (detector.flaws.charge_e != 0)
    bad |= detector.flaws.telegraph_e != 0
    bad[:, list(detector.columns)] = True
    return ~bad


def ratio(image: _Image, truth: _Image, usable: NDArray[np.bool_]) -> float:
    """How much of the truth's light an image has: the median over boxes of many pixels.

    Of single pixels it would not do: where the truth has a floor, as a sky has, noise moves the
    median.
    """
    ny, nx = (size // _BOX_PX * _BOX_PX for size in truth.shape)
    shape = (ny // _BOX_PX, _BOX_PX, nx // _BOX_PX, _BOX_PX)

    def boxes(plane: _Image) -> _Image:
        filled = np.where(usable, plane, 0.0)[:ny, :nx]
        return np.asarray(filled.reshape(shape).sum(axis=(1, 3)))

    return float(np.median(boxes(image) / boxes(truth)))


def off_in_proportion(image: _Image, truth: _Image, usable: NDArray[np.bool_]) -> float:
    """Robust standard deviation of image / truth, scaled to 1."""
    quotient = image[usable] / truth[usable]
    middle, scatter = spread(quotient)
    return scatter / middle


def found(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, int]:
    """Share of the hit pixels that were found, and how many were found that are not near a hit."""
    near = truth.copy()
    for axis in (0, 1):
        near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
    return float(mask[truth].mean()), int((mask & ~near).sum())


def true_field(taken: Exposure, read_noise_e: float) -> Field:
    """The clear stars of a light: away from the border and from one another."""
    fwhm_px = taken.conditions.psf.fwhm_px
    noise_e = np.sqrt(4 * np.pi * (fwhm_px / 2.355) ** 2 * (taken.sky_e + read_noise_e**2))
    bright = taken.stars[taken.stars["flux_e"] >= _CLEAR_SNR * noise_e]
    positions = bright[["x", "y"]].to_numpy(np.float64)
    ny, nx = taken.image_e.shape
    inside = ((positions > 20) & (positions < (nx - 20, ny - 20))).all(axis=1)
    apart = cKDTree(taken.stars[["x", "y"]].to_numpy()).query(positions, k=2)[0][:, 1]
    return Field(positions[inside & (apart > 5 * fwhm_px)], fwhm_px)


def share_found(seen: Field, truth: Field) -> float:
    """Share of the true stars that have one near their place."""
    distance, _ = cKDTree(seen.positions).query(truth.positions)
    return float((distance <= _NEAR_PX).mean())


def depth(image: _Image, positions: NDArray[np.float64]) -> Depth:
    """Of the stars at these places, the same ones in each stack, and of the sky between.

    Raises
    ------
    ValueError : so few of them are there that the places are not this image's
    """
    plane = np.ascontiguousarray(np.nan_to_num(image, nan=float(np.nanmedian(image))), np.float32)
    sky = sep.Background(plane)
    clean = plane - sky.back()
    stars = sep.extract(clean, 5.0, err=sky.globalrms, minarea=5)
    distance, number = cKDTree(np.transpose([stars["x"], stars["y"]])).query(positions)
    if (distance < 2 * _NEAR_PX).sum() < max(_LEAST_STARS, 0.8 * len(positions)):
        raise ValueError("the stars are not where they are looked for")
    seen = stars[number[distance < 2 * _NEAR_PX]]
    radius, _ = sep.flux_radius(clean, seen["x"], seen["y"], np.full(len(seen), 12.0), 0.5)
    flux, _, _ = sep.sum_circle(clean, seen["x"], seen["y"], 5.0)
    covered = np.isfinite(image) & (image != 0)
    noise = _noise(clean, covered)
    return Depth(float(np.median(flux)) / noise, 2 * float(np.median(radius)))


def _noise(image: _Image, covered: NDArray[np.bool_]) -> float:
    """In the mean over 8 × 8 pixels, so that resampling that smooths gains nothing.

    By second differences: a nebula's light, which some tools take off, is no noise. Where there is
    no frame there is none either, and it counts for nothing.
    """
    ny, nx = (size // 8 * 8 for size in image.shape)
    shape = (ny // 8, 8, nx // 8, 8)
    blocks = image[:ny, :nx].reshape(shape).mean(axis=(1, 3))
    blocks = np.where(covered[:ny, :nx].reshape(shape).all(axis=(1, 3)), blocks, np.nan)
    differences = np.diff(blocks, n=2, axis=1) / np.sqrt(6)
    return spread(differences[np.isfinite(differences)])[1]
