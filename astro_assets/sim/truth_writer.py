"""Writes a simulated night's frames and the truth about them.

What belongs here: files and hashes. What does not: headers and names, which each source has its
own way of (`trees`).
"""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.sim.detector import Detector
from astro_assets.sim.exposure import Exposure
from astro_assets.sim.truth import FrameTruth

Cards = dict[str, str | int | float | bool]

# Any fixed moment does: the same seed gives the same bytes for ever.
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)


def fits_bytes(counts: NDArray[np.generic], cards: Cards) -> bytes:
    """A FITS file with one image and ``cards`` in its header."""
    hdu = fits.PrimaryHDU(counts)
    hdu.header.update(cards)
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def zip_bytes(member: str, content: bytes) -> bytes:
    """A zip of one file."""
    file = io.BytesIO()
    info = zipfile.ZipInfo(member, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, content, compresslevel=1)
    return file.getvalue()


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class TruthWriter:
    """Collects what a night holds; safe to use from several threads.

    images : also keep each light's noiseless image and masks
    """

    root: Path
    images: bool
    _frames: list[FrameTruth] = field(default_factory=list)
    _stars: dict[str, list[pd.DataFrame]] = field(default_factory=dict)
    _others: dict[str, list[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def served(self, source: str, path: str, content: bytes) -> Path:
        """Write a served file."""
        file = self.root / "served" / source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def other(self, source: str, path: str, content: bytes) -> None:
        """Write a served file that nobody should fetch by default."""
        self.served(source, path, content)
        with self._lock:
            self._others.setdefault(source, []).append(path)

    def calibration(self, frame: FrameTruth) -> None:
        with self._lock:
            self._frames.append(frame)

    def light(self, frame: FrameTruth, exposure: Exposure) -> None:
        """Keep the truth about a light frame; ``frame`` says what its source says of it."""
        conditions = exposure.conditions
        complete = replace(
            frame,
            spoiled=conditions.spoiled,
            satellite=conditions.satellite,
            fwhm_px=conditions.psf.fwhm_px,
            trail_px=conditions.psf.trail_px,
            ring_px=conditions.psf.ring_px,
            transparency=conditions.transparency,
            sky_e=exposure.sky_e,
            sky_rgb_e=exposure.sky_rgb_e if frame.bayer else None,
            wcs=conditions.pointing.cards(),
            cosmic_ray_pixels=int(exposure.cosmic_rays.sum()),
        )
        stars = exposure.stars.assign(frame=frame.frame_id)
        with self._lock:
            self._frames.append(complete)
            self._stars.setdefault(frame.source, []).append(stars)
        if self.images:
            np.savez(
                self._folder(frame.source) / f"{frame.frame_id}.npz",
                image_e=exposure.image_e,
                cosmic_rays=exposure.cosmic_rays,
                satellite=exposure.satellite,
            )

    def detector(self, source: str, detector: Detector) -> None:
        np.savez(
            self._folder(source) / "detector.npz",
            hot=detector.hot,
            dead=detector.dead,
            columns=np.array(detector.columns, np.int64),
            flat=detector.flat,
            dark_e_per_s=detector.dark_e_per_s,
            bias_adu=detector.bias_adu,
        )

    def close(self, *, seed: int, night: str) -> None:
        """Write `truth.json` and the star tables, in an order that does not depend on threads."""
        frames = sorted(self._frames, key=lambda f: (f.source, f.start_utc, f.frame_id))
        content = {
            "seed": seed,
            "night": night,
            "frames": [asdict(frame) for frame in frames],
            "others": {source: sorted(paths) for source, paths in sorted(self._others.items())},
        }
        text = json.dumps(content, indent=1) + "\n"
        (self.root / "truth").mkdir(parents=True, exist_ok=True)
        (self.root / "truth" / "truth.json").write_text(text, encoding="utf-8")
        for source, tables in self._stars.items():
            table = pd.concat(tables).sort_values(["frame", "vt_mag"], kind="stable")
            first = ["frame", *(name for name in table.columns if name != "frame")]
            table[first].reset_index(drop=True).to_parquet(self._folder(source) / "stars.parquet")

    def _folder(self, source: str) -> Path:
        folder = self.root / "truth" / source
        folder.mkdir(parents=True, exist_ok=True)
        return folder
