"""Stars as black bodies through the filters of a camera: colours whose truth is known.

White is the Sun's light: its effective temperature gives equal signals in all channels once the
camera's response is divided out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.psf import Psf, add_stars
from astro_assets_tests.imaging.star_field import scatter

SUN_K = 5772.0
SUN_BV_MAG = 0.653
BANDS_NM = {"R": (590, 690), "G": (495, 580), "B": (400, 500), "Bj": (391, 489), "Vj": (507, 595)}
RESPONSE = {"R": 0.62, "G": 1.0, "B": 0.41}


def photons(band: str, temperature_k: NDArray[np.float64]) -> NDArray[np.float64]:
    """Photons of a black body in a band, in units of the Sun's."""
    nm = np.linspace(*BANDS_NM[band], 40)

    def planck(kelvin: NDArray[np.float64]) -> NDArray[np.float64]:
        exponent = 1.438777e7 / (nm[:, None] * np.atleast_1d(kelvin))
        return (nm[:, None] ** -4 / np.expm1(exponent)).sum(axis=0)

    return planck(temperature_k) / planck(np.array([SUN_K]))


def bv_mag(temperature_k: NDArray[np.float64]) -> NDArray[np.float64]:
    """B − V of a black body, the Sun's as measured."""
    ratio = photons("Bj", temperature_k) / photons("Vj", temperature_k)
    return SUN_BV_MAG - 2.5 * np.log10(ratio)


@dataclass(frozen=True)
class ColorField:
    """images : R, G, B with sky and noise; ratio : red and blue over green of each star, white 1"""

    images: dict[str, NDArray[np.float32]]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    bv_mag: NDArray[np.float64]
    ratio: NDArray[np.float64]


def color_field(
    seed: int,
    *,
    shape: tuple[int, int] = (420, 520),
    n_stars: int = 60,
    fwhm_px: tuple[float, float, float] = (2.9, 2.7, 3.2),
    catalogue_error_mag: float = 0.05,
) -> ColorField:
    """Stars of 3500 to 10000 K, more cool ones than hot, through unequal filters and seeing."""
    rng = np.random.default_rng([seed, 0xC01])
    x, y = scatter(n_stars, seed=seed, shape=shape, apart_px=24.0)
    temperature = 3500 * (10000 / 3500) ** rng.beta(1.5, 1.8, n_stars)
    flux_e = 10 ** rng.uniform(4.0, 5.3, n_stars)
    images = {}
    for (name, response), fwhm in zip(RESPONSE.items(), fwhm_px, strict=True):
        expected = np.full(shape, 300 * response + 40)
        light = flux_e * response * photons(name, temperature) / photons("G", temperature)
        add_stars(expected, x, y, light, Psf(fwhm))
        images[name] = (rng.poisson(expected) + rng.normal(0, 5, shape)).astype(np.float32)
    green = photons("G", temperature)
    ratio = np.stack([photons("R", temperature) / green, photons("B", temperature) / green])
    told = bv_mag(temperature) + rng.normal(0, catalogue_error_mag, n_stars)
    return ColorField(images, x, y, told, ratio)
