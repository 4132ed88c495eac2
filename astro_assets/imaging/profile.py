"""The profile that all stars of a frame share.

What belongs here: what the frame's bright stars together say about FWHM and about the light outside
of an aperture. What does not: measuring single stars (`moments`, `stars`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from astro_assets.imaging.moments import Moments

GAUSSIAN_FWHM = 2.3548
"""FWHM of a Gaussian in sigmas."""

_GAUSSIAN_BETA = 30.0
_REACH_SIGMA = 5.0
_MIN_STARS = 3
_OWN_SCATTER = 0.01
"""What neighbours and the pixel grid do to a star's growth, however bright it is."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A Moffat profile (Moffat 1969, A&A 3, 455).

    fwhm_per_sigma : FWHM in units of the stars' adaptive sigmas
    beta : exponent; above 10 it is nearly a Gaussian
    """

    fwhm_per_sigma: float
    beta: float

    def share_within(self, radius_fwhm: float) -> float:
        """Share of a star's light inside a radius in units of the FWHM."""
        fwhm_in_alpha = 2 * np.sqrt(2 ** (1 / self.beta) - 1)
        return float(1 - (1 + (radius_fwhm * fwhm_in_alpha) ** 2) ** (1 - self.beta))


def common_profile(
    signal: NDArray[np.float32], shapes: Moments, model: NDArray[np.intp]
) -> Profile:
    """Fit one profile to the stars ``model`` (indices into ``shapes``).

    Each star is scaled by its own size and height. With fewer than three such stars the profile is
    taken as Gaussian.

    Parameters
    ----------
    signal : (ny, nx) float32, electrons above the sky
    """
    if len(model) < _MIN_STARS:
        return Profile(GAUSSIAN_FWHM, _GAUSSIAN_BETA)
    samples = [_radii_and_values(signal, shapes, int(star)) for star in model]
    radius = np.concatenate([r for r, _ in samples])
    value = np.concatenate([v for _, v in samples])

    def off(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        height, alpha, beta = parameters
        return np.asarray(height * (1 + (radius / alpha) ** 2) ** -beta - value)

    fit = least_squares(
        off, [1.0, 2.0, 3.5], bounds=([0.5, 0.5, 1.2], [2.0, 12.0, _GAUSSIAN_BETA]),
        loss="soft_l1", f_scale=0.02,
    )  # fmt: skip
    _, alpha, beta = fit.x
    fwhm = float(np.clip(2 * alpha * np.sqrt(2 ** (1 / beta) - 1), 1.6, 2.8))
    return Profile(fwhm, float(beta))


def _radii_and_values(
    signal: NDArray[np.float32], shapes: Moments, star: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of one star: elliptical radius in sigmas, value over the height of its Gaussian."""
    x, y = shapes.x[star], shapes.y[star]
    xx, yy, xy = shapes.xx[star], shapes.yy[star], shapes.xy[star]
    reach = int(_REACH_SIGMA * np.sqrt(max(xx, yy))) + 1
    column, row = round(x), round(y)
    part = signal[
        max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1
    ]
    dy, dx = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(float)
    dx += max(0, column - reach) - x
    dy += max(0, row - reach) - y
    det = xx * yy - xy**2
    r2 = (yy * dx**2 + xx * dy**2 - 2 * xy * dx * dy) / det
    weight = np.exp(-0.5 * r2)
    height = float((weight * part).sum() / (weight**2).sum())
    near = r2 < _REACH_SIGMA**2
    return np.sqrt(r2[near]), part[near].astype(float) / height


def growth(
    inner: NDArray[np.float64], outer: NDArray[np.float64], outer_error: NDArray[np.float64]
) -> float:
    """Light in a larger aperture over that in a smaller one: the weighted median of the stars.

    Parameters
    ----------
    inner, outer : fluxes of the same bright stars in the two apertures
    outer_error : of ``outer``, where the sky's noise drowns the fainter stars
    """
    good = inner > 0
    if good.sum() < _MIN_STARS:
        return 1.05
    ratio = outer[good] / inner[good]
    weight = 1 / ((outer_error[good] / inner[good]) ** 2 + _OWN_SCATTER**2)
    order = np.argsort(ratio)
    reached = np.cumsum(weight[order])
    # Each value stands for the middle of its weight, so that equal weights give the median.
    middle = np.interp(reached[-1] / 2, reached - weight[order] / 2, ratio[order])
    return float(np.clip(middle, 1.0, 1.4))
