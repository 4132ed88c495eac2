"""Sums of light around positions.

What belongs here: circles around stars, with what is missing in them. What does not: the sky around
(`local_sky`), what the sums mean (`stars`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.threads import over_rows

_FINE = 5
"""A pixel that a circle cuts counts by 5 × 5 points."""
_BIN_PX = 0.1
_NEAR_PX = 4.0
_HALF_FINE = 3
_LEAST_SHARE = 0.2
"""From this share of a star's light on, the rest is worth guessing."""


@dataclass(frozen=True, slots=True)
class Sums:
    """One value per star.

    flux : electrons inside the circle; where pixels are missing, as if they held their share
    variance : of ``flux``, electrons²: of the sky's noise and of the star's photons
    missing : share of the star's light in the circle that falls on hidden pixels or outside
    """

    flux: NDArray[np.float64]
    variance: NDArray[np.float64]
    missing: NDArray[np.float64]


def sum_within(
    light: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius_px: NDArray[np.float64] | float,
    *,
    level_e: NDArray[np.float64] | float,
    noise_e: NDArray[np.float64],
    gain: float,
    sigma_px: NDArray[np.float64] | float,
) -> Sums:
    """Light inside a circle around each position.

    Parameters
    ----------
    light : (ny, nx) float32, electrons above the sky
    hidden : (ny, nx) bool, pixels that do not count
    x, y : (n,) 0-based pixels
    level_e : what each pixel holds besides the star
    noise_e : (n,) standard deviation of one pixel without the star
    gain : electrons per unit of the image, for the photon noise
    sigma_px : of the Gaussian that tells how much of the star a missing pixel would have held
    """
    each = [np.broadcast_to(np.asarray(v, float), x.shape) for v in (radius_px, level_e, sigma_px)]
    sums = Sums(*(np.zeros(len(x)) for _ in range(3)))
    over_rows(
        lambda first, last: _sum_all(
            light, hidden, x, y, each[0], each[1], noise_e, gain, each[2], first, last,
            sums.flux, sums.variance, sums.missing,
        ),
        len(x),
    )  # fmt: skip
    return sums


def half_flux_radius(
    light: NDArray[np.float32],
    hidden: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    reach_px: float,
    level_e: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Radius (px) that holds half of ``flux_e``; ``reach_px`` where no radius up to it does."""
    radius = np.zeros(len(x))
    over_rows(
        lambda first, last: _half_flux_all(
            light, hidden, x, y, flux_e, reach_px, level_e, first, last, radius
        ),
        len(x),
    )
    return radius


@njit(cache=True, nogil=True)
def _sum_all(
    light: Any, hidden: Any, x: Any, y: Any, radius: Any, level: Any, noise: Any, gain: float,
    sigma: Any, first: int, last: int, flux: Any, variance: Any, missing: Any,
) -> None:  # fmt: skip
    ny, nx = light.shape
    for k in range(first, last):
        reach = int(radius[k]) + 2
        column, row = round(x[k]), round(y[k])
        total = photons = area = here = gone = 0.0
        for j in range(row - reach, row + reach + 1):
            for i in range(column - reach, column + reach + 1):
                share = _inside(i - x[k], j - y[k], radius[k])
                if share == 0:
                    continue
                d2 = (i - x[k]) ** 2 + (j - y[k]) ** 2
                model = share * np.exp(-0.5 * d2 / (sigma[k] * sigma[k]))
                if j < 0 or i < 0 or j >= ny or i >= nx or hidden[j, i]:
                    gone += model
                    continue
                here += model
                value = light[j, i] - level[k]
                total += share * value
                photons += share * value
                area += share
        lost = gone / (here + gone) if here + gone > 0 else 1.0
        whole = 1 / max(1 - lost, _LEAST_SHARE)
        flux[k] = total * whole
        variance[k] = (area * noise[k] * noise[k] + max(photons, 0.0) / gain) * whole * whole
        missing[k] = lost


@njit(cache=True, nogil=True, inline="always")
def _inside(dx: float, dy: float, radius: float) -> float:
    """Share of the pixel at (dx, dy) from the centre that lies within ``radius``."""
    distance = np.sqrt(dx * dx + dy * dy)
    if distance < radius - 0.7072:
        return 1.0
    if distance > radius + 0.7072:
        return 0.0
    inside = 0
    for j in range(_FINE):
        v = dy + (j + 0.5) / _FINE - 0.5
        for i in range(_FINE):
            u = dx + (i + 0.5) / _FINE - 0.5
            inside += u * u + v * v <= radius * radius
    return inside / (_FINE * _FINE)


@njit(cache=True, nogil=True)
def _half_flux_all(
    light: Any, hidden: Any, x: Any, y: Any, flux: Any, reach_px: float, level: Any,
    first: int, last: int, radius: Any,
) -> None:  # fmt: skip
    ny, nx = light.shape
    reach = int(reach_px) + 1
    bins = np.empty(int(reach_px / _BIN_PX) + 1)
    for k in range(first, last):
        bins[:] = 0
        column, row = round(x[k]), round(y[k])
        for j in range(max(row - reach, 0), min(row + reach + 1, ny)):
            for i in range(max(column - reach, 0), min(column + reach + 1, nx)):
                if hidden[j, i]:
                    continue
                value = light[j, i] - level[k]
                dx, dy = i - x[k], j - y[k]
                distance = np.sqrt(dx * dx + dy * dy)
                # Far out a pixel is narrow beside its radius.
                points = _HALF_FINE if distance < _NEAR_PX else 1
                for v in range(points):
                    dv = dy + (v + 0.5) / points - 0.5
                    for u in range(points):
                        du = dx + (u + 0.5) / points - 0.5
                        at = int(np.sqrt(du * du + dv * dv) / _BIN_PX)
                        if at < len(bins):
                            bins[at] += value / (points * points)
        radius[k] = _reaches(bins, 0.5 * flux[k], reach_px)


@njit(cache=True, nogil=True)
def _reaches(bins: Any, half: float, reach_px: float) -> float:
    """Where the sum of ``bins`` reaches ``half``."""
    total = 0.0
    for k in range(len(bins)):
        if total + bins[k] >= half:
            return float(_BIN_PX * (k + (half - total) / bins[k])) if bins[k] > 0 else _BIN_PX * k
        total += bins[k]
    return reach_px
