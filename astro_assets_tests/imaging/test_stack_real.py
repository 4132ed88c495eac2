"""Eleven real frames of M 94, from solved frames to the colour picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

import astro_assets
from astro_assets.data import INDEX_FILES
from astro_assets.imaging.background import background
from astro_assets.imaging.bayer import debayer, luminance
from astro_assets.imaging.color import compose
from astro_assets.imaging.coverage import well_covered
from astro_assets.imaging.grid import Grid, common_grid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.solve import Hint, refine, solve
from astro_assets.imaging.stack import Layer, Stacked, stack
from astro_assets.imaging.stars import find_stars, seeing
from astro_assets.imaging.stretch import SKY_GREY, autostretch
from astro_assets.imaging.warp import Warped, warp
from astro_assets.steps.catalogue import index_stars, open_solver

FRAMES = Path(astro_assets.__file__).parents[2] / "shared" / "data" / "seestar_m94"
M94_DEG = (192.7211, 41.1203)
pytestmark = pytest.mark.skipif(
    not FRAMES.is_dir(),
    reason="the real frames (shared/data/seestar_m94) are not beside the project",
)


@dataclass
class Session:
    grid: Grid
    green: list[Warped]
    noise: list[float]
    seeing: list[tuple[float, float]]
    stacks: dict[str, Stacked]


@pytest.fixture(scope="module")
def session() -> Session:
    raw, wcss, sizes = [], [], []
    catalogue, solver = index_stars(INDEX_FILES), open_solver(INDEX_FILES)
    for path in sorted(FRAMES.glob("*.fit")):
        image, header = fits.getdata(path, header=True)
        image = image.astype(np.float32)
        mask = np.where(image > 65_000, MaskBit.SATURATED, 0).astype(np.uint8)
        mask[image <= 0] = MaskBit.NO_DATA
        grey, bits = luminance(image, mask, header["BAYERPAT"])
        stars = find_stars(grey, bits)
        sizes.append(seeing(stars))
        if not wcss:
            hint = Hint(header["RA"], header["DEC"], 2.37)
            wcss.append(solve(stars, image.shape, solver, catalogue, hint).wcs)
        else:
            wcss.append(refine(stars, wcss[0], catalogue, image.shape).wcs)
        raw.append((image, mask, header["BAYERPAT"]))
    grid = common_grid(wcss, [image.shape for image, _, _ in raw])
    layers: dict[str, list[Layer]] = {"R": [], "G": [], "B": []}
    green, noise = [], []
    for index, ((image, mask, pattern), wcs) in enumerate(zip(raw, wcss, strict=True)):
        for name, plane, bits in zip("RGB", *debayer(image, mask, pattern), strict=True):
            if name != "G" and index % 2:
                continue  # a few are enough for the colour, and take less time
            sky, out = background(plane, bits), warp(plane, bits, wcs, grid)
            layers[name].append(
                Layer.held(out.image, out.weight, sky.median_e * out.area, sky.rms_e, 1.0, out.mask)
            )
            if name == "G":
                green.append(out)
                noise.append(spread(out.image, grid))
    stacks = {name: stack(members) for name, members in layers.items()}
    return Session(grid, green, noise, sizes, stacks)


def middle(grid: Grid) -> tuple[slice, slice]:
    """A part of the sky that every frame holds, away from the galaxy."""
    return slice(200, 700), slice(200, 900)


def spread(image: np.ndarray, grid: Grid) -> float:
    """Noise without gradients and stars: the clipped difference of neighbours 8 pixels apart."""
    part = image[middle(grid)]
    difference = (part[8:] - part[:-8]).ravel() / np.sqrt(2)
    return float(1.4826 * np.median(np.abs(difference - np.median(difference))))


def test_the_stack_is_as_deep_as_eleven_frames_can_be(session: Session):
    assert len(session.green) == 11
    single = min(session.noise)
    deep = spread(session.stacks["G"].image, session.grid)
    assert single / deep > 0.9 * np.sqrt(11)


def test_stars_in_the_stack_are_as_sharp_and_round_as_in_the_frames(session: Session):
    rows, columns = well_covered(session.stacks["G"].weight)
    green = np.nan_to_num(session.stacks["G"].image[rows, columns])
    fwhm, elongation = seeing(find_stars(green, session.stacks["G"].mask[rows, columns]))
    assert fwhm < 1.15 * np.median([size for size, _ in session.seeing])
    assert elongation < 1.05 * np.median([e for _, e in session.seeing])


def test_m_94_is_a_galaxy_in_a_neutral_sky(session: Session):
    composed = compose(
        {name: s.image for name, s in session.stacks.items()},
        {name: s.mask for name, s in session.stacks.items()},
    )
    assert composed.balance.n_stars > 20
    picture = autostretch(composed.rgb) / 65535
    x, y = session.grid.wcs.all_world2pix(*M94_DEG, 0)
    v, u = np.mgrid[: session.grid.shape[0], : session.grid.shape[1]]
    distance = np.hypot(u - x, v - y)
    grey = picture.mean(axis=0)
    core, disc, sky = (
        np.median(grey[(distance >= low) & (distance < high)])
        for low, high in ((0, 4), (20, 30), (300, 400))
    )
    assert sky == pytest.approx(SKY_GREY, abs=0.04)
    assert core > 0.6
    assert core < 0.99
    assert sky + 0.05 < disc < core - 0.1
    colours = [np.median(plane[(distance > 300) & (distance < 400)]) for plane in picture]
    assert np.ptp(colours) < 0.02
