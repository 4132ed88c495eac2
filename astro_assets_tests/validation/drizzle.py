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
_CELL_PX = 8
_MOST_STARLIGHT = 0.3
"""of a cell's noise"""
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
            noises.append(noise_over_weights(file, truth, colour))
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


def noise_over_weights(file: ImageFile, truth: SimulatedSession, colour: str) -> float:
    """Scatter of sums over 8 × 8 px of sky, without starlight, over what WEIGHT says of them."""
    rows, columns = well_covered(file.planes["WEIGHT"])
    image = file.image[rows, columns] - np.float32(file.header["BKGLEVEL"])
    ideal = np.sqrt(_cell_sums(1 / file.planes["WEIGHT"][rows, columns]))
    relative = _cell_sums(image) / ideal
    dark = _starlight(file, truth, colour, relative.shape, (rows.start, columns.start))
    blank = np.isfinite(relative) & (dark < _MOST_STARLIGHT * ideal)
    off = relative[blank] - np.median(relative[blank])
    # A few cells hold what the list of stars does not know: an outlier that was left.
    return float(np.std(off[np.abs(off) < 4]))


def _cell_sums(image: NDArray[np.float32]) -> NDArray[np.float64]:
    ny, nx = (side // _CELL_PX for side in image.shape)
    cells = image[: ny * _CELL_PX, : nx * _CELL_PX].reshape(ny, _CELL_PX, nx, _CELL_PX)
    return np.asarray(cells.sum(axis=(1, 3)), np.float64)


def _starlight(
    file: ImageFile,
    truth: SimulatedSession,
    colour: str,
    cells: tuple[int, ...],
    origin: tuple[int, int],
) -> NDArray[np.float64]:
    """At most so many electrons of all stars in each cell: as in its corner nearest to the star."""
    first = truth.lights[0]
    alpha = first.conditions.psf.fwhm_px / (2 * math.sqrt(2 ** (1 / _BETA) - 1))
    y, x = (np.mgrid[: cells[0], : cells[1]] + 0.5) * _CELL_PX - 0.5
    light = np.zeros(cells)
    stars = first.stars
    star_x, star_y = WCS(file.header).all_world2pix(stars["ra_deg"], stars["dec_deg"], 0)
    for u, v, flux in zip(star_x, star_y, stars[f"flux_{colour.lower()}_e"], strict=True):
        away = np.hypot(x + origin[1] - u, y + origin[0] - v) - _CELL_PX / math.sqrt(2)
        peak = flux * (_BETA - 1) / (math.pi * alpha**2)
        light += _CELL_PX**2 * peak * (1 + (np.maximum(away, 0) / alpha) ** 2) ** -_BETA
    return light
