"""A far side for each letter of the matrix: its server, and where its frames lie.

What belongs here: the four. What does not: what is the same for all of them (`far_side`), the
servers' programs (`servers`).
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from astro_assets.sim.servers.certificates import Certificates
from astro_assets.sim.servers.telescope_org import TelescopeOrgServer
from astro_assets_tests.faults.far_side import PASSWORD, Far, Outcome
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import HOST, Running, folder
from astro_assets_tests.faults.servers.pure_ftpd import pure_ftpd
from astro_assets_tests.faults.servers.sshd import known, sshd
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import job, put, sha256, zipped

__all__ = [
    "PASSWORD",
    "Far",
    "ItelescopeFar",
    "Outcome",
    "PiFar",
    "Servers",
    "TelescopeOrgFar",
    "VesperaFar",
]

NIGHT = "2026-11-20"


class ItelescopeFar(Far):
    """vsftpd with TLS and session reuse required."""

    name = "itelescope"
    home = f"T20/M 31/{NIGHT.replace('-', '')}"

    def path(self, name: str) -> str:
        """Frames there begin with ``calibrated-``."""
        return f"{self.home}/calibrated-{name}"

    def _options(self) -> dict[str, object]:
        login = {"user_env": "FAR_USER", "password_env": "FAR_PASSWORD"}
        return {**login, "ca_file": str(self._running.ca_file)}


class VesperaFar(Far):
    """pure-ftpd, or whatever else knows MLSD, without TLS."""

    name = "vespera"
    home = f"{NIGHT}_21-10-00_observation_M31/01-images-initial"

    def __init__(self, running: Running, folder: Path) -> None:
        super().__init__(running, folder)
        self.served = running.served / "user"
        self.served.mkdir()
        self.served.chmod(0o777)

    def _options(self) -> dict[str, object]:
        return {}


class TelescopeOrgFar(Far):
    """The simulated site with one job; what is put there is a member of the job's zip."""

    name = "telescope_org"
    _jobs = itertools.count(423183)

    def __init__(self, running: Running, folder: Path) -> None:
        super().__init__(running, folder)
        # Pages of finished jobs are remembered by the client: each test has a job of its own.
        self.jid = next(self._jobs)
        self.home = str(self.jid)
        self._entry = job(self.jid, self.jid)
        put(self.served / "jobs.json", "[]")

    @property
    def job(self) -> str:
        """The far path of the job's zip."""
        return f"{self.jid}.zip"

    def put(self, name: str, content: bytes) -> str:
        self._announce()
        return super().put(name, content)

    def put_download(self, content: bytes) -> str:
        """Serve these bytes as the job's zip. Returns its far path."""
        self._announce()
        put(self.served / str(self.jid) / _VERBATIM, content)
        return self.job

    def _announce(self) -> None:
        put(self.served / "jobs.json", json.dumps([self._entry]))

    def _options(self) -> dict[str, object]:
        login = {"user_env": "FAR_USER", "password_env": "FAR_PASSWORD"}
        return {**login, "ca_file": str(self._running.ca_file)}


class PiFar(Far):
    """sshd with a night whose manifest names every frame."""

    name = "pi"
    home = NIGHT

    def __init__(self, running: Running, folder: Path) -> None:
        super().__init__(running, folder)
        self.served = running.served / "captures"
        put(self.served / NIGHT / "status.json", '{"phase": "done"}')

    def put(self, name: str, content: bytes, **line: object) -> str:
        """``line`` is what the manifest says beyond the truth, or against it."""
        super().put(name, content)
        entry = {
            "file": name,
            "size": len(content),
            "sha256": sha256(content),
            "time": f"{NIGHT}T21:00:00+00:00",
            "facts": {"IMAGETYP": "Light Frame", "OBJECT": "M 31", "INSTRUME": "ZWO ASI294MC"},
        }
        with (self.served / NIGHT / "manifest.jsonl").open("a") as file:
            file.write(json.dumps(entry | line) + "\n")
        return self.path(name)

    @property
    def secrets(self) -> dict[str, str]:
        return {"FAR_USER": self._running.more["user"]}

    def _options(self) -> dict[str, object]:
        public = self._running.more["host_key"].split()
        known_hosts = put(self._folder / "known_hosts", known(self.address[1], public))
        key_file = self._running.more["key_file"]
        return {
            "user_env": "FAR_USER",
            "key_file": key_file,
            "known_hosts": str(known_hosts),
            "path": str(self.served),
        }


_VERBATIM = "download.zip"


@contextmanager
def telescope_org() -> Iterator[Running]:
    """The simulated site, whose jobs hold all files of their folders."""
    with folder("telescope-org") as home:
        served = home / "served"
        served.mkdir()
        shown = identity(home)
        server = TelescopeOrgServer(
            served,
            user="anonymous",
            password=PASSWORD,
            certificates=Certificates(shown.ca_file, shown.certificate_file, shown.key_file),
            job_ready_after=0,
            zip_of=_packed,
        )
        server.start()
        try:
            yield Running("simulated telescope.org", HOST, server.port, served, shown.ca_file)
        finally:
            server.stop()


def _packed(served: Path, entry: Mapping[str, object]) -> bytes:
    folder = served / str(entry["jid"])
    verbatim = folder / _VERBATIM
    if verbatim.is_file():
        return verbatim.read_bytes()
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return zipped({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


@contextmanager
def _vsftpd_with_tls() -> Iterator[Running]:
    with folder("identity") as home, vsftpd(identity(home)) as running:
        yield running


_KINDS: dict[str, tuple[type[Far], Callable[[], AbstractContextManager[Running]]]] = {
    "F": (ItelescopeFar, _vsftpd_with_tls),
    "V": (VesperaFar, pure_ftpd),
    "H": (TelescopeOrgFar, telescope_org),
    "S": (PiFar, sshd),
}


class Servers:
    """The servers of a test run: each is started when it is needed first."""

    def __init__(self) -> None:
        self._exits = ExitStack()
        self._running: dict[str, Running] = {}

    def close(self) -> None:
        self._exits.close()

    def far(self, letter: str, folder: Path) -> Far:
        """A far side without a file, with settings in ``folder``."""
        kind, start = _KINDS[letter]
        if letter not in self._running:
            self._running[letter] = self._exits.enter_context(start())
        return kind(self._running[letter], folder)
