"""The bench's night: raw frames of one seeded night, in a folder as a capture program leaves it.

What belongs here: how many frames of which kind and size. What does not: the sky and the detector
(`astro_assets.sim`), who reduces them.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets import sim
from astro_assets.sim.cameras import NGC_7000, T20, Camera
from astro_assets.sim.conditions import Conditions, run_of
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import Exposure, expose
from astro_assets.sim.session import (
    FLAT_EXPOSURE_S,
    NO_INCIDENTS,
    bias_frames,
    dark_frames,
    flat_frames,
)

FILTERS = {"R": "Red", "G": "Green", "B": "Blue"}
TARGET = NGC_7000.target
FIELD = replace(NGC_7000, faint_per_deg2=1700.0)
_FIRST = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a night is: the camera's pixels, frames of each kind, flats and lights a filter."""

    name: str
    shape: tuple[int, int]
    biases: int
    darks: int
    flats: int
    lights: int

    def camera(self) -> Camera:
        """A camera whose field is 1.1° wide, whatever its pixels."""
        return replace(
            T20,
            name="Bench",
            shape=self.shape,
            scale_arcsec=4008 / self.shape[1],
            fwhm_px=3.0,
            hot_fraction=2000 / (self.shape[0] * self.shape[1]),
        )


WHOLE = Size("whole", (2672, 4008), biases=20, darks=20, flats=15, lights=20)
QUICK = Size("quick", (1336, 2004), biases=8, darks=8, flats=5, lights=5)


@dataclass(frozen=True, slots=True)
class Night:
    """The frames on disk, below ``folder``, and the detector behind them."""

    folder: Path
    size: Size
    seed: int

    @property
    def biases(self) -> list[Path]:
        return sorted((self.folder / "BIAS").glob("*.fits"))

    @property
    def darks(self) -> list[Path]:
        return sorted((self.folder / "DARK").glob("*.fits"))

    def flats(self, filter_name: str) -> list[Path]:
        return sorted((self.folder / "FLAT").glob(f"*_{filter_name}_*.fits"))

    def lights(self, filter_name: str) -> list[Path]:
        return sorted((self.folder / "LIGHT").glob(f"*_{filter_name}_*.fits"))

    @property
    def detector(self) -> Detector:
        return make_detector(self.size.camera(), Defects(), seed=self.seed)


def make_night(folder: Path, size: Size, seed: int = 1) -> Night:
    """Write the night's frames, unless they are there already, made by this simulator."""
    night = Night(folder / f"night-{size.name}-{seed}-{size.lights}", size, seed)
    done, simulator = night.folder / "done", _simulator()
    if done.exists() and done.read_text(encoding="ascii") == simulator:
        return night
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda write: _write(night.folder, *write), _frames(night)))
    done.write_text(simulator, encoding="ascii")
    return night


def _simulator() -> str:
    """What the frames depend on: with another simulator the truth would be another night's."""
    texts = [path.read_bytes() for path in sorted(Path(sim.__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"".join(texts)).hexdigest()


Frame = tuple[str, str, NDArray[np.unsignedinteger], dict[str, object]]


def _frames(night: Night) -> Iterator[Frame]:
    """Kind, name, counts and header of each frame, one at a time."""
    size, seed, detector = night.size, night.seed, night.detector
    exposure_s = detector.camera.exposure_s
    for k in range(size.biases):
        yield (
            "BIAS",
            f"bias_{k:03}",
            bias_frames(detector, 1, seed=seed + 1000 * k)[0],
            _cards("Bias Frame", 0.0, k),
        )
    for k in range(size.darks):
        yield (
            "DARK",
            f"dark_{k:03}",
            dark_frames(detector, 1, seed=seed + 1000 * k)[0],
            _cards("Dark Frame", exposure_s, k),
        )
    for channel, name in FILTERS.items():
        for k in range(size.flats):
            counts = flat_frames(detector, 1, seed=seed + 1000 * k, channel=channel)[0]
            cards = _cards("Flat Field", FLAT_EXPOSURE_S, k) | {"FILTER": name}
            yield "FLAT", f"flat_{name}_{k:03}", counts, cards
    yield from _lights(night, detector)


def _lights(night: Night, detector: Detector) -> Iterator[Frame]:
    camera = detector.camera
    for number, name in enumerate(FILTERS.values()):
        for k in range(night.size.lights):
            taken = light(night, detector, name, k)
            pointing = taken.conditions.pointing
            cards = (
                _cards("Light Frame", camera.exposure_s, 1000 * number + k)
                | _optics(camera)
                | {
                    "FILTER": name,
                    "OBJECT": TARGET,
                    "RA": (pointing.ra_deg, "[deg]"),
                    "DEC": (pointing.dec_deg, "[deg]"),
                }
            )
            yield "LIGHT", f"{TARGET.replace(' ', '')}_{name}_{k:03}", taken.counts_adu, cards


def conditions_of(night: Night, camera: Camera, name: str) -> list[Conditions]:
    """Pointing and seeing of each light of a filter."""
    number = list(FILTERS.values()).index(name)
    run = run_of(
        camera, FIELD, night.size.lights, NO_INCIDENTS, Defects(), seed=night.seed, run=number
    )
    return list(run)


def light(night: Night, detector: Detector, name: str, k: int) -> Exposure:
    """The ``k``-th light of a filter, with its truth."""
    number = list(FILTERS.values()).index(name)
    run = conditions_of(night, detector.camera, name)
    return expose(
        detector, FIELD, run[k], channel=list(FILTERS)[number], seed=night.seed,
        frame_number=1000 * number + k,
    )  # fmt: skip


def _cards(kind: str, exposure_s: float, number: int) -> dict[str, object]:
    start = _FIRST + timedelta(seconds=20 * number)
    return {
        "IMAGETYP": kind,
        "EXPTIME": exposure_s,
        "DATE-OBS": start.isoformat(timespec="milliseconds").removesuffix("+00:00"),
        "INSTRUME": "Bench",
        "CCD-TEMP": -15.0,
        "XBINNING": 1,
        "YBINNING": 1,
    }


def _optics(camera: Camera) -> dict[str, object]:
    pixel_um = 5.4
    return {
        "FOCALLEN": 206.265 * pixel_um / camera.scale_arcsec,
        "XPIXSZ": pixel_um,
        "YPIXSZ": pixel_um,
    }


def _write(
    folder: Path,
    kind: str,
    name: str,
    counts: NDArray[np.unsignedinteger],
    cards: dict[str, object],
) -> None:
    path = folder / kind / f"{name}.fits"
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(counts, fits.Header(list(_triples(cards)))).writeto(path, overwrite=True)


def _triples(cards: dict[str, object]) -> Iterator[tuple[object, ...]]:
    for key, value in cards.items():
        yield (key, *value) if isinstance(value, tuple) else (key, value)
