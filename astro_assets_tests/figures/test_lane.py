"""The figures of a lane against the simulator's truth: calibration, bad pixels, solution, stack."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.sim.exposure import Exposure
from astro_assets.steps import solve
from astro_assets.store import ImageFile, read_image
from astro_assets_tests.figures.expected import Expected, cells_of, expected, over_ideal
from astro_assets_tests.figures.lane import (
    LIGHTS,
    SATELLITE,
    SOURCE,
    SPOILED,
    Reduced,
    number_of,
)
from astro_assets_tests.figures.photometry import fluxes, rms_off

_BLANK = 1.3
"""Background is where a frame has no more than this times its sky."""
_BLOCKS = 4


@dataclass(frozen=True, slots=True)
class Compared:
    """A stack beside the truth. ``residual_e``: stack less truth, of zero median on blank sky."""

    channel: str
    reference: int
    file: ImageFile
    truth: Expected
    residual_e: NDArray[np.float64]
    blank: NDArray[np.bool_]


@pytest.fixture(scope="session")
def stacks(run: Reduced) -> list[Compared]:
    return list(compared(run))


def compared(run: Reduced) -> Iterator[Compared]:
    for name, path in run.stacks().items():
        file = read_image(path)
        channel = run.truth.channel or name
        reference = number_of(file.header["AAREF"])
        truth = expected(run, channel, WCS(file.header), file.image.shape, reference)
        blank = truth.blank & np.isfinite(file.image)
        residual_e = file.image - truth.signal_e
        residual_e -= np.median(residual_e[blank])
        yield Compared(channel, reference, file, truth, residual_e, blank)


def background(run: Reduced, light: Exposure) -> NDArray[np.bool_]:
    """Pixels of a frame that show little more than sky, and neither ray nor trail."""
    sky_e = np.empty_like(light.image_e)
    for channel, level_e in zip("RGB", light.sky_rgb_e, strict=True):
        for row, column, step in cells_of(run.truth.camera, channel):
            if run.truth.channel in (None, channel):
                sky_e[row::step, column::step] = level_e
    return (light.image_e < _BLANK * sky_e) & ~light.cosmic_rays & ~light.satellite


def injected(run: Reduced) -> NDArray[np.bool_]:
    """The bad pixels that the detector really has."""
    detector = run.truth.detector
    bad = detector.hot | detector.dead
    bad[:, list(detector.columns)] = True
    return bad


def test_background_after_calibration(run: Reduced) -> None:
    for number in run.good:
        light, calibrated = run.light(number), run.calibrated(number)
        assert calibrated.mask is not None
        sky = background(run, light) & (calibrated.mask == 0)
        assert sky.sum() > 50_000
        off_e = float(np.median(calibrated.image[sky] - light.image_e[sky]))
        assert abs(off_e) <= 1.0, f"light {number}: {off_e:.2f} e⁻"


def test_master_flat(run: Reduced) -> None:
    ratio = run.master("flat") / run.truth.detector.flat
    good = ~injected(run)
    step = 2 if run.truth.camera.bayer else 1
    for cell in [np.s_[row::step, column::step] for row in range(step) for column in range(step)]:
        residual = ratio[cell][good[cell]] / np.median(ratio[cell][good[cell]]) - 1
        assert np.sqrt(np.mean(residual**2)) <= 0.005


def test_flat_residual_on_the_sky(run: Reduced) -> None:
    """Corner to corner: what vignetting and dust have left of themselves, in large blocks."""
    shape = run.truth.camera.shape
    off, sky_e, counts = (np.zeros((_BLOCKS, _BLOCKS)) for _ in range(3))
    block = tuple(np.arange(side) * _BLOCKS // side for side in shape)
    for number in run.good:
        light, calibrated = run.light(number), run.calibrated(number)
        assert calibrated.mask is not None
        at = np.nonzero(background(run, light) & (calibrated.mask == 0))
        blocks = block[0][at[0]], block[1][at[1]]
        np.add.at(off, blocks, (calibrated.image - light.image_e)[at])
        np.add.at(sky_e, blocks, light.image_e[at])
        np.add.at(counts, blocks, 1)
    full = counts > 20_000
    assert full.sum() >= _BLOCKS**2 // 2
    assert np.abs(off[full] / sky_e[full]).max() <= 0.005


def test_bad_pixel_map(run: Reduced) -> None:
    detector, found = run.truth.detector, run.master("bad_pixels") != 0
    assert detector.hot.sum() > 100
    assert detector.dead.sum() > 30
    assert found[detector.hot].mean() >= 0.99
    assert found[detector.dead].mean() >= 0.99
    assert len(detector.columns) == 3
    assert (found[:, list(detector.columns)].mean(axis=0) >= 0.99).all()
    assert (found & ~injected(run)).mean() <= 0.001


def test_solutions(run: Reduced) -> None:
    for number in range(LIGHTS):
        stars, solved = run.light(number).stars, run.solved(number)
        x, y = WCS(fits.getheader(solved), relax=True).world_to_pixel_values(
            stars["ra_deg"], stars["dec_deg"]
        )
        off_px = np.sqrt(np.mean((x - stars["x"]) ** 2 + (y - stars["y"]) ** 2))
        assert off_px <= 0.3, f"light {number}: {off_px:.3f} px"


def test_verdicts(run: Reduced) -> None:
    table = solve.read_table(run.store.solved(SOURCE, run.session))
    assert len(table) == LIGHTS
    assert table["solved"].all()
    reasons = {number_of(str(row.frame)): str(row.reason) for row in table.itertuples()}
    rejected = {number_of(str(row.frame)) for row in table.itertuples() if not row.accepted}
    assert rejected == set(SPOILED)
    for number, word in SPOILED.items():
        assert reasons[number].startswith(f"{word}:")


def test_stack_noise(stacks: list[Compared]) -> None:
    for stack in stacks:
        noise = over_ideal(stack.residual_e, stack.truth, stack.blank)
        assert noise <= 1.1, f"{stack.channel}: {noise:.3f} times the ideal"


def test_trail_and_cosmic_rays_are_gone(run: Reduced, stacks: list[Compared]) -> None:
    """On the sky; a star that was hit shows in its flux (`test_photometry`)."""
    assert run.light(SATELLITE).satellite.any()
    n = len(run.good)
    for stack in stacks:
        trail, rays = stack.blank & stack.truth.trail, stack.blank & stack.truth.rays
        z = stack.residual_e / np.sqrt(stack.truth.variance)
        # Where a frame had to be left out, the noise is that of the others.
        z /= np.std(z[stack.blank & ~trail & ~rays]) * np.sqrt(n / (n - 1))
        assert trail.sum() > 1000
        assert rays.sum() > 0
        assert np.abs(z[trail | rays]).max() <= 5.0
        assert abs(z[trail].mean()) <= 0.3


def test_photometry(run: Reduced, stacks: list[Compared]) -> None:
    for stack in stacks:
        stars = measured(run, stack)
        assert len(stars) >= 20
        assert rms_off(stars) <= 0.02, f"{stack.channel}: {rms_off(stars):.4f}\n{stars}"


def measured(run: Reduced, stack: Compared) -> pd.DataFrame:
    """The stack's stars with their true flux in the reference frame."""
    catalogue = run.light(stack.reference).stars
    column = "flux_e" if run.truth.channel else f"flux_{stack.channel.lower()}_e"
    ra_deg, dec_deg = catalogue["ra_deg"].to_numpy(), catalogue["dec_deg"].to_numpy()
    frames = (
        (*run.light(number).conditions.pointing.pixels(ra_deg, dec_deg), run.truth.camera.shape)
        for number in run.good
    )
    return fluxes(stack.file, catalogue, column, frames)
