"""Stacks on disk, as the stack step leaves them, of a drawn field with catalogue stars."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit
from astro_assets.sim.catalogue import Stars, stars_near
from astro_assets.sim.pointing import Pointing
from astro_assets.sim.psf import Psf, add_stars
from astro_assets.store import ImageFile, write_image

SHAPE = (420, 520)
FIELD = Pointing(56.75, 24.12, 12.0, 20.0, SHAPE)
"""in the Pleiades, where catalogue stars are close"""
SKY_E, READ_NOISE_E = 120.0, 5.0


def write_stack(
    folder: Path,
    name: str,
    image: NDArray[np.floating],
    *,
    weight: float | NDArray[np.float32] = 1 / 145,
    exposure_s: float = 60.0,
    saturated: NDArray[np.bool_] | None = None,
) -> None:
    """One filter's image with WCS, mask and weight."""
    header = FIELD.wcs().to_header()
    header.update(
        {"OBJECT": "M 45", "FILTER": name, "EXPTIME": exposure_s, "TOTALEXP": 10 * exposure_s}
    )
    header["BUNIT"] = "electron"
    header["OBSERVER"], header["TELESCOP"], header["INSTRUME"] = "A. Body", "T20", "camera"
    header["DATE-OBS"] = "2026-11-20T20:00:00"
    mask = np.where(np.isfinite(image), 0, MaskBit.NO_DATA).astype(np.uint8)
    if saturated is not None:
        mask[saturated] |= np.uint8(MaskBit.SATURATED)
    weights = np.broadcast_to(np.asarray(weight, np.float32), image.shape).copy()
    weights[~np.isfinite(image)] = 0
    write_image(
        folder / f"{name}.fits",
        ImageFile(image.astype(np.float32), fits.Header(header), mask, {"WEIGHT": weights}),
    )


def stars_in_field(seed: int) -> tuple[Stars, NDArray[np.float64], NDArray[np.float64]]:
    """The simulated sky's stars and their 0-based pixels."""
    stars = stars_near(FIELD.ra_deg, FIELD.dec_deg, 1.2, seed=seed)
    return stars, *FIELD.pixels(stars.ra_deg, stars.dec_deg)


def exposed(
    seed: int,
    flux_e: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    fwhm_px: float = 2.8,
    more_e: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float32]:
    """The field with these stars, sky and noise."""
    rng = np.random.default_rng([seed, round(1000 * fwhm_px), int(flux_e[0]) % 100_000])
    image = np.full(SHAPE, SKY_E) + more_e
    add_stars(image, x, y, flux_e, Psf(fwhm_px))
    return (rng.poisson(image) + rng.normal(0, READ_NOISE_E, SHAPE)).astype(np.float32)


def write_field(
    folder: Path, seed: int, response: Mapping[str, tuple[str, float]], **how: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], Stars]:
    """Stacks of several filters.

    response : name of the filter → the channel whose magnitudes it sees, electrons of a star of
        magnitude 10
    """
    stars, x, y = stars_in_field(seed)
    for name, (channel, star_e) in response.items():
        flux_e = star_e * 10 ** (-0.4 * (stars.magnitude(channel) - 10))
        write_stack(folder, name, exposed(seed, flux_e, x, y, **how))
    return x, y, stars
