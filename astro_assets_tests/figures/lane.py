"""A simulated session, written as a camera writes it and taken through a folder source's lane.

What belongs here: from the simulator's arrays to FITS files, and the steps in the lane's order.
What does not: figures.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.frame import FrameKind
from astro_assets.settings import Settings, SourceSettings, load_settings
from astro_assets.sim.cameras import Camera
from astro_assets.sim.conditions import Incidents
from astro_assets.sim.exposure import Exposure
from astro_assets.sim.session import SimulatedSession, simulate_session
from astro_assets.sources.batches import Batch, look
from astro_assets.steps import bad_pixels, calibrate, fetch, masters, matching, solve, stack
from astro_assets.steps.recipe import RECIPES
from astro_assets.store import ImageFile, Store, read_image

SOURCE = "attic"
SATELLITE, TRAILING, CLOUD, DEFOCUS = 1, 3, 5, 6
INCIDENTS = Incidents(
    satellite=(SATELLITE,), trailing=(TRAILING,), cloud=(CLOUD,), defocus=(DEFOCUS,)
)
SPOILED = {TRAILING: "trailing", CLOUD: "cloud", DEFOCUS: "defocus"}
LIGHTS, CALIBRATIONS = 9, 12
"""Six good lights, and three that are spoiled."""
_START = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
_SETTINGS = """
root = "products"

[site]
name = "Attic"
latitude_deg = 28.76
longitude_deg = -17.88
timezone = "Atlantic/Canary"

[[sources]]
name = "attic"
kind = "folder"
path = "frames"
"""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A session's truth and what the lane has made of it."""

    truth: SimulatedSession
    store: Store
    session: str
    camera: str

    @property
    def good(self) -> tuple[int, ...]:
        """Numbers of the lights that nothing has spoiled."""
        return tuple(k for k in range(len(self.truth.lights)) if k not in SPOILED)

    def light(self, number: int) -> Exposure:
        return self.truth.lights[number]

    def master(self, kind: str) -> NDArray[np.float32]:
        (file,) = self.store.master(SOURCE, kind, "any").parent.glob("*.fits")
        return read_image(file).image

    def calibrated(self, number: int) -> ImageFile:
        return read_image(_of(self.store.calibrated(SOURCE, self.session), number))

    def solved(self, number: int) -> Path:
        """The solved file of light ``number``."""
        return _of(self.store.solved(SOURCE, self.session), number)

    def stacks(self) -> dict[str, Path]:
        """The session's images by channel."""
        return stack.channel_files(self.store.stacks(SOURCE, self.session))


def _of(folder: Path, number: int) -> Path:
    (file,) = folder.glob(f"light-{number:04d}*.fits")
    return file


def number_of(frame: str) -> int:
    """The number of the light that the frame of that name is."""
    return int(frame.split("-")[1])


def reduce(root: Path, camera: Camera, seed: int) -> Reduced:
    """Simulate a session of ``camera`` and take it from its files to the stack."""
    truth = simulate_session(
        camera,
        seed=seed,
        lights=LIGHTS,
        bias=CALIBRATIONS,
        darks=CALIBRATIONS,
        flats=CALIBRATIONS,
        incidents=INCIDENTS,
    )
    _write(root / "frames", truth)
    (root / "observatory.toml").write_text(_SETTINGS, encoding="utf-8")
    settings = load_settings(root / "observatory.toml")
    (source,) = settings.active_sources
    session = run_lane(settings, source)
    store = Store(settings.root)
    (bad_pixel_map,) = store.master(SOURCE, "bad_pixels", "any").parent.glob("*.fits")
    return Reduced(truth, store, session, bad_pixel_map.stem)


def run_lane(settings: Settings, source: SourceSettings) -> str:
    """Every step of the lane in its order; returns the session's key."""
    store = Store(settings.root)
    batches = look(source, settings)
    for batch in batches:
        fetch.fetch_raw(settings, source, batch.key, _silent)
    for kind in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT):
        masters.make_master(store, SOURCE, _only(batches, kind).key, kind, None)
    for camera in {master.camera for master in matching.masters(store, SOURCE)}:
        bad_pixels.make_bad_pixel_map(store, SOURCE, camera)
    session = _only(batches, FrameKind.LIGHT).key
    calibrate.calibrate_session(store, SOURCE, session, RECIPES[source.kind], None)
    solve.solve_session(store, SOURCE, session, settings.limits, settings.solving, _silent)
    stack.stack_session(store, SOURCE, session, settings.solving)
    return session


def _silent(line: str) -> None:
    del line


def _only(batches: list[Batch], kind: FrameKind) -> Batch:
    (batch,) = [batch for batch in batches if batch.kind is kind]
    return batch


def _write(folder: Path, truth: SimulatedSession) -> None:
    folder.mkdir(parents=True)
    lights = [light.counts_adu for light in truth.lights]
    kinds = [
        ("Flat Field", "flat", truth.flats, truth.flat_exposure_s),
        ("Bias Frame", "bias", truth.bias, 0.0),
        ("Dark Frame", "dark", truth.darks, truth.camera.exposure_s),
        ("Light Frame", "light", lights, truth.camera.exposure_s),
    ]
    start = _START
    for imagetyp, stem, frames, exposure_s in kinds:
        for number, counts in enumerate(frames):
            hdu = fits.PrimaryHDU(counts)
            hdu.header["IMAGETYP"] = imagetyp
            hdu.header["DATE-OBS"] = start.replace(tzinfo=None).isoformat()
            hdu.header["EXPTIME"] = exposure_s
            _describe(hdu.header, truth)
            hdu.writeto(folder / f"{stem}-{number:04d}.fits")
            start += timedelta(seconds=exposure_s + 2)


def _describe(header: fits.Header, truth: SimulatedSession) -> None:
    """What the camera says in every frame's header."""
    camera = truth.camera
    header["OBJECT"] = truth.field.target
    header["INSTRUME"] = camera.name
    header["EGAIN"] = camera.gain_e_per_adu
    header["GAIN"] = 120
    header["CCD-TEMP"] = -10.0
    header["SCALE"] = camera.scale_arcsec
    header["RA"], header["DEC"] = truth.field.ra_deg, truth.field.dec_deg
    if camera.bayer:
        header["BAYERPAT"] = camera.bayer
    else:
        header["FILTER"] = {"R": "Red", "G": "Green", "B": "Blue"}[truth.channel or "G"]
