"""A night sky with a slope, stars and a nebula, each known: what a gradient must and must not take.

Shares no code with the reduction.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SlopedSky:
    """An image in electrons and what it is made of."""

    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    slope: Floats
    nebula: Floats

    def kept(self, picture: NDArray[np.float32]) -> float:
        """The nebula's light that is left, as a share; the sky beside it is what it stands on.

        Other things being equal: measured on the difference from the sky with its slope.
        """
        taken = self.image.astype(np.float64) - picture - (self.slope - self.slope.mean())
        # A constant is no light of the nebula.
        taken -= np.median(taken[self.nebula < 0.01 * self.nebula.max()])
        return float(1 - (taken * (self.nebula > 0)).sum() / self.nebula.sum())

    def left(self, picture: NDArray[np.float32]) -> float:
        """Peak to peak of the slope that is left, as a share of what was there."""
        rest = picture.astype(np.float64) - self.image + self.slope
        smooth = gaussian_filter(rest, 10)
        return float(np.ptp(smooth) / np.ptp(self.slope))


def sloped_sky(
    seed: int,
    *,
    shape: tuple[int, int] = (720, 960),
    slope_e: float = 60.0,
    order: int = 2,
    nebula_e: float = 80.0,
    nebula_share: float = 0.3,
    stars: int = 400,
    sky_e: float = 300.0,
    read_noise_e: float = 5.0,
) -> SlopedSky:
    """A frame.

    slope_e : peak to peak
    order : of the slope: 1 a plane, 2 with a bend, 3 with a turn
    nebula_e : its brightest part
    nebula_share : of the frame that it covers
    """
    rng = np.random.default_rng([seed, 77])
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    slope = along + (0.3 * along**2 + 0.2 * across**2 if order > 1 else 0)
    slope = slope + (0.15 * along**3 if order > 2 else 0)
    slope *= slope_e / np.ptp(slope)
    nebula = _nebula(rng, x, y, nebula_share) * nebula_e
    truth = sky_e + slope + nebula + _stars(rng, shape, stars)
    image = rng.poisson(np.maximum(truth, 0)) + rng.normal(0, read_noise_e, shape)
    return SlopedSky(image.astype(np.float32), np.zeros(shape, np.uint8), slope, nebula)


def _nebula(rng: np.random.Generator, x: Floats, y: Floats, share: float) -> Floats:
    """Ragged, with soft ends, and exactly dark over the rest of the frame."""
    if share <= 0:
        return np.zeros_like(x)
    rough = gaussian_filter(rng.standard_normal(x.shape), min(x.shape) / 12)
    rough /= rough.std()
    cx, cy = rng.uniform(-0.35, 0.35, 2)
    shape = rough * 0.35 - np.hypot((x - cx) * 1.2, y - cy) * 2
    edge = np.quantile(shape, 1 - share)
    lit = np.clip((shape - edge) / (shape.max() - edge), 0, None)
    return np.asarray(lit**1.5)


def _stars(rng: np.random.Generator, shape: tuple[int, int], count: int) -> Floats:
    points = np.zeros(shape)
    rows, columns = rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)
    np.add.at(points, (rows, columns), 10 ** rng.uniform(2.5, 5.5, count))
    return np.asarray(gaussian_filter(points, 1.4))
