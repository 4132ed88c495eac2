"""Position and shape of stars by adaptive moments.

What belongs here: the kernel that measures one star after the other on an image without sky. What
does not: finding them, and photometry (`stars`).

Adaptive moments weight a star with an elliptical Gaussian that is itself fitted to the star
(Bernstein & Jarvis 2002, AJ 123, 583): neighbours and noise in the wings hardly matter, and the
centroid is that of the windowed kind.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.threads import over_rows

_MAX_ITERATIONS = 40
_MAX_SIGMA_PX = 15.0
_MIN_SIGMA_PX = 0.25
_MAX_DRIFT_PX = 4.0
_REACH_SIGMA = 4.0


@dataclass(frozen=True, slots=True)
class Moments:
    """One value per star.

    x, y : 0-based pixels
    xx, yy, xy : second moments of the Gaussian that fits best, px²
    ok : False where the fit did not settle; position and moments are then the starting ones
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    xx: NDArray[np.float64]
    yy: NDArray[np.float64]
    xy: NDArray[np.float64]
    ok: NDArray[np.bool_]

    @property
    def sigma_px(self) -> NDArray[np.float64]:
        """Geometric mean of the two axes' sigmas."""
        return np.asarray(np.maximum(self.xx * self.yy - self.xy**2, 0) ** 0.25)

    @property
    def axes_px(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Sigmas along the long and the short axis."""
        mean = (self.xx + self.yy) / 2
        spread = np.hypot((self.xx - self.yy) / 2, self.xy)
        return np.sqrt(mean + spread), np.sqrt(np.maximum(mean - spread, 1e-6))

    @property
    def angle_deg(self) -> NDArray[np.float64]:
        """Direction of the long axis, from +x towards +y, −90 to 90."""
        return np.degrees(0.5 * np.arctan2(2 * self.xy, self.xx - self.yy))


def adaptive_moments(
    image: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    sigma_px: NDArray[np.float64],
) -> Moments:
    """Measure the stars near ``x``, ``y`` with ``sigma_px`` to start from.

    Parameters
    ----------
    image : (ny, nx) float32, electrons above the sky
    x, y, sigma_px : (n,) 0-based positions and first guesses of the size
    """
    image = np.ascontiguousarray(image, dtype=np.float32)
    x, y = (np.ascontiguousarray(places, dtype=np.float64) for places in (x, y))
    start = np.clip(sigma_px, 0.8, _MAX_SIGMA_PX).astype(np.float64)
    found, ok = np.empty((5, x.size)), np.zeros(x.size, dtype=np.bool_)
    over_rows(lambda first, last: _measure_all(image, x, y, start, first, last, found, ok), x.size)
    return Moments(found[0], found[1], found[2], found[3], found[4], ok)


@njit(cache=True, nogil=True)
def _weighted_sums(image, x, y, xx, yy, xy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Sums of weight·value·(1, dx, dy, dx², dy², dxdy) below the Gaussian."""
    ny, nx = image.shape
    det = xx * yy - xy * xy
    sums = np.zeros(6)
    reach_y = _REACH_SIGMA * np.sqrt(yy)
    for row in range(max(0, int(np.ceil(y - reach_y))), min(ny, int(np.floor(y + reach_y)) + 1)):
        dy = row - y
        middle = xy * dy / yy
        half = np.sqrt(max(det * (_REACH_SIGMA**2 * yy - dy * dy), 0.0)) / yy
        first = max(0, int(np.ceil(x + middle - half)))
        last = min(nx - 1, int(np.floor(x + middle + half)))
        if first > last:
            continue
        dx = first - x
        # Along a row the weight's logarithm is a parabola: each weight is the one before it times
        # a factor, and that factor falls by the same share from pixel to pixel.
        weight = np.exp(-0.5 * (yy * dx * dx + xx * dy * dy - 2 * xy * dx * dy) / det)
        factor = np.exp(-0.5 * (yy * (2 * dx + 1) - 2 * xy * dy) / det)
        fall = np.exp(-yy / det)
        one = along = square = 0.0
        for column in range(first, last + 1):
            dx = column - x
            value = weight * image[row, column]
            one += value
            along += value * dx
            square += value * dx * dx
            weight *= factor
            factor *= fall
        sums[0] += one
        sums[1] += along
        sums[2] += one * dy
        sums[3] += square
        sums[4] += one * dy * dy
        sums[5] += along * dy
    return sums


@njit(cache=True, nogil=True)
def _step(sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The next centre shift and moments; all-zero moments when they make no sense.

    For a Gaussian star below a Gaussian weight of the same shape the sums hold half of the
    shift and half of the moments.
    """
    if sums[0] <= 0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    sx, sy = 2 * sums[1] / sums[0], 2 * sums[2] / sums[0]
    nxx = 2 * (sums[3] / sums[0] - (sx / 2) ** 2)
    nyy = 2 * (sums[4] / sums[0] - (sy / 2) ** 2)
    nxy = 2 * (sums[5] / sums[0] - sx * sy / 4)
    smallest, largest = _MIN_SIGMA_PX**2, (1.3 * _MAX_SIGMA_PX) ** 2
    if min(nxx, nyy) < smallest or max(nxx, nyy) > largest:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    if nxx * nyy - nxy * nxy < 0.01 * smallest * max(nxx, nyy):
        return 0.0, 0.0, 0.0, 0.0, 0.0
    return sx, sy, nxx, nyy, nxy


@njit(cache=True, nogil=True)
def _measure_one(image, x, y, sigma):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Iterate until centre and moments settle."""
    cx, cy, xx, yy, xy = x, y, sigma * sigma, sigma * sigma, 0.0
    for _ in range(_MAX_ITERATIONS):
        sums = _weighted_sums(image, cx, cy, xx, yy, xy)
        sx, sy, nxx, nyy, nxy = _step(sums)
        if nxx == 0.0:
            break
        cx, cy = cx + sx, cy + sy
        if abs(cx - x) > _MAX_DRIFT_PX or abs(cy - y) > _MAX_DRIFT_PX:
            break
        change = abs(nxx - xx) + abs(nyy - yy) + abs(nxy - xy)
        xx, yy, xy = nxx, nyy, nxy
        if change < 2e-3 * (xx + yy) and abs(sx) + abs(sy) < 2e-3:
            return True, cx, cy, xx, yy, xy
    return False, x, y, sigma * sigma, sigma * sigma, 0.0


@njit(cache=True, nogil=True)
def _measure_all(image, x, y, sigma, first, last, found, ok):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The stars from ``first`` to ``last``: x, y, xx, yy, xy into ``found`` (5, n), and ``ok``."""
    for star in range(first, last):
        ok[star], found[0, star], found[1, star], found[2, star], found[3, star], found[4, star] = (
            _measure_one(image, x[star], y[star], sigma[star])
        )
