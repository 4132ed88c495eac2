"""A small night on four real servers, and a folder."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.settings import Settings, load_settings
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import Manifest
from astro_assets.store import Store

NIGHT = "2026-11-20"
T20 = "T20/NGC 7000/20261120"
VESPERA = "2026-11-20_21-10-00_observation_M31"


@cache  # a checksum's comment holds the time of day
def frame(seed: int, *, checksum: bool = False, **cards: str | float) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 65535, (40, 60), dtype=np.uint16)
    hdu = fits.PrimaryHDU(pixels)
    hdu.header.update(cards)
    written = io.BytesIO()
    hdu.writeto(written, checksum=checksum)
    return written.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def itelescope_name(sequence: int, colour: str = "Red") -> str:
    moment = f"20261120-2145{sequence:02d}"
    return f"calibrated-T20-observer-NGC 7000-{moment}-{colour}-BIN1-W-60-{sequence:03d}.fit"


def add_itelescope(served: Path, sequence: int, content: bytes | None = None) -> Path:
    name = itelescope_name(sequence)
    content = zipped({name: frame(sequence)}) if content is None else content
    return put(served / "itelescope" / T20 / f"{name}.zip", content)


def add_pi(served: Path, name: str, content: bytes, *, night: str = NIGHT, **facts: str) -> Path:
    folder = served / "pi/captures" / night
    path = put(folder / name, content)
    line = {
        "file": name,
        "size": len(content),
        "sha256": sha256(content),
        "time": "2026-11-20T21:00:00+00:00",
        "facts": {"IMAGETYP": "Light Frame", "OBJECT": "M 42", "EXPTIME": "10.0", **facts},
    }
    with (folder / "manifest.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    return path


def job(jid: int | None, rid: int, status: int = 8) -> dict[str, Any]:
    completed = f"2026-11-20T23:{rid % 60:02d}:00+00:00" if jid else None
    return {
        "jid": jid,
        "rid": rid,
        "objecttype": "RADEC",
        "objectname": "M 45",
        "objectid": "03:47:00.00 +24:07:00.00",
        "telescope": "cluster",
        "exposure_ms": 60000,
        "filters": ["B", "V", "R"],
        "completed_utc": completed,
        "requesttime": 1795000000 + rid,
        "status": status,
        "flatid": 31 if jid else None,
    }


def make_tree(root: Path) -> Path:
    """The served folders, as the simulated observatory wants them."""
    served = root / "served"
    for sequence in (1, 2):
        add_itelescope(served, sequence)
    put(served / "itelescope" / T20 / f"raw{itelescope_name(1)[10:]}.zip", zipped({"a.fit": b"x"}))
    put(served / "itelescope/CALIBRATION FILES/T20/Masters/calibrated.fit.zip", b"x")
    for number in (1, 2):
        stage = served / "vespera/user" / VESPERA / "01-images-initial"
        put(stage / f"img-000{number}.fits", frame(10 + number))
        put(stage / f"img-000{number}.json", "{}")
        put(stage / f"img-000{number}.tif", b"II*\0")
    put(served / "vespera/user" / VESPERA / "img-0001-dark.fits", frame(20))
    put(served / "vespera/user" / VESPERA / "01-pointing-initial/img-0001.fits", frame(21))
    jobs = [job(423183, 771716), job(423183, 771970), job(None, 771971, 3), job(None, 771972, 20)]
    put(served / "telescope_org/jobs.json", json.dumps(jobs))
    for number, colour in enumerate("BVR"):
        put(served / f"telescope_org/423183/{colour}.fits", frame(30 + number, FILTER=colour))
    for number in (1, 2):
        add_pi(served, f"light-{number}.fits", frame(40 + number), INSTRUME="ZWO ASI294MC")
    more = {"INSTRUME": "ZWO ASI294MC", "GAIN": "120"}
    add_pi(served, "dark-1.fits", frame(50), IMAGETYP="Dark Frame", **more)
    put(served / "pi/captures" / NIGHT / "unfinished.fits", frame(60))
    put(served / "pi/captures" / NIGHT / "status.json", '{"phase": "done"}')
    return served


class Kept(bytearray):
    """A sink that keeps what a transport gives, and continues nothing."""

    def begin(self, version: str) -> int:
        self.clear()
        return 0

    def write(self, chunk: bytes | memoryview) -> int:
        self += chunk
        return len(chunk)


@dataclass(frozen=True)
class Night:
    """An observatory that runs, its settings, and what a user does with them."""

    observatory: SimulatedObservatory
    settings: Settings
    served: Path
    file: Path

    @property
    def store(self) -> Store:
        return Store(self.settings.root)

    def with_more_settings(self, text: str) -> "Night":
        self.file.write_text(self.file.read_text() + text)
        return replace(self, settings=load_settings(self.file))

    def look(self, source: str) -> list[Batch]:
        return look(self.settings.source(source), self.settings)

    def fetch(self, source: str, key: str | None = None) -> dict[str, Manifest]:
        settings = self.settings.source(source)
        return {
            batch.key: fetch_batch(
                partial(connect, settings, self.settings.secrets), batch, self.store
            )
            for batch in self.look(source)
            if key in (None, batch.key)
        }


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    served = make_tree(tmp_path / "sim")
    with SimulatedObservatory(tmp_path / "sim") as observatory:
        file = put(tmp_path / "observatory.toml", observatory.settings_toml(tmp_path / "data"))
        observatory.write_environment(tmp_path / ".env")
        yield Night(observatory, load_settings(file), served, file)
