"""What crosses a frame: cosmic rays and satellites.

What belongs here: events of one exposure. What does not: the detector's own faults (`detector`).
"""

import numpy as np
from numpy.typing import NDArray

Ends = tuple[float, float, float, float]
"""x0, y0, x1, y1 of a line, 0-based pixels."""


def cosmic_rays(
    shape: tuple[int, int], count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Charge (ny, nx) in electrons left by ``count`` particles: sharp spots and short tracks."""
    charge = np.zeros(shape, np.float32)
    for _ in range(count):
        y, x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        length = 1 + int(rng.exponential(2.5))
        direction = rng.uniform(0, 2 * np.pi)
        deposit = rng.uniform(600, 5000)
        for step in range(min(length, 12)):
            row = int(y + step * np.sin(direction))
            column = int(x + step * np.cos(direction))
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                charge[row, column] += deposit * rng.uniform(0.6, 1.4)
    return charge


def satellite_ends(shape: tuple[int, int], rng: np.random.Generator) -> Ends:
    """A line across the whole frame."""
    ny, nx = shape
    return (
        -0.5,
        float(rng.uniform(0.15, 0.85) * ny),
        nx - 0.5,
        float(rng.uniform(0.15, 0.85) * ny),
    )


def satellite_trail(
    shape: tuple[int, int], ends: Ends, fwhm_px: float, peak_e: float
) -> NDArray[np.float32]:
    """Light (ny, nx) in electrons of an even trail with a Gaussian cross-section."""
    x0, y0, x1, y1 = ends
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    length = np.hypot(x1 - x0, y1 - y0)
    across = ((x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)) / length
    return np.asarray(peak_e * np.exp(-0.5 * (across / (fwhm_px / 2.3548)) ** 2), np.float32)
