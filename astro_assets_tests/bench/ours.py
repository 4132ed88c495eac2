"""Our side of the bench: the steps as the assets call them, files in, files out.

What belongs here: one function for each piece of work; it gives what it found. What does not: the
whole night (`whole_night`). Each removes what it makes, then makes it.
"""

import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

# As in the programs before numpy, whose threads it limits.
import astro_assets  # noqa: F401

# isort: split

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.frame import FrameKind
from astro_assets.imaging.cosmic_rays import cosmic_rays as search
from astro_assets.imaging.repair import INTERPOLATED, fill, places_to_repair
from astro_assets.imaging.solve import Solution
from astro_assets.imaging.warm import warm
from astro_assets.settings import Settings, load_settings
from astro_assets.steps.bad_pixels import make_bad_pixel_map
from astro_assets.steps.behind import written_behind
from astro_assets.steps.calibrate import calibrate_session
from astro_assets.steps.calibrated_header import calibrated_header
from astro_assets.steps.colour import write_picture
from astro_assets.steps.correct import MasterPlanes, electrons
from astro_assets.steps.detector import detector_of
from astro_assets.steps.inputs import RawFrame, raw_frames
from astro_assets.steps.masters import make_master
from astro_assets.steps.matching import Masters, masters
from astro_assets.steps.measure import measure
from astro_assets.steps.pool import map_frames
from astro_assets.steps.recipe import RECIPES
from astro_assets.steps.setup import setup_of
from astro_assets.steps.solve import accepted_files, solve_session
from astro_assets.steps.solving import SessionSolver
from astro_assets.steps.stack import stack_session
from astro_assets.steps.words import opened_light
from astro_assets.store import ImageFile, Store

SOURCE = "bench"
_CALIBRATIONS = (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT)


def opened(settings_file: str) -> tuple[Settings, Store]:
    """The settings and the products of a night that was fetched."""
    settings = load_settings(Path(settings_file))
    return settings, Store(settings.root)


def _sets(store: Store, kind: FrameKind) -> list[str]:
    return [name for name in _batches(store) if f"_{kind}_" in name]


def session(store: Store) -> str:
    """The night's lights."""
    calibrations = {name for kind in _CALIBRATIONS for name in _sets(store, kind)}
    return next(name for name in _batches(store) if name not in calibrations)


def _batches(store: Store) -> list[str]:
    return sorted(path.name for path in store.raw(SOURCE, "any").parent.iterdir())


def _warm(*_: str) -> None:
    warm()


def master_dark(settings_file: str) -> dict[str, float]:
    """One set of darks into a master, the master bias taken off."""
    _, store = opened(settings_file)
    name = _sets(store, FrameKind.DARK)[0]
    path = store.master(SOURCE, FrameKind.DARK, name)
    path.unlink(missing_ok=True)
    make_master(store, SOURCE, name, FrameKind.DARK, None)
    return {"median_adu": float(np.median(fits.getdata(path)))}


def all_masters(settings_file: str) -> dict[str, float]:
    """Bias, darks, three flats, and the bad pixels from them."""
    _, store = opened(settings_file)
    shutil.rmtree(store.master(SOURCE, FrameKind.BIAS, "any").parents[1], ignore_errors=True)
    for kind in _CALIBRATIONS:
        for name in _sets(store, kind):
            make_master(store, SOURCE, name, kind, None)
    made = masters(store, SOURCE)
    camera = next(master.camera for master in made if master.kind == "dark")
    make_bad_pixel_map(store, SOURCE, camera)
    return {"masters": len(made)}


def calibrate(settings_file: str) -> dict[str, float]:
    """All lights: masters applied, cosmic rays found, image and mask written."""
    _, store = opened(settings_file)
    name = session(store)
    shutil.rmtree(store.calibrated(SOURCE, name), ignore_errors=True)
    summary = calibrate_session(store, SOURCE, name, RECIPES["folder"], None)
    return {"frames": float(str(summary.figures["calibrated"]))}


def calibrate_alone(settings_file: str) -> dict[str, float]:
    """All lights as `calibrate` has them, but no cosmic rays looked for, as others do it."""
    _, store = opened(settings_file)
    name = session(store)
    folder = store.calibrated(SOURCE, name)
    shutil.rmtree(folder, ignore_errors=True)
    recipe, planes = RECIPES["folder"], MasterPlanes()
    night, available = date.fromisoformat(name[:10]), Masters(masters(store, SOURCE))

    def one(write: Callable[[Path, ImageFile], None], raw: RawFrame) -> None:
        light = opened_light(raw, recipe)
        ny, nx = light.image_adu.shape
        matched = available.match(setup_of(light.frame, (ny, nx)), night)
        detector = detector_of(light, matched, recipe, None)
        done = electrons(light, matched, recipe, detector, planes)
        fill(done.image_e, done.mask, places_to_repair(done.mask), 1, INTERPOLATED)
        header = calibrated_header(light, raw, matched, done.steps)
        file = ImageFile(image=done.image_e, header=header, mask=done.mask)
        write(folder / f"{raw.name}.fits", file)

    with written_behind() as write:
        done = map_frames(partial(one, write), raw_frames(store, SOURCE, name))
    return {"frames": len(done)}


def solve(settings_file: str) -> dict[str, float]:
    """All lights: sky, stars, plate solution, verdict, written."""
    settings, store = opened(settings_file)
    name = session(store)
    shutil.rmtree(store.solved(SOURCE, name), ignore_errors=True)
    solve_session(store, SOURCE, name, settings.limits, settings.solving, lambda _: None)
    return {"accepted": len(accepted_files(store.solved(SOURCE, name)))}


def solve_first(settings_file: str) -> dict[str, float]:
    """The first frame of a pointing: sky, stars and a plate solution that nothing helps with."""
    settings, store = opened(settings_file)
    first = min(store.calibrated(SOURCE, session(store)).glob("*.fits"))
    with tempfile.TemporaryDirectory() as folder:
        solver = SessionSolver(store, Path(folder), settings.solving, lambda _: None)
        ((_, solution),) = solver.solve_all([measure(first)], 1)
    assert isinstance(solution, Solution)
    return {"matched": float(solution.n_matched)}


def measure_one(settings_file: str) -> tuple[dict[str, float], NDArray[Any]]:
    """Sky, stars and their shapes of one calibrated frame."""
    _, store = opened(settings_file)
    first = min(store.calibrated(SOURCE, session(store)).glob("*.fits"))
    measured = measure(first)
    stars = measured.stars
    figures = {"stars": float(len(stars)), "fwhm_px": float(stars["fwhm_px"].median())}
    return figures, stars[["x", "y"]].to_numpy()


def cosmic_rays(frame: str) -> tuple[dict[str, float], NDArray[Any]]:
    """Cosmic rays of one calibrated frame in which nobody has looked for them."""
    with fits.open(frame) as file:
        image = file[0].data.astype(np.float32)
        saturation_e, read_noise_e = file[0].header["SATURATE"], file[0].header["RDNOISE"]
    mask = np.zeros(image.shape, np.uint8)
    found = search(image, mask, read_noise_e=read_noise_e, saturation_e=saturation_e, bayer=False)
    return {"pixels": float(found.sum())}, found


def stack(settings_file: str) -> dict[str, float]:
    """The session's lights onto one grid, combined filter by filter, and the colour picture."""
    settings, store = opened(settings_file)
    name = session(store)
    shutil.rmtree(store.stacks(SOURCE, name), ignore_errors=True)
    summary = stack_session(store, SOURCE, name, settings.solving)
    return {"filters": len(str(summary.figures["filters"]).split(", "))}


def color(settings_file: str) -> dict[str, float]:
    """The colour picture from the session's stacks."""
    _, store = opened(settings_file)
    name = session(store)
    write_picture(store.stacks(SOURCE, name), name)
    return {}


warm_master_dark = warm_all_masters = warm_calibrate = warm_calibrate_alone = warm_solve = _warm
warm_measure_one = warm_solve_first = warm_cosmic_rays = warm_stack = warm_color = _warm
