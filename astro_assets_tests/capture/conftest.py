"""A Pi without hardware: ZWO's library as a small one in C, a virtual PTP camera, rehearsals."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from astro_assets.capture.config import Config, read_config

NIGHT = "2026-11-20"
DUSK = datetime(2026, 11, 20, 17, tzinfo=UTC)
MODEL = "ASI294MC Pro"


@pytest.fixture(scope="session")
def asi_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C library of the ASI calls; compiled here, for the vendor's is not to be had."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: apt install gcc")
    library = tmp_path_factory.mktemp("asi") / "libASICamera2.so"
    source = Path(__file__).with_name("fake_asi.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


def write_config(folder: Path, **camera: object) -> Path:
    """A `config.ini` as users have it, with what is named changed or added in `[Camera]`."""
    keys = {
        "Brand": "Simulated", "Model": "One", "Exposure": 2, "ISO": 100, "Image_Frequency": 0.1,
        "Image_Format": "RAW", **camera,
    }  # fmt: skip
    lines = ["[Camera]", *(f"{key} = {value}" for key, value in keys.items())]
    lines += ["[Paths]", f"FILE_SAVE = {folder / 'captures'}"]
    lines += ["[Location]", "latitude = 53.2", "longitude = 6.5"]
    lines += ["[Retention]", "Disk_Floor_GB = 0.001"]
    file = folder / "config.ini"
    file.write_text("\n".join(lines) + "\n")
    return file


def write_plan(folder: Path, hours: float, dusk: datetime = DUSK, **more: object) -> Path:
    content = {
        "night": NIGHT,
        "dusk_utc": dusk.isoformat(),
        "dawn_utc": (dusk + timedelta(hours=hours)).isoformat(),
        "created_utc": dusk.isoformat(),
        **more,
    }
    file = folder / "plan.json"
    file.write_text(json.dumps(content))
    return file


@dataclass
class Pi:
    """A folder that is a Pi's home, and its program as one types it."""

    home: Path
    config: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def captures(self) -> Path:
        return self.home / "captures"

    @property
    def night(self) -> Path:
        return self.captures / NIGHT

    def read(self) -> Config:
        return read_config(self.config)

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "astro_assets.capture", "--config", str(self.config), *words]

    def run(self, *words: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.words(*words), env={**os.environ, **self.environment}, capture_output=True,
            text=True, check=False, timeout=120, **more,
        )  # fmt: skip

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.words(*words), env={**os.environ, **self.environment}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        return json.loads((self.night / "status.json").read_text())

    def manifest(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in (self.night / "manifest.jsonl").read_text().splitlines()
        ]


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path, write_config(tmp_path))


@pytest.fixture
def zwo_pi(tmp_path: Path, asi_library: Path) -> Pi:
    file = write_config(tmp_path, Brand="ZWO", Model=MODEL, Library=asi_library)
    (tmp_path / "faults").write_text("")
    environment = {"ASI_FAULTS": str(tmp_path / "faults"), "ASI_ABSENT": str(tmp_path / "absent")}
    return Pi(tmp_path, file, environment)


@pytest.fixture
def nikon_pi(tmp_path: Path) -> Pi:
    """gphoto2's own virtual camera, a Nikon D750, with one picture of noise in it."""
    pictures = tmp_path / "camera/DCIM/100NIKON"
    pictures.mkdir(parents=True)
    (pictures / "DSC_0001.JPG").write_bytes(os.urandom(50_000))
    file = write_config(tmp_path, Brand="Nikon", Model="D750", Exposure="1/20")
    return Pi(tmp_path, file, {"VCAMERADIR": str(tmp_path / "camera")})
