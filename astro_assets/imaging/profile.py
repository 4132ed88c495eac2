"""The profile that all stars of a frame share.

What belongs here: what the frame's bright stars together say about FWHM and about the light outside
of an aperture. What does not: measuring single stars (`moments`, `stars`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
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
_PIXEL_VARIANCE = 1 / 12
_LEAST_SHARE = 0.3
"""of the variance of stars that are hardly wider than a pixel"""
_POINT = 0.5 / np.sqrt(3.0)
"""A pixel's mean is that of the four points so far from its middle (Gauss and Legendre's)."""
_LEAST_HEIGHT = 1e-9
_ROOM = 8_000
"""pixels that take part in the fit, at most"""


@dataclass(frozen=True, slots=True)
class Profile:
    """A Moffat profile (Moffat 1969, A&A 3, 455).

    sharp_per_sigma : FWHM before the light fell onto pixels, in units of the stars' adaptive sigmas
        less the pixel's own
    beta : exponent; above 10 it is nearly a Gaussian
    pixel_px2 : what the pixel adds to the square of the FWHM
    sharpness : FWHM before the light fell onto pixels over that recorded
    """

    sharp_per_sigma: float
    beta: float
    pixel_px2: float = GAUSSIAN_FWHM**2 / 12
    sharpness: float = 1.0

    def fwhm_px(self, sigma_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """FWHM as recorded, for adaptive sigmas: of a star, or along one of its axes."""
        sharp = self.sharp_per_sigma**2 * _without_pixel(sigma_px**2)
        return np.asarray(np.sqrt(sharp + self.pixel_px2))

    def share_within(self, radius_fwhm: float) -> float:
        """Share of a star's light inside a radius in units of the recorded FWHM."""
        fwhm_in_alpha = 2 * np.sqrt(2 ** (1 / self.beta) - 1)
        radius = radius_fwhm * fwhm_in_alpha / self.sharpness
        return float(1 - (1 + radius**2) ** (1 - self.beta))

    @property
    def noise_area_fwhm2(self) -> float:
        """Equivalent-noise area of a star in recorded FWHM²: 1 / ∫ profile² (King 1983)."""
        alpha2 = 1 / (4 * (2 ** (1 / self.beta) - 1))
        return float(np.pi * alpha2 * (2 * self.beta - 1) / (self.beta - 1) ** 2)


GAUSSIAN = Profile(GAUSSIAN_FWHM, _GAUSSIAN_BETA)
"""of a frame whose stars do not say"""


def common_profile(
    signal: NDArray[np.float32],
    shapes: Moments,
    model: NDArray[np.intp],
    *,
    level_e: NDArray[np.float64] | float = 0.0,
    noise_e: NDArray[np.float64] | float = 0.0,
) -> Profile:
    """Fit one profile to the stars ``model`` (indices into ``shapes``, brightest first).

    Each star has its own height and ellipse; what they share is how far the profile reaches in
    units of the ellipse, and its exponent. The profile is averaged over each pixel, so that also
    stars of 1.5 px are right. With fewer than three such stars it is taken as Gaussian.

    Parameters
    ----------
    signal : (ny, nx) float32, electrons above the sky
    level_e : what is left of the sky around each star of ``shapes``
    noise_e : of one pixel there; fainter stars count for less
    """
    if len(model) < _MIN_STARS:
        return GAUSSIAN
    around = [np.broadcast_to(np.asarray(v, float), shapes.x.shape) for v in (level_e, noise_e)]
    samples = _samples(signal, shapes, model, *around)

    # Both come from the same sums: the slopes of where the fit has just been are at hand.
    slopes: dict[tuple[float, ...], NDArray[np.float64]] = {}

    def off(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        residuals, slope = _residuals(parameters[0], parameters[1], *samples)
        slopes.clear()
        slopes[tuple(parameters)] = slope
        return np.asarray(residuals)

    def slope(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        if tuple(parameters) not in slopes:
            off(parameters)
        return slopes[tuple(parameters)]

    fit = least_squares(
        off, [2.0, 3.5], jac=slope, bounds=([0.5, 1.2], [12.0, _GAUSSIAN_BETA]),
        loss="soft_l1", f_scale=0.02,
    )  # fmt: skip
    alpha, beta = fit.x
    per_sigma = float(np.clip(alpha * 2 * np.sqrt(2 ** (1 / beta) - 1), 1.5, 2.8))
    sigma_px = float(np.median(shapes.sigma_px[model]))
    sharp_px = per_sigma * float(np.sqrt(_without_pixel(np.array(sigma_px**2))))
    recorded_px = _recorded_fwhm(sharp_px, beta)
    return Profile(per_sigma, float(beta), recorded_px**2 - sharp_px**2, sharp_px / recorded_px)


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


def _without_pixel(variance_px2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Variance of a star before the light fell onto pixels."""
    return np.asarray(np.maximum(variance_px2 - _PIXEL_VARIANCE, _LEAST_SHARE * variance_px2))


def _samples(
    signal: NDArray[np.float32],
    shapes: Moments,
    model: NDArray[np.intp],
    level_e: NDArray[np.float64],
    noise_e: NDArray[np.float64],
) -> tuple[NDArray[Any], ...]:
    """All pixels of the stars: star, offsets in x and y, value; the stars' inverse ellipses (n, 3)
    and noises (n,).
    """
    x, y = shapes.x[model], shapes.y[model]
    xx, yy = _without_pixel(shapes.xx[model]), _without_pixel(shapes.yy[model])
    most = 0.9 * np.sqrt(xx * yy)
    xy = np.clip(shapes.xy[model], -most, most)
    ellipses = np.column_stack([yy, xx, xy]) / (xx * yy - xy**2)[:, None]
    widest = np.sqrt(np.maximum(shapes.xx[model], shapes.yy[model]))
    reach = (_REACH_SIGMA * widest).astype(np.int64) + 1
    room = _ROOM + _MIN_STARS * int((2 * reach.max() + 1) ** 2)
    star, dx, dy, value = _pixels(signal, x, y, ellipses, reach, level_e[model], room)
    count = int(star[-1]) + 1
    return star, dx, dy, value, ellipses[:count], noise_e[model[:count]]


@njit(cache=True, nogil=True)
def _pixels(
    signal: Any, x: Any, y: Any, ellipses: Any, reach: Any, level: Any, room: int
) -> tuple[Any, Any, Any, Any]:
    """Star, offsets and value of the pixels near each star, until there are enough."""
    ny, nx = signal.shape
    star = np.empty(room, np.int64)
    dx, dy, value = np.empty(room), np.empty(room), np.empty(room)
    n = 0
    for k in range(len(x)):
        if n > _ROOM and k >= _MIN_STARS:
            break
        a, b, c = ellipses[k, 0], ellipses[k, 1], ellipses[k, 2]
        column, row = round(x[k]), round(y[k])
        for j in range(max(0, row - reach[k]), min(ny, row + reach[k] + 1)):
            for i in range(max(0, column - reach[k]), min(nx, column + reach[k] + 1)):
                u, v = i - x[k], j - y[k]
                if a * u * u + b * v * v - 2 * c * u * v < _REACH_SIGMA * _REACH_SIGMA:
                    star[n], dx[n], dy[n], value[n] = k, u, v, signal[j, i] - level[k]
                    n += 1
    return star[:n].copy(), dx[:n].copy(), dy[:n].copy(), value[:n].copy()


@njit(cache=True, nogil=True)
def _residuals(
    alpha: float, beta: float, star: Any, dx: Any, dy: Any, value: Any, ellipses: Any, noise: Any
) -> tuple[Any, Any]:
    """Model less value in units of each star's height, which is the one that fits it best; and how
    that changes with ``alpha`` and ``beta``, (n, 2).

    Those of stars that drown in noise are made smaller.
    """
    model, slopes = _profiles(alpha, beta, star, dx, dy, ellipses)
    count = len(ellipses)
    over, under = np.zeros(count), np.zeros(count)
    over_slopes, under_slopes = np.zeros((count, 2)), np.zeros((count, 2))
    for k in range(len(star)):
        s, m, v = star[k], model[k], value[k]
        over[s] += m * v
        under[s] += m * m
        for p in range(2):
            over_slopes[s, p] += slopes[k, p] * v
            under_slopes[s, p] += 2 * slopes[k, p] * m
    for k in range(len(star)):
        s, v = star[k], value[k]
        height = max(over[s] / under[s], _LEAST_HEIGHT)
        fixed = height == _LEAST_HEIGHT
        ratio = noise[s] / (_OWN_SCATTER * height)
        trust = 1 / np.sqrt(1 + ratio * ratio)
        off = model[k] - v / height
        for p in range(2):
            rise = 0.0 if fixed else (over_slopes[s, p] - height * under_slopes[s, p]) / under[s]
            more_trust = trust**3 * ratio * ratio / height * rise
            slopes[k, p] = more_trust * off + trust * (slopes[k, p] + v / (height * height) * rise)
        model[k] = trust * off
    return model, slopes


@njit(cache=True, nogil=True)
def _profiles(
    alpha: float, beta: float, star: Any, dx: Any, dy: Any, ellipses: Any
) -> tuple[Any, Any]:
    """Each pixel's share of its star's height, and how that changes with ``alpha``, ``beta``."""
    model, slopes = np.empty(len(star)), np.empty((len(star), 2))
    for k in range(len(star)):
        a, b, c = ellipses[star[k], 0], ellipses[star[k], 1], ellipses[star[k], 2]
        total = by_alpha = by_beta = 0.0
        for v in (dy[k] - _POINT, dy[k] + _POINT):
            for u in (dx[k] - _POINT, dx[k] + _POINT):
                beyond = (a * u * u + b * v * v - 2 * c * u * v) / (alpha * alpha)
                log = np.log(1 + beyond)
                share = np.exp(-beta * log)
                total += share
                by_alpha += share * beyond / (1 + beyond)
                by_beta += share * log
        model[k] = 0.25 * total
        slopes[k, 0] = 0.5 * beta / alpha * by_alpha
        slopes[k, 1] = -0.25 * by_beta
    return model, slopes


def _recorded_fwhm(fwhm_px: float, beta: float) -> float:
    """FWHM of a round Moffat profile after the average over a pixel, mean of two directions."""
    alpha2 = fwhm_px**2 / (4 * (2 ** (1 / beta) - 1))
    points = (np.arange(8) + 0.5) / 8 - 0.5
    radius = np.linspace(0.3, 1.0, 281) * np.hypot(fwhm_px, 1.0)
    widths = []
    for cos, sin in ((1.0, 0.0), (np.sqrt(0.5), np.sqrt(0.5))):
        x = (np.append(0, radius) * cos)[:, None, None] + points
        y = (np.append(0, radius) * sin)[:, None, None] + points[:, None]
        height = ((1 + (x**2 + y**2) / alpha2) ** -beta).mean(axis=(1, 2))
        widths.append(np.interp(-0.5, -height[1:] / height[0], radius))
    return 2 * float(np.mean(widths))
