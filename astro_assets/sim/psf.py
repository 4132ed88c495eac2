"""Stars as they fall onto pixels: a Moffat profile, integrated over each pixel.

What belongs here: the point-spread function and its blurs. What does not: where stars are and how
bright (`sky`).

Pixel convention of the whole simulator: 0-based, the centre of the first pixel at (0, 0).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

BETA = 3.5
_FWHM_TO_ALPHA = 1 / (2 * np.sqrt(2 ** (1 / BETA) - 1))
# Wings are drawn until a pixel would receive less than this, in electrons.
_FAINTEST_E = 0.02


@dataclass(frozen=True, slots=True)
class Psf:
    """A round Moffat profile with β = 3.5 (Moffat 1969, A&A 3, 455), possibly blurred.

    trail_px, trail_deg : length and direction of a tracking error; the star is drawn out evenly
    ring_px : radius of the ring that a defocused, obstructed telescope turns a star into
    """

    fwhm_px: float
    trail_px: float = 0.0
    trail_deg: float = 0.0
    ring_px: float = 0.0

    def offsets(self) -> NDArray[np.float64]:
        """The blur as points (n, 2) in x and y, of equal weight, about the centroid."""
        if self.trail_px > 0:
            along = (np.arange(2 * int(self.trail_px) + 1) / (2 * int(self.trail_px)) - 0.5)[
                :, np.newaxis
            ] * self.trail_px
            angle = np.radians(self.trail_deg)
            return np.asarray(along * np.array([np.cos(angle), np.sin(angle)]))
        if self.ring_px > 0:
            turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            return self.ring_px * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        return np.zeros((1, 2))

    @property
    def reach_px(self) -> float:
        """How far the blur carries light."""
        return self.trail_px / 2 + self.ring_px


def add_stars(
    image: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    psf: Psf,
) -> None:
    """Add stars to ``image`` (ny, nx), electrons, in place; stars partly outside are cut.

    The sum over all pixels that a star reaches is its flux within 0.1 %; the bright ones reach
    further than the faint.
    """
    alpha = psf.fwhm_px * _FWHM_TO_ALPHA
    # Radius where the profile, (β-1)/(πα²) (r/α)^(-2β) far out, falls to the faintest electron.
    central = np.maximum(flux_e, 1e-9) * (BETA - 1) / (np.pi * alpha**2)
    radius = alpha * np.clip((central / _FAINTEST_E) ** (1 / (2 * BETA)), 6.5, 30.0)
    _add_stars(
        image,
        x,
        y,
        flux_e,
        np.ceil(radius + psf.reach_px).astype(np.int64),
        alpha,
        psf.offsets(),
        8 * psf.reach_px + 7 * alpha,
    )


@njit(nogil=True, cache=True)
def _add_stars(
    image: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    reach: NDArray[np.int64],
    alpha: float,
    offsets: NDArray[np.float64],
    far: float,
) -> None:
    """Integrate by the midpoint rule: 7 × 7 points in a pixel of the core, fewer further out.

    A blurred star is smooth by its many offsets already; far out its blur does not show.
    """
    ny, nx = image.shape
    finest = 7 if len(offsets) == 1 else 3
    wings = 40.0 if len(offsets) == 1 else 6.0
    for star in range(len(x)):
        centre_x, centre_y = int(np.rint(x[star])), int(np.rint(y[star]))
        scale = flux_e[star] * 2.5 / (np.pi * alpha * alpha * len(offsets))
        for row in range(max(centre_y - reach[star], 0), min(centre_y + reach[star] + 1, ny)):
            for column in range(
                max(centre_x - reach[star], 0), min(centre_x + reach[star] + 1, nx)
            ):
                x_off, y_off = column - x[star], row - y[star]
                if x_off * x_off + y_off * y_off > far * far:
                    total = len(offsets) * _pixel(x_off / alpha, y_off / alpha, 1 / alpha, 1, 0.0)
                else:
                    total = 0.0
                    for k in range(len(offsets)):
                        u, v = (x_off - offsets[k, 0]) / alpha, (y_off - offsets[k, 1]) / alpha
                        total += _pixel(u, v, 1 / alpha, finest, wings)
                image[row, column] += scale * total


@njit(nogil=True, cache=True, inline="always")
def _pixel(u: float, v: float, width: float, finest: int, wings: float) -> float:
    """Mean of (1 + r²)^-3.5 over a pixel of ``width`` at (u, v), all in units of α."""
    squared = u * u + v * v
    points = finest if squared < 6 else 3 if squared < wings else 1
    total = 0.0
    for j in range(points):
        dv = v + ((j + 0.5) / points - 0.5) * width
        for i in range(points):
            du = u + ((i + 0.5) / points - 0.5) * width
            base = 1 + du * du + dv * dv
            total += 1 / (base * base * base * np.sqrt(base))
    return total / (points * points)
