"""What a simulated night really holds: the yardstick for tests of the reduction.

What belongs here: reading the truth. What does not: writing it (`truth_writer`), and any judgement
of a reduction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.sim.conditions import Spoiled
from astro_assets.sim.effects import Ends


@dataclass(frozen=True, slots=True)
class FrameTruth:
    """The truth about one frame; what does not apply to a calibration frame is None.

    frame_id : unique in its source
    remote_path : as the source serves it, relative to the root that the source is configured
        with; the same for all members of a container
    member : the frame's name in a zip, else empty
    file : where it lies below ``served/<source>``
    kind : light, bias, dark or flat
    sha256 : of the served file (of the FITS for telescope.org, whose zips are made on request)
    fits_sha256 : of the FITS
    spoiled : why a frame is no good, or None
    fwhm_px : of the unblurred Moffat profile
    trail_px, ring_px : blur by trailing, by defocus
    sky_e : background electrons per pixel in image_e (mean over the Bayer cell)
    satellite : x0, y0, x1, y1 of a trail's ends, 0-based
    wcs : FITS keywords of the true projection (TAN)
    reversed : taken upside down and turned back, so that the detector lies upside down in it
    shape : (ny, nx) of the light-sensitive pixels; the file may have overscan beyond it
    """

    source: str
    frame_id: str
    remote_path: str
    member: str
    file: str
    kind: str
    night: str
    start_utc: str
    exposure_s: float
    sha256: str
    fits_sha256: str
    shape: tuple[int, int]
    gain_e_per_adu: float
    read_noise_e: float
    bayer: str | None = None
    target: str | None = None
    filter: str | None = None
    spoiled: Spoiled | None = None
    satellite: Ends | None = None
    fwhm_px: float | None = None
    trail_px: float | None = None
    ring_px: float | None = None
    transparency: float | None = None
    sky_e: float | None = None
    sky_rgb_e: tuple[float, float, float] | None = None
    wcs: Mapping[str, str | float] | None = None
    cosmic_ray_pixels: int | None = None
    reversed: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "FrameTruth":
        tuples = {
            key: tuple(content[key])
            for key in ("shape", "satellite", "sky_rgb_e")
            if content.get(key) is not None
        }
        known = {field.name for field in fields(cls)}
        return cls(**{k: v for k, v in content.items() if k in known} | tuples)


@dataclass(frozen=True, slots=True)
class DetectorTruth:
    """Maps of a source's detector, see `detector.Detector`."""

    hot: NDArray[np.bool_]
    dead: NDArray[np.bool_]
    columns: tuple[int, ...]
    flat: NDArray[np.float32]
    dark_e_per_s: NDArray[np.float32]
    bias_adu: NDArray[np.float32]


@dataclass(frozen=True)
class SimulatedNight:
    """A night on disk: what is served, and the truth about it.

    others : per source, paths (below ``served/<source>``) of files that the default selection
        leaves alone: raw twins, masters, pointing frames
    """

    root: Path
    seed: int
    night: str
    frames: tuple[FrameTruth, ...]
    others: Mapping[str, tuple[str, ...]]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(frame.source for frame in self.frames))

    def served(self, source: str) -> Path:
        """The folder that the source's server shows."""
        return self.root / "served" / source

    def of(self, source: str, kind: str = "light") -> tuple[FrameTruth, ...]:
        """A source's frames of one kind, in the order in which they were taken."""
        return tuple(f for f in self.frames if f.source == source and f.kind == kind)

    def frame(self, source: str, frame_id: str) -> FrameTruth:
        """The frame of that id. Raises KeyError."""
        return self._by_id[source, frame_id]

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], FrameTruth]:
        return {(frame.source, frame.frame_id): frame for frame in self.frames}

    def stars(self, source: str) -> pd.DataFrame:
        """frame (id), ra_deg, dec_deg, vt_mag, x, y, flux_e (Bayer: flux_r_e … too)."""
        return pd.read_parquet(self._folder(source) / "stars.parquet")

    def image(self, frame: FrameTruth) -> NDArray[np.float32]:
        """image_e (ny, nx): sky and stars in electrons, without noise or the detector's faults.

        Raises FileNotFoundError for a night that was made without truth images.
        """
        return np.asarray(self._planes(frame)["image_e"], np.float32)

    def cosmic_rays(self, frame: FrameTruth) -> NDArray[np.bool_]:
        """Pixels (ny, nx) that cosmic rays hit. Raises FileNotFoundError as `image` does."""
        return np.asarray(self._planes(frame)["cosmic_rays"], bool)

    def satellite(self, frame: FrameTruth) -> NDArray[np.bool_]:
        """Pixels (ny, nx) on a satellite's trail. Raises FileNotFoundError as `image` does."""
        return np.asarray(self._planes(frame)["satellite"], bool)

    def detector(self, source: str) -> DetectorTruth:
        with np.load(self._folder(source) / "detector.npz") as maps:
            return DetectorTruth(
                hot=maps["hot"],
                dead=maps["dead"],
                columns=tuple(int(column) for column in maps["columns"]),
                flat=maps["flat"],
                dark_e_per_s=maps["dark_e_per_s"],
                bias_adu=maps["bias_adu"],
            )

    def _planes(self, frame: FrameTruth) -> dict[str, NDArray[Any]]:
        with np.load(self._folder(frame.source) / f"{frame.frame_id}.npz") as planes:
            return dict(planes)

    def _folder(self, source: str) -> Path:
        return self.root / "truth" / source


def load(root: Path) -> SimulatedNight:
    """The night that `night.make_night` wrote to ``root``. Raises FileNotFoundError."""
    content = json.loads((root / "truth" / "truth.json").read_text(encoding="utf-8"))
    return SimulatedNight(
        root=root,
        seed=content["seed"],
        night=content["night"],
        frames=tuple(FrameTruth.from_json(frame) for frame in content["frames"]),
        others={source: tuple(paths) for source, paths in content["others"].items()},
    )
