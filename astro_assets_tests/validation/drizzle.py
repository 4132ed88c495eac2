"""Bayer drizzle: star fluxes and noise of each colour against the simulator's truth."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import sep
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.coverage import well_covered
from astro_assets.sim.cameras import VESPERA
from astro_assets.sim.defects import Defects
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets.store import ImageFile, read_image
from astro_assets_tests.steps.solved import stacked
from astro_assets_tests.validation.line import Line

LIGHTS = 16
_APERTURE_PX = 8.0
_BRIGHT = 300.0
_BETA = 3.5
_DEFECTS = Defects.none().with_only("read_noise", "shot_noise", "dithers", "rotation", "saturation")


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Fluxes of bright stars, the noise that an aperture sees, and the stars' width."""
    medians, scatters, noises, widths = [], [], [], []
    for seed in seeds:
        truth = session(seed)
        with tempfile.TemporaryDirectory() as folder:
            products = stacked(Path(folder), truth)
            files = {c: read_image(products / f"{c}.fits") for c in "RGB"}
        for colour, file in files.items():
            assert file.header["AABAYER"] == "Bayer drizzle", file.header["AABAYER"]
            off = flux_errors(file, truth, colour)
            medians.append(abs(float(np.median(off))))
            scatters.append(float(np.sqrt(np.mean((off - np.median(off)) ** 2))))
            noises.append(noise_over_weights(file))
            widths.append(file.header["FWHM"] / truth.lights[0].conditions.psf.fwhm_px)
    data = f"{LIGHTS} dithered, turned GBRG frames, {len(seeds)} seeds, each of R, G, B"
    yield Line(
        "drizzle: flux",
        f"{data}, stars of S/N > {_BRIGHT:g}",
        "truth",
        "–",
        f"{100 * max(medians):.2f} % (median star), ±{100 * max(scatters):.2f} %",
        "≤ 0.5 %",
        max(medians) <= 0.005,
    )
    worst = max(noises, key=lambda noise: abs(noise - 1))
    yield Line(
        "drizzle: noise of sums of 8 × 8 px",
        data,
        "WEIGHT of the stack",
        "1",
        f"{np.mean(noises):.3f} in the mean, {worst:.3f} at worst",
        "1 ± 0.05 in the mean",
        abs(float(np.mean(noises)) - 1) <= 0.05,
    )
    yield Line(
        "drizzle: width of stars",
        data,
        "truth",
        "1",
        f"{max(widths):.3f} of the frames'",
        "≤ 1.15",
        max(widths) <= 1.15,
    )


def session(seed: int, lights: int = LIGHTS) -> SimulatedSession:
    camera = small_camera(VESPERA, (420, 480))
    return simulate_session(camera, seed=seed, lights=lights, defects=_DEFECTS)


def flux_errors(file: ImageFile, truth: SimulatedSession, colour: str) -> NDArray[np.float64]:
    """Flux over truth, less one, of bright stars that are alone and not saturated."""
    first = truth.lights[0]
    stars = first.stars
    flux = stars[f"flux_{colour.lower()}_e"].to_numpy() / first.conditions.transparency
    reference = truth.lights[int(file.header["AAREF"].split("-")[1])]
    flux = flux * reference.conditions.transparency
    x, y = WCS(file.header).all_world2pix(stars["ra_deg"], stars["dec_deg"], 0)
    assert file.mask is not None
    sky = np.nan_to_num(file.image - np.float32(file.header["BKGLEVEL"]))
    rows, columns = well_covered(file.planes["WEIGHT"])
    border = 20
    inside = (x > columns.start + border) & (x < columns.stop - border)
    inside &= (y > rows.start + border) & (y < rows.stop - border)
    error = file.header["BKGNOISE"] * math.sqrt(math.pi) * _APERTURE_PX
    bright = inside & (flux > _BRIGHT * error)
    measured, _, _ = sep.sum_circle(
        np.ascontiguousarray(sky), x[bright], y[bright], _APERTURE_PX, bkgann=(14.0, 20.0)
    )
    alpha = first.conditions.psf.fwhm_px / (2 * math.sqrt(2 ** (1 / _BETA) - 1))
    caught = 1 - (1 + _APERTURE_PX**2 / alpha**2) ** (1 - _BETA)
    off = measured / (flux[bright] * caught) - 1
    alone = np.array(
        [
            ((np.hypot(x - u, y - v) < 25) & (flux > 0.002 * f)).sum() == 1
            for u, v, f in zip(x[bright], y[bright], flux[bright], strict=True)
        ]
    )
    saturated = file.mask[np.rint(y[bright]).astype(int), np.rint(x[bright]).astype(int)] & 4 != 0
    return np.asarray(off[alone & ~saturated])


def noise_over_weights(file: ImageFile) -> float:
    """Scatter of sums over 8 × 8 px of sky over what WEIGHT says of them."""
    rows, columns = well_covered(file.planes["WEIGHT"])
    image = file.image[rows, columns] - np.float32(file.header["BKGLEVEL"])
    weight = file.planes["WEIGHT"][rows, columns]
    ny, nx = (side // 8 for side in image.shape)
    cells = image[: ny * 8, : nx * 8].reshape(ny, 8, nx, 8)
    sums = cells.sum(axis=(1, 3))
    ideal = np.sqrt((1 / weight[: ny * 8, : nx * 8].reshape(ny, 8, nx, 8)).sum(axis=(1, 3)))
    relative = (sums / ideal).ravel()
    relative = relative[np.isfinite(relative)]
    low = relative[relative < np.median(relative)]
    return float(np.sqrt(np.mean((low - np.median(relative)) ** 2)))
