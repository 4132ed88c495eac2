"""A far side for each letter of the matrix: a real server, a place for frames, and what a user
does with it.

What belongs here: what is the same for all four, and the four. What does not: the servers'
programs (`servers`).
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

from astro_assets.errors import AstroAssetsError
from astro_assets.settings import Settings, load_settings
from astro_assets.settings.models import SourceSettings
from astro_assets.sim.servers import telescope_org_engine
from astro_assets.sim.servers.certificates import Certificates
from astro_assets.sim.servers.telescope_org import TelescopeOrgServer
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.landing import INCOMING, LOCK
from astro_assets.sources.manifest import FILE_NAME, Manifest
from astro_assets.sources.protocol import Transport
from astro_assets.store import Store
from astro_assets_tests.faults.proxy import Proxy
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import HOST, Running, folder
from astro_assets_tests.faults.servers.pure_ftpd import pure_ftpd
from astro_assets_tests.faults.servers.sshd import known, sshd
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import job, put, sha256, zipped

NIGHT = "2026-11-20"
PASSWORD = "canary-4711-of-the-matrix"


@dataclass
class Outcome:
    """What came of a fetch.

    published : the bytes by path below the batch's folder: the far path, or a member's
    quarantined : the reason by far path
    """

    published: dict[str, bytes] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    failures: list[AstroAssetsError] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)


class Far(ABC):
    """One source, at first without a file.

    options : what else its table in the settings says; a test changes them
    """

    name: str
    home: str

    def __init__(self, running: Running, folder: Path) -> None:
        self._running = running
        self._folder = folder
        self._proxy: Proxy | None = None
        self.exits = ExitStack()
        self.server = running.title
        self.served = running.served
        self.root = folder / "data"
        self.options: dict[str, object] = {}
        running.emptied()

    @abstractmethod
    def _options(self) -> dict[str, object]:
        """What the settings have to say of this kind of source."""

    def path(self, name: str) -> str:
        """The far path of what `put` is given as ``name``, and its path when published."""
        return f"{self.home}/{name}"

    def file(self, name: str) -> Path:
        """Where the server finds what `put` is given as ``name``."""
        return self.served / self.path(name)

    def put(self, name: str, content: bytes) -> str:
        """Serve a light of the one session. Returns its path."""
        file = put(self.file(name), content)
        for above in itertools.takewhile(lambda each: each != self._running.served, file.parents):
            above.chmod(0o777)  # so that the server's user may also delete there
        return self.path(name)

    @property
    def proxy(self) -> Proxy:
        """A proxy before the server; from now on the settings lead to it."""
        if self._proxy is None:
            made = Proxy(self._running.port, self._running.data_ports)
            self._proxy = self.exits.enter_context(made)
        return self._proxy

    @property
    def address(self) -> tuple[str, int]:
        """Where the settings lead to."""
        if self._proxy is not None:
            return self._proxy.host, self._proxy.port
        return self._running.host, self._running.port

    @property
    def settings(self) -> Settings:
        """As read from a file, anew each time."""
        host, port = self.address
        table = {"name": self.name, "kind": self.name, "host": host, "port": port}
        lines = [
            f"root = {_toml(str(self.root))}",
            '[site]\nname = "home"\nlatitude_deg = 28.76\nlongitude_deg = -17.88',
            'timezone = "Atlantic/Canary"',
            "[[sources]]",
            *(f"{k} = {_toml(v)}" for k, v in {**table, **self._options(), **self.options}.items()),
        ]
        secrets = "".join(f"{key}={value}\n" for key, value in self.secrets.items())
        put(self._folder / ".env", secrets)
        return load_settings(put(self._folder / "observatory.toml", "\n".join(lines) + "\n"))

    @property
    def secrets(self) -> dict[str, str]:
        return {"FAR_USER": "anonymous", "FAR_PASSWORD": PASSWORD}

    @property
    def source(self) -> SourceSettings:
        return self.settings.source(self.name)

    @property
    def store(self) -> Store:
        return Store(self.root)

    @property
    def connect(self) -> Callable[[], Transport]:
        settings = self.settings
        return partial(connect, settings.source(self.name), settings.secrets)

    def look(self) -> list[Batch]:
        settings = self.settings
        return look(settings.source(self.name), settings)

    def fetch(self) -> Outcome:
        """Look, and fetch all that there is; what fails is told, not raised."""
        try:
            batches = self.look()
        except AstroAssetsError as error:
            outcome = self.outcome()
            outcome.failures.append(error)
            return outcome
        return self.fetch_batches(batches)

    def fetch_batches(self, batches: list[Batch]) -> Outcome:
        """Fetch what an earlier look has found."""
        failures: list[AstroAssetsError] = []
        for batch in batches:
            try:
                fetch_batch(self.connect, batch, self.store)
            except AstroAssetsError as error:
                failures.append(error)
        outcome = self.outcome()
        outcome.failures.extend(failures)
        return outcome

    def outcome(self) -> Outcome:
        """What lies there now."""
        outcome = Outcome()
        source = self.root / "raw" / self.name
        for batch in sorted(source.iterdir()) if source.is_dir() else ():
            for file in sorted(batch.rglob("*")):
                path = file.relative_to(batch)
                hidden = INCOMING in path.parts or path.name in (FILE_NAME, LOCK)
                if file.is_file() and not hidden:
                    outcome.published[path.as_posix()] = file.read_bytes()
            manifest = Manifest.load(batch)
            if manifest is not None:
                outcome.manifests.append(manifest)
                outcome.quarantined |= {r.path: r.reason for r in manifest.quarantined}
        return outcome

    def kept(self) -> list[bytes]:
        """The bytes of everything in quarantine."""
        folder = self.store.quarantine(self.name)
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        return [path.read_bytes() for path in files if not path.name.endswith(".reason.json")]


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
        )
        with mock.patch.object(telescope_org_engine, "job_zip", _packed):
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


def _toml(value: object) -> str:
    """JSON spells all but tables as TOML does."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
