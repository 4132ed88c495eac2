"""A field in a broad and a narrow band, with stars, a nebula that glows in one line, and noise."""

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

from astro_assets.imaging.continuum import Band
from astro_assets.imaging.mask import MaskBit
from astro_assets.sim.psf import Psf, add_stars
from astro_assets_tests.imaging.star_field import scatter

READ_NOISE_E = 6.0
SATURATION_E = 60_000.0


@dataclass(frozen=True)
class Scene:
    """Two bands of one field, and what was put there; fluxes in electrons of the narrow band."""

    narrow: Band
    broad: Band
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    flux_e: NDArray[np.float64]
    nebula: NDArray[np.float64]
    scale: float
    saturated: NDArray[np.bool_]


def scene(
    seed: int,
    *,
    shape: tuple[int, int] = (420, 520),
    n_stars: int = 70,
    narrow_fwhm_px: float = 3.0,
    broad_fwhm_px: float = 3.0,
    scale: float = 0.06,
    line_in_broad: float = 0.0,
    colour_scatter: float = 0.01,
    trail_px: float = 0.0,
    nebula_e: float = 250.0,
) -> Scene:
    """``colour_scatter`` is how much single stars' narrow over broad differs; ``trail_px`` draws
    the stars of the broad band out.
    """
    rng = np.random.default_rng([seed, 0xC0])
    x, y = scatter(n_stars, seed=seed, shape=shape, apart_px=22.0)
    broad_e = 10 ** rng.uniform(4.3, 6.2, n_stars)
    narrow_e = broad_e * scale * rng.normal(1, colour_scatter, n_stars)
    v, u = np.mgrid[: shape[0], : shape[1]]
    nebula = nebula_e * np.exp(
        -(((u - 0.6 * shape[1]) / 60) ** 2) - ((v - 0.45 * shape[0]) / 45) ** 2
    )
    skies = {"narrow": 40.0, "broad": 700.0}
    stars = {
        "narrow": _drawn(shape, x, y, narrow_e, Psf(narrow_fwhm_px)),
        "broad": _drawn(shape, x, y, broad_e, Psf(broad_fwhm_px, trail_px=trail_px, trail_deg=25)),
    }
    glow = {"narrow": nebula, "broad": line_in_broad * nebula}
    bands, saturated = {}, np.zeros(n_stars, bool)
    for name in ("narrow", "broad"):
        expected = skies[name] + stars[name] + glow[name]
        image = rng.poisson(expected) + rng.normal(0, READ_NOISE_E, shape)
        full = image >= SATURATION_E
        rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
        saturated |= full[rows, columns]
        bands[name] = Band(
            np.minimum(image, SATURATION_E).astype(np.float32),
            np.where(full, MaskBit.SATURATED, 0).astype(np.uint8),
            np.full(shape, 1 / (skies[name] + READ_NOISE_E**2), np.float32),
        )
    return Scene(bands["narrow"], bands["broad"], x, y, narrow_e, nebula, scale, saturated)


def _drawn(
    shape: tuple[int, int],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux_e: NDArray[np.float64],
    psf: Psf,
) -> NDArray[np.float64]:
    image = np.zeros(shape)
    add_stars(image, x, y, flux_e, psf)
    return image


def left_of_stars(
    image: NDArray[np.float32], truth: Scene, radius_px: float
) -> NDArray[np.float64]:
    """What is left in an aperture around each unsaturated star, over what the star had."""
    signal = np.nan_to_num(image).astype(np.float32) - truth.nebula.astype(np.float32)
    flux, _, _ = sep.sum_circle(signal, truth.x, truth.y, radius_px, subpix=5)
    return np.asarray(flux / truth.flux_e)[~truth.saturated]


def left_in_pixels(
    image: NDArray[np.float32], truth: Scene, radius_px: float
) -> NDArray[np.float64]:
    """The light that was moved about: the sum of absolute values, less what noise alone gives."""
    signal = np.nan_to_num(image).astype(np.float64) - truth.nebula
    v, u = np.mgrid[: signal.shape[0], : signal.shape[1]]
    far = np.ones(signal.shape, bool)
    for x, y in zip(truth.x, truth.y, strict=True):
        far &= np.hypot(u - x, v - y) > 15
    noise = float(np.abs(signal[far] - np.median(signal[far])).mean())
    left = []
    for x, y, flux in zip(truth.x, truth.y, truth.flux_e, strict=True):
        near = np.hypot(u - x, v - y) < radius_px
        left.append((np.abs(signal[near]).sum() - noise * near.sum()) / flux)
    return np.array(left)[~truth.saturated]
