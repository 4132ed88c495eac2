"""A field of stars with rays of known charge, mono or Bayer.

What belongs here: the scene and what is true of it, for tests and the validation. What does not:
what is found in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SKY_E = 300.0
READ_NOISE_E = 6.0
SATURATION_E = 60000.0
_SIDE = 400
_BLUE_OR_RED = 0.6


@dataclass(frozen=True, slots=True)
class RayScene:
    """All (ny, nx).

    image : float32, electrons
    rays_e : charge of the rays
    noise_e : of each pixel without rays
    star : pixels in which a star is 5 sigma above the sky
    """

    image: NDArray[np.float32]
    rays_e: NDArray[np.float64]
    noise_e: NDArray[np.float64]
    star: NDArray[np.bool_]

    @property
    def strong(self) -> NDArray[np.bool_]:
        """Rays above 10 sigma that saturation does not hide."""
        return (self.rays_e > 10 * self.noise_e) & (self.image < SATURATION_E)

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Pixels that rays have left alone."""
        return self.rays_e < np.hypot(np.sqrt(SKY_E), READ_NOISE_E)


def ray_scene(
    seed: int, fwhm_px: float, *, bayer: bool = False, n_stars: int = 90, n_rays: int = 180
) -> RayScene:
    """Moffat stars of 1e3 to 2e6 electrons, tracks of some pixels of 100 to 4000 a step."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((_SIDE, _SIDE))
    expected = np.full((_SIDE, _SIDE), SKY_E)
    star = np.zeros((_SIDE, _SIDE), bool)
    sky_noise_e = np.hypot(np.sqrt(SKY_E), READ_NOISE_E)
    for _ in range(n_stars):
        cx, cy = rng.uniform(8, _SIDE - 8, 2)
        top, left = max(0, int(cy) - 25), max(0, int(cx) - 25)
        box = np.s_[top : int(cy) + 26, left : int(cx) + 26]
        light = 10 ** rng.uniform(3, 6.3) * _moffat(x[box] - cx, y[box] - cy, fwhm_px)
        if bayer:
            light = light * np.where((x[box] % 2 == 0) & (y[box] % 2 == 0), _BLUE_OR_RED, 1)
        expected[box] += light
        star[box] |= light > 5 * sky_noise_e
    rays = np.zeros((_SIDE, _SIDE))
    for _ in range(n_rays):
        cx, cy = rng.uniform(2, _SIDE - 2, 2)
        length, angle = abs(rng.normal(0, 5)) + 1, rng.uniform(0, np.pi)
        for t in np.linspace(0, length, int(4 * length) + 1):
            u, v = int(cx + t * np.cos(angle)), int(cy + t * np.sin(angle))
            if 0 <= u < _SIDE and 0 <= v < _SIDE:
                rays[v, u] += 10 ** rng.uniform(2, 3.6) / 4
    noisy = rng.poisson(expected) + rng.normal(0, READ_NOISE_E, expected.shape) + rays
    image = np.minimum(noisy, SATURATION_E).astype(np.float32)
    return RayScene(image, rays, np.sqrt(expected + READ_NOISE_E**2), star)


def _moffat(
    x: NDArray[np.float64], y: NDArray[np.float64], fwhm_px: float, beta: float = 3.5
) -> NDArray[np.float64]:
    """Pixel-integrated and of sum 1."""
    alpha = fwhm_px / 2 / np.sqrt(2 ** (1 / beta) - 1)
    steps = (np.arange(5) - 2) / 5
    total = np.zeros(x.shape)
    for a in steps:
        for b in steps:
            total += (1 + ((x + a) ** 2 + (y + b) ** 2) / alpha**2) ** -beta
    return np.asarray(total / 25 * (beta - 1) / np.pi / alpha**2)
