"""What a stack would show if nothing but unavoidable noise were in its frames.

What belongs here: the simulator's truth brought onto a stack's grid, by the true projections and
plain interpolation. Nothing of the reduction is used, so that its faults cannot cancel.
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, median_filter

from astro_assets.sim.cameras import Camera
from astro_assets.sim.detector import bayer_cells
from astro_assets_tests.figures.lane import Reduced

_BLANK = 0.3
"""Sky is where nothing adds more than this share of it."""
_WINDOW_PX = 4.0

Cell = tuple[int, int, int]
"""first row, first column, step: the pixels of one colour"""


@dataclass(frozen=True, slots=True)
class Expected:
    """The truth on the grid, (ny, nx) each.

    signal_e : light above the sky, electrons of the reference frame
    variance : electrons², of the mean with the best weights, as if pixels were independent
    blank : sky that every good frame saw
    rays, trail : where a cosmic ray or the satellite hit one of the good frames
    """

    signal_e: NDArray[np.float64]
    variance: NDArray[np.float64]
    blank: NDArray[np.bool_]
    rays: NDArray[np.bool_]
    trail: NDArray[np.bool_]


def expected(
    run: Reduced, channel: str, wcs: WCS, shape: tuple[int, int], reference: int
) -> Expected:
    """The truth about one channel (R, G, B) of a stack on the scale of light ``reference``."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ra_deg, dec_deg = wcs.pixel_to_world_values(columns, rows)
    clear = run.light(reference).conditions.transparency
    signals, variances, rays, trails = [], [], [], []
    for number in run.good:
        light = run.light(number)
        x, y = light.conditions.pointing.pixels(ra_deg.ravel(), dec_deg.ravel())
        at = np.stack([y.reshape(shape), x.reshape(shape)])
        scale = clear / light.conditions.transparency
        above_sky_e = light.image_e - light.sky_rgb_e["RGB".index(channel)]
        cells = cells_of(run.truth.camera, channel)
        signals.append(scale * _sampled(above_sky_e, cells, at))
        # A colour that has only some of the pixels knows accordingly less about each.
        share = len(cells) / cells[0][2] ** 2
        variances.append(scale**2 / share * _sampled(_variance(run, number), cells, at, smooth=5))
        rays.append(_hit(light.cosmic_rays, at))
        trails.append(_hit(light.satellite, at))
    best = np.array([1 / np.nanmedian(variance) for variance in variances])
    sky_e = run.light(reference).sky_rgb_e["RGB".index(channel)]
    seen = np.isfinite(signals).all(axis=0)
    brightest = np.where(seen, np.max(np.nan_to_num(signals), axis=0), np.inf)
    return Expected(
        signal_e=np.tensordot(best / best.sum(), signals, 1),
        variance=1 / np.sum([1 / variance for variance in variances], axis=0),
        blank=brightest < _BLANK * sky_e,
        rays=np.any(rays, axis=0),
        trail=np.any(trails, axis=0),
    )


def cells_of(camera: Camera, channel: str) -> list[Cell]:
    """Which pixels of a frame see ``channel``."""
    if camera.bayer is None:
        return [(0, 0, 1)]
    return [(row, column, 2) for c, (row, column) in bayer_cells(camera.bayer) if c == channel]


def over_ideal(residual: NDArray[np.float64], truth: Expected, usable: NDArray[np.bool_]) -> float:
    """The noise of ``residual`` (stack less truth) over the ideal of the stack's inputs.

    Resampling and debayering share a pixel's noise with its neighbours, so that the scatter of
    single pixels looks better than it is. A sum over a window is not fooled: what one pixel gave
    to the next stays in the sum. The window is a Gaussian of 4 px, whose rim is soft; noise that
    is spread by a Bayer pattern's bilinear kernel (0.8 px RMS) makes it look 2 % better at most.
    """
    sky = usable & truth.blank
    covered = _blurred(sky, _WINDOW_PX)
    total = _blurred(np.where(sky, residual, 0), _WINDOW_PX)
    # The square of a Gaussian is one that is narrower by √2.
    variance = _blurred(np.where(sky, truth.variance, 0), _WINDOW_PX / np.sqrt(2))
    variance /= 4 * np.pi * _WINDOW_PX**2
    inside = sky & (covered > 0.8)
    return float(np.std(total[inside] / np.sqrt(variance[inside])))


def _blurred(image: NDArray[np.generic], sigma_px: float) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(image.astype(float), sigma_px, mode="constant")
    return blurred


def _variance(run: Reduced, number: int) -> NDArray[np.float64]:
    """Of each pixel of a calibrated frame whose masters are perfect: photons, dark, read noise."""
    camera, detector = run.truth.camera, run.truth.detector
    raw = run.light(number).image_e * detector.flat + detector.dark_e_per_s * camera.exposure_s
    return np.asarray((raw + camera.read_noise_e**2) / np.maximum(detector.flat, 0.2) ** 2, float)


def _sampled(
    image: NDArray[np.floating], cells: list[Cell], at: NDArray[np.float64], *, smooth: int = 1
) -> NDArray[np.float64]:
    """``image`` interpolated at pixels ``at`` (rows, columns) from one colour's pixels.

    smooth : size of a median that takes single bad pixels away
    """
    planes = []
    for row, column, step in cells:
        plane = median_filter(image[row::step, column::step], smooth)
        here = np.stack([(at[0] - row) / step, (at[1] - column) / step])
        planes.append(map_coordinates(plane, here, output=float, order=1, cval=np.nan))
    return np.asarray(np.mean(planes, axis=0))


def _hit(pixels: NDArray[np.bool_], at: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(map_coordinates(pixels.astype(np.uint8), at, order=0) > 0)
