"""A star field to measure on, apart from the simulated observatory: Moffat stars, sky, noise.

Each pixel is the mean of a grid of points of the profile, finer for sharper stars, so that the
truth is known to better than what the tests ask for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHAPE = (600, 800)


@dataclass(frozen=True)
class Field:
    """An image with its truth; positions are 0-based."""

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux_e: NDArray[np.float64]


def draw(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    *,
    seed: int,
    shape: tuple[int, int] = SHAPE,
    fwhm_px: float | NDArray[np.float64] = 3.0,
    beta: float = 3.5,
    elongation: float = 1.0,
    angle_deg: float = 0.0,
    sky_e: float = 200.0,
    read_noise_e: float = 5.0,
    saturation_e: float = np.inf,
) -> Field:
    """Stars of these positions and fluxes, with photon and read noise.

    ``fwhm_px`` is that of the profile before it falls onto pixels (`recorded_fwhm`), for all stars
    or for each.
    """
    rng = np.random.default_rng(seed)
    truth = np.full(shape, float(sky_e))
    stretch = np.sqrt(elongation)
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    widths = np.broadcast_to(np.asarray(fwhm_px, float), np.shape(x))
    for sx, sy, flux, width in zip(x, y, flux_e, widths, strict=True):
        alpha = width / (2 * np.sqrt(2 ** (1 / beta) - 1))
        reach = int(12 * width * stretch)
        fine_n = max(3, 2 * int(np.ceil(5 * stretch / width)) + 1)
        steps = (np.arange(fine_n) - fine_n // 2) / fine_n
        rows = np.arange(max(0, round(sy) - reach), min(shape[0], round(sy) + reach + 1))
        columns = np.arange(max(0, round(sx) - reach), min(shape[1], round(sx) + reach + 1))
        if not len(rows) or not len(columns):
            continue
        dy = (rows[:, None] + steps - sy).ravel()[:, None]
        dx = (columns[:, None] + steps - sx).ravel()[None, :]
        along, across = (cos * dx + sin * dy) / stretch, (-sin * dx + cos * dy) * stretch
        fine = (1 + (along**2 + across**2) / alpha**2) ** -beta * (beta - 1) / (np.pi * alpha**2)
        stamp = fine.reshape(len(rows), fine_n, len(columns), fine_n).mean(axis=(1, 3))
        truth[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += flux * stamp
    image = rng.poisson(truth) + rng.normal(0, read_noise_e, shape)
    mask = np.where(image >= saturation_e, 4, 0).astype(np.uint8)
    return Field(np.minimum(image, saturation_e).astype(np.float32), mask, x, y, flux_e)


def recorded_fwhm(fwhm_px: float, beta: float = 3.5) -> float:
    """FWHM of a round star as recorded: the profile averaged over a pixel, without noise."""
    alpha = fwhm_px / (2 * np.sqrt(2 ** (1 / beta) - 1))
    fine = 1 / 64
    side = np.arange(-0.5 + fine / 2, 0.5, fine)

    def height(at_px: float, turned: float) -> float:
        x, y = at_px * np.cos(turned), at_px * np.sin(turned)
        r2 = (x + side) ** 2 + (y + side[:, None]) ** 2
        return float(((1 + r2 / alpha**2) ** -beta).mean())

    half = height(0.0, 0.0) / 2
    radii = []
    for turned in np.radians([0.0, 22.5, 45.0]):
        low, high = 0.0, 2 * fwhm_px + 2
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if height(middle, turned) > half else (low, middle)
        radii.append(low)
    return 2 * float(np.mean(radii))


def scatter(
    count: int, *, seed: int, shape: tuple[int, int] = SHAPE, apart_px: float = 25.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions that are ``apart_px`` from one another and from the border."""
    rng = np.random.default_rng(seed)
    chosen: list[tuple[float, float]] = []
    while len(chosen) < count:
        x, y = (
            rng.uniform(apart_px, shape[1] - apart_px),
            rng.uniform(apart_px, shape[0] - apart_px),
        )
        if all((x - a) ** 2 + (y - b) ** 2 > apart_px**2 for a, b in chosen):
            chosen.append((x, y))
    return np.array([a for a, _ in chosen]), np.array([b for _, b in chosen])


def pair(
    stars_x: NDArray[np.float64],
    stars_y: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    within_px: float = 3.0,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices into the found and the true stars that belong together."""
    distance = np.hypot(np.subtract.outer(stars_x, x), np.subtract.outer(stars_y, y))
    nearest = distance.argmin(axis=1)
    close = distance[np.arange(len(stars_x)), nearest] < within_px
    return np.flatnonzero(close), nearest[close]
