"""Frames put where a fetch puts them, for the steps that calibrate.

What belongs here: writing them. What does not: what becomes of them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.frame import FrameKind
from astro_assets.sources.manifest import LocalFile, Manifest, Record, Status
from astro_assets.steps.calibrate import LEDGER, calibrate_session
from astro_assets.steps.masters import make_master
from astro_assets.steps.recipe import Recipe
from astro_assets.steps.summary import Summary
from astro_assets.store import ImageFile, Store, read_image

SHAPE = (64, 80)
NIGHT = "2026-11-20"
SESSION = f"{NIGHT}_M31_Cam"
CAMERA: dict[str, Any] = {"INSTRUME": "Cam", "GAIN": 100, "CCD-TEMP": -10.0}
KINDS = {
    FrameKind.BIAS: "Bias Frame",
    FrameKind.DARK: "Dark Frame",
    FrameKind.FLAT: "Flat Field",
    FrameKind.LIGHT: "Light Frame",
}


@dataclass
class Lane:
    """One source's frames and what the steps make of them."""

    store: Store
    recipe: Recipe = field(default_factory=Recipe)
    gain: float | None = 1.0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20))

    def noise(self, level: float, sigma: float = 5.0) -> NDArray[np.float64]:
        return self.random.normal(level, sigma, SHAPE)

    def put(
        self,
        batch: str,
        kind: FrameKind,
        frames: Mapping[str, NDArray[Any] | fits.HDUList],
        facts: Mapping[str, str] | None = None,
        **cards: Any,
    ) -> None:
        """Publish frames by name; arrays of floats become counts."""
        folder = self.store.raw("far", batch)
        folder.mkdir(parents=True, exist_ok=True)
        records = []
        for name, content in frames.items():
            header = fits.Header(CAMERA | {"IMAGETYP": KINDS[kind]} | cards)
            path = folder / f"{name}.fits"
            _as_file(content, header).writeto(path, overwrite=True)
            written = path.read_bytes()
            sha256 = hashlib.sha256(written).hexdigest()
            here = LocalFile(path.name, len(written), sha256, False)
            records.append(
                Record(
                    path.name, len(written), None, sha256, Status.PUBLISHED, "", (here,),
                    dict(facts or {}),
                )
            )  # fmt: skip
        Manifest(folder, "far", batch, kind, tuple(records)).save()

    def master(
        self, kind: FrameKind, level: float, count: int = 5, name: str = "", **cards: Any
    ) -> Summary:
        """A set of frames of noise around a level, combined."""
        frames = {f"{kind.value}{name}{n}": self.noise(level) for n in range(count)}
        return self.combined(kind, frames, name, **cards)

    def combined(
        self,
        kind: FrameKind,
        frames: Mapping[str, NDArray[Any]],
        name: str = "",
        facts: Mapping[str, str] | None = None,
        **cards: Any,
    ) -> Summary:
        batch = self.set_name(kind, name)
        self.put(batch, kind, frames, facts, **cards)
        return make_master(self.store, "far", batch, kind, self.gain, self.recipe)

    def set_name(self, kind: FrameKind, name: str = "") -> str:
        return f"{NIGHT}_{kind.value}_Cam{name}"

    def master_file(self, kind: FrameKind, name: str = "") -> ImageFile:
        return read_image(self.store.master("far", kind, self.set_name(kind, name)))

    def calibrated(self) -> Summary:
        return calibrate_session(self.store, "far", SESSION, self.recipe, self.gain)

    def lights(self, frames: Mapping[str, NDArray[Any] | fits.HDUList], **cards: Any) -> Summary:
        """Put lights there, and calibrate them."""
        stated = {"EXPTIME": 300.0, "DATE-OBS": f"{NIGHT}T22:00:00"} | cards
        self.put(SESSION, FrameKind.LIGHT, frames, {"OBJECT": "M 31"}, **stated)
        return self.calibrated()

    def product(self, name: str) -> ImageFile:
        (path,) = self.store.calibrated("far", SESSION).glob(f"{name}*.fits")
        return read_image(path)

    def told(self, sentence: str, name: str = "light") -> bool:
        """Whether the product's history has it; blanks are lost where its lines end."""
        history = str(self.product(name).header.get("HISTORY", ""))
        return "".join(sentence.split()) in "".join(history.split())

    @property
    def ledger(self) -> Path:
        return self.store.calibrated("far", SESSION) / LEDGER


def _as_file(content: NDArray[Any] | fits.HDUList, header: fits.Header) -> fits.HDUList:
    if isinstance(content, fits.HDUList):
        return content
    counts = content.dtype == np.float64
    pixels = content.round().clip(0, 65535).astype(np.uint16) if counts else content
    return fits.HDUList([fits.PrimaryHDU(pixels, header)])


def ready_made(kind: FrameKind) -> dict[str, str]:
    """What a source says of a master that it brings."""
    return {"IMAGETYP": f"Master {kind.capitalize()}"}
