"""Stacks: noise against the ideal of the same weights, satellites, and Siril and SWarp beside."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import sep
from astropy.wcs import WCS
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from astro_assets.imaging.coverage import well_covered
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.nearest import nearest
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.sim.cameras import T20
from astro_assets.sim.conditions import Incidents
from astro_assets.sim.defects import Defects
from astro_assets.sim.session import SimulatedSession, simulate_session, small_camera
from astro_assets.store import ImageFile, read_image
from astro_assets_tests.steps.solved import stacked
from astro_assets_tests.validation.line import Line
from astro_assets_tests.validation.peers import peer
from astro_assets_tests.validation.siril import siril_stack
from astro_assets_tests.validation.swarp import swarped

LIGHTS = 10
_DEFECTS = Defects.none().with_only(
    "read_noise", "shot_noise", "dithers", "rotation", "saturation", "cosmic_rays", "satellite"
)
_SIDE = 8
_APERTURE_PX = 7.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one stack: noise of sums over the ideal, at the stars' true flux, and the stars' width."""

    noise: float
    fwhm_px: float
    elongation: float


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Noise, trails, and the other tools on the same frames."""
    ours, alike, siril, swarp, trails, false = [], [], [], [], [], []
    for seed in seeds:
        truth = session(seed)
        with tempfile.TemporaryDirectory() as folder:
            file = read_image(stacked(Path(folder), truth) / "G.fits")
        wcs = WCS(file.header)
        ours.append(figures(file.image, truth, wcs))
        left, alarms = trail_left(file, truth)
        trails.append(left)
        false.append(alarms)
        for theirs in by_siril(truth):
            siril.append(theirs)
            wider = max(theirs.fwhm_px**2 - ours[-1].fwhm_px ** 2, 0.0)
            alike.append(figures(file.image, truth, wcs, math.sqrt(wider / (8 * math.log(2)))))
        swarp += by_swarp(truth, seed, Grid(wcs, (file.image.shape[0], file.image.shape[1])))
    data = f"{LIGHTS} dithered, turned frames with rays and a satellite, {len(seeds)} seeds"
    worst = max(each.noise for each in ours)
    yield Line(
        "stack: noise of sums of 8 × 8 px", data, "ideal of the same weights", "1",
        f"{worst:.3f}", "≤ 1.05", worst <= 1.05,
    )  # fmt: skip
    yield Line(
        "stack: satellite", data, "truth", "–",
        f"{max(trails):.2f} of the stack's noise is left in the mean along the trail; "
        f"{100 * max(false):.2f} % of other values rejected",
        "≤ 0.3; ≤ 0.5 %", max(trails) <= 0.3 and max(false) <= 0.005,
    )  # fmt: skip
    how = "register, rej 3 3, addscale, weighted"
    yield from _beside("siril-cli", how, f"{data}; noise of both as wide", ours, alike, siril)
    without = f"{data} (SWarp: without these)"
    yield from _beside("SWarp", "LANCZOS3, WEIGHTED", without, ours, ours, swarp)


def _beside(
    tool: str,
    how: str,
    data: str,
    ours: Sequence[Figures],
    alike: Sequence[Figures],
    theirs: Sequence[Figures],
) -> Iterator[Line]:
    """Noise and width beside another tool's, in the mean over the seeds."""
    found = peer(tool)
    if found is None or len(theirs) < len(ours):
        yield Line(f"stack beside {tool}", data, tool, "not installed", "–", "no worse", None)
        return
    noise, other = (float(np.mean([f.noise for f in each])) for each in (alike, theirs))
    width, wide = (float(np.mean([f.fwhm_px for f in each])) for each in (ours, theirs))
    yield Line(
        "stack: noise of sums over star flux", data, f"{found.name}: {how}",
        f"{other:.3f} of the ideal", f"{noise:.3f}", "no worse (2 %)", noise <= 1.02 * other,
    )  # fmt: skip
    yield Line(
        "stack: FWHM", data, f"{found.name}: {how}", f"{wide:.2f} px", f"{width:.2f} px",
        "no worse (2 %)", width <= 1.02 * wide,
    )  # fmt: skip


def session(seed: int, defects: Defects = _DEFECTS) -> SimulatedSession:
    camera = small_camera(T20, (440, 520))
    return simulate_session(
        camera, seed=seed, lights=LIGHTS, defects=defects, incidents=Incidents(satellite=(3, 6))
    )


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect stack would show on some grid, in electrons of a frame under a clear sky.

    signal_e : (ny, nx) light above the sky, NaN where not all frames have data
    noise_e : of a pixel of the best weighted mean, as if pixels were independent
    """

    signal_e: NDArray[np.float64]
    noise_e: float


def truth_on(wcs: WCS, shape: tuple[int, int], truth: SimulatedSession) -> Truth:
    """The simulator's truth by the true projections and splines; nothing of the reduction."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ra_deg, dec_deg = wcs.all_pix2world(columns.ravel(), rows.ravel(), 0)
    total, signal = 0.0, np.zeros(shape)
    for light in truth.lights:
        clear = light.conditions.transparency
        weight = clear**2 / (light.sky_e + truth.camera.read_noise_e**2)
        x, y = light.conditions.pointing.pixels(ra_deg, dec_deg)
        at = np.stack([y.reshape(shape), x.reshape(shape)])
        above = (light.image_e - light.sky_e).astype(np.float64)
        seen = map_coordinates(above, at, order=3, mode="mirror")
        outside = (at < 3).any(axis=0) | (at[0] > above.shape[0] - 4) | (at[1] > above.shape[1] - 4)
        signal += weight * np.where(outside, np.nan, seen) / clear
        total += weight
    return Truth(signal / total, math.sqrt(1 / total))


def figures(
    image: NDArray[np.float32], truth: SimulatedSession, wcs: WCS, blur_px: float = 0.0
) -> Figures:
    """What one yardstick says of a stack, whatever its units.

    Parameters
    ----------
    blur_px : of a Gaussian that the noise is blurred by first, as another tool's stack is: what a
        blur carries over the edge of a sum makes it look less noisy than it is
    """
    shape = (image.shape[0], image.shape[1])
    expected = truth_on(wcs, shape, truth)
    signal_e = expected.signal_e
    blank = np.isfinite(signal_e) & np.isfinite(image) & (signal_e < 2 * expected.noise_e)
    plain = np.where(np.isfinite(image), image, 0).astype(np.float64)
    plain -= np.median(plain[blank])
    stars = truth.lights[0].stars
    x, y = wcs.all_world2pix(stars["ra_deg"], stars["dec_deg"], 0)
    seen, _, _ = sep.sum_circle(plain, x, y, _APERTURE_PX)
    there, _, _ = sep.sum_circle(np.nan_to_num(signal_e, nan=-1e9), x, y, _APERTURE_PX)
    flux = stars["flux_e"].to_numpy()
    usable = (there > 0) & (flux < np.quantile(flux, 0.97)) & (flux > np.quantile(flux, 0.6))
    scale = float(np.median(seen[usable] / there[usable]))
    residual = np.where(blank, plain / scale - signal_e, 0.0)
    residual = np.where(blank, gaussian_filter(residual, blur_px), np.nan)
    rows, columns = well_covered(np.isfinite(signal_e).astype(np.float32))
    inner = np.ascontiguousarray(plain[rows, columns], np.float32)
    fwhm_px, elongation = seeing(find_stars(inner, np.zeros(inner.shape, np.uint8)))
    return Figures(noise_of_sums(residual) / expected.noise_e, fwhm_px, elongation)


def noise_of_sums(residual: NDArray[np.float64]) -> float:
    """Of sums over 8 × 8 pixels of which most are known, per pixel as an aperture sees it."""
    ny, nx = (side // _SIDE for side in residual.shape)
    cells = residual[: ny * _SIDE, : nx * _SIDE].reshape(ny, _SIDE, nx, _SIDE)
    known = np.isfinite(cells).sum(axis=(1, 3))
    sums = np.nansum(cells, axis=(1, 3))
    full = known > 0.8 * _SIDE**2
    relative = sums[full] / np.sqrt(known[full])
    return float(np.std(relative - np.median(relative)))


def trail_left(file: ImageFile, truth: SimulatedSession) -> tuple[float, float]:
    """Mean over the trails' pixels in units of a pixel's noise, and the share of false alarms."""
    grid = Grid(WCS(file.header), (file.image.shape[0], file.image.shape[1]))
    hit = np.zeros(grid.shape, bool)
    rays = np.zeros(grid.shape, bool)
    for light in truth.lights:
        place = light.conditions.pointing.wcs()
        hit |= nearest(light.satellite.astype(np.float32), place, grid) > 0
        near_ray = grown(light.cosmic_rays)
        rays |= nearest(near_ray.astype(np.float32), place, grid) > 0
    blank = file.image < file.header["BKGLEVEL"] + 4 * file.header["BKGNOISE"]
    sky = blank & (file.planes["WEIGHT"] > 0)
    left = np.mean(file.image[sky & hit]) - np.mean(file.image[sky & ~hit & ~rays])
    clean = ~hit & ~rays
    rejected = (file.planes["REJ_HIGH"] + file.planes["REJ_LOW"])[clean].sum()
    alarms = rejected / max(int(file.planes["COUNT"][clean].sum()), 1)
    return abs(float(left)) / float(file.header["BKGNOISE"]), float(alarms)


def grown(hits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that resampling carries a ray's light to."""
    wide = np.zeros_like(hits)
    for y, x in np.argwhere(hits):
        wide[max(y - 5, 0) : y + 6, max(x - 5, 0) : x + 6] = True
    return wide


def by_siril(truth: SimulatedSession) -> list[Figures]:
    tool = peer("siril-cli")
    if tool is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        frames = [light.counts_adu.astype(np.uint16) for light in truth.lights]
        image = siril_stack(tool, Path(folder), frames)
    return [figures(image, truth, truth.lights[0].conditions.pointing.wcs())]


def by_swarp(truth: SimulatedSession, seed: int, grid: Grid) -> list[Figures]:
    """SWarp has no clip for few frames: it gets the same frames without rays and satellites."""
    tool = peer("SWarp")
    if tool is None:
        return []
    clean = session(seed, replace(_DEFECTS, cosmic_rays=False, satellite=False))
    gain = np.float32(clean.camera.gain_e_per_adu)
    images = [light.counts_adu.astype(np.float32) * gain for light in clean.lights]
    images = [image - np.float32(np.median(image)) for image in images]
    with tempfile.TemporaryDirectory() as folder:
        image = swarped(
            tool, Path(folder), images,
            [light.conditions.pointing.wcs() for light in clean.lights], grid,
        )  # fmt: skip
    return [figures(image, clean, grid.wcs)]
