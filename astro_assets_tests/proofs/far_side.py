"""What lies on the four servers during a proof, and the servers without threads in this process.

What belongs here: files in each source's own layout, the same bytes and times at each call. What
does not: the servers themselves (`faults.far`), faults (`gremlins`), what is done with the files.
"""

import io
import json
import logging
import multiprocessing
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from astropy.io import fits

from astro_assets.settings import Settings, load_settings
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.faults.far import Servers
from astro_assets_tests.sources.conftest import job, put, sha256

SOURCES = {"F": "itelescope", "V": "vespera", "H": "telescope_org", "S": "pi"}
NIGHT = "2026-11-20"
_MOMENT = 1_795_212_000  # that night, 22:00 UTC
_ZIP_TIME = (2026, 11, 20, 22, 0, 0)


@cache
def frame(seed: int, rows: int = 40) -> bytes:
    """A FITS file of noise, vouched for by DATASUM and CHECKSUM, the same bytes at each call."""
    pixels = np.random.default_rng(seed).integers(0, 65535, (rows, 60), dtype=np.uint16)
    hdu = fits.PrimaryHDU(pixels)
    hdu.add_checksum(when="")
    written = io.BytesIO()
    hdu.writeto(written)
    return written.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, zipfile.ZIP_DEFLATED, 1)
    return packed.getvalue()


def write(path: Path, content: bytes) -> None:
    """The same time for the same bytes, most likely another for others."""
    put(path, content)
    moment = _MOMENT + sum(content[-3000:]) % 3000
    os.utime(path, (moment, moment))


@dataclass
class FarSide:
    """Lights, sorted into sessions by their targets.

    letter : as in the matrix of faults
    served : the folder that the source's settings lead to
    """

    letter: str
    served: Path
    jobs: dict[int, dict[str, object]] = field(default_factory=dict)
    lines: dict[str, dict[str, object]] = field(default_factory=dict)

    def path(self, session: int, number: int) -> str:
        """The far path of a light."""
        if self.letter == "F":
            return f"T20/NGC {session}/{NIGHT.replace('-', '')}/{_member(session, number)}.zip"
        if self.letter == "V":
            folder = f"{NIGHT}_21-10-00_observation_M{session}/01-images-initial"
            return f"{folder}/img-{number:04d}.fits"
        if self.letter == "H":
            return f"{_jid(session, number)}.zip"
        return f"{NIGHT}/light-{session}-{number:04d}.fits"

    def file(self, session: int, number: int) -> Path:
        """The file that the server reads for it."""
        path = self.path(session, number)
        return self.served / (path if self.letter != "H" else path.replace(".zip", "/R.fits"))

    def add(self, session: int, number: int, content: bytes) -> None:
        """Put a light there, or anew; `announce` makes it known."""
        name = _member(session, number)
        write(self.file(session, number), zipped(name, content) if self.letter == "F" else content)
        if self.letter == "H":
            jid = _jid(session, number)
            more = {"objectname": f"M {session}", "filters": ["R"]}
            self.jobs[jid] = job(jid, jid) | more
        if self.letter == "S":
            facts = {
                "IMAGETYP": "Light Frame", "OBJECT": f"M {session}", "INSTRUME": "ZWO ASI294MC",
            }  # fmt: skip
            line = {"size": len(content), "sha256": sha256(content), "facts": facts}
            name = self.path(session, number).split("/")[1]
            self.lines[name] = {"file": name, "time": f"{NIGHT}T21:00:00+00:00", **line}

    def announce(self) -> None:
        """Write the lists that a source keeps of its files, as they are now."""
        if self.letter == "H":
            write(self.served / "jobs.json", json.dumps(list(self.jobs.values())).encode())
        if self.letter == "S":
            lines = "".join(json.dumps(line) + "\n" for line in self.lines.values())
            write(self.served / NIGHT / "manifest.jsonl", lines.encode())
            write(self.served / NIGHT / "status.json", b'{"phase": "done"}')


def _member(session: int, number: int) -> str:
    clock = f"21{number // 60:02d}{number % 60:02d}"
    return f"calibrated-T20-observer-NGC {session}-20261120-{clock}-Red-BIN1-W-60-{number:04d}.fit"


def _jid(session: int, number: int) -> int:
    return 400_000 + session * 1000 + number


@contextmanager
def serving(letter: str, root: Path, **options: object) -> Iterator[tuple[FarSide, Settings, str]]:
    """A server that runs in another process: its files, settings for it, and its name.

    options : what else the settings say of the source
    """
    if letter == "H":
        far = FarSide(letter, root / "served/telescope_org")
        far.served.mkdir(parents=True)
        with _simulated(root) as settings:
            yield far, settings, "simulated telescope.org"
    else:
        with closing(Servers()) as servers:
            there = servers.far(letter, root)
            there.options |= options
            yield FarSide(letter, there.served), there.settings, there.server


@contextmanager
def _simulated(root: Path) -> Iterator[Settings]:
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=_serve, args=(root, here, there), daemon=True)
    process.start()
    there.close()
    try:
        settings_toml, environment = here.recv()
        put(root / ".env", environment)
        yield load_settings(put(root / "observatory.toml", settings_toml))
    finally:
        here.close()
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(root: Path, others: Connection, pipe: Connection) -> None:
    others.close()
    logging.disable()  # it tells of every client that is killed
    with SimulatedObservatory(root, job_ready_after=0) as running:
        environment = "".join(f"{name}={value}\n" for name, value in running.environment.items())
        pipe.send((running.settings_toml(root / "data"), environment))
        # It ends when the other end of the pipe does, however that comes about.
        pipe.poll(None)
