"""One source as a test has it: settings that lead to its server, files there, what a user does.

What belongs here: what is the same for all sources. What does not: where each of them keeps its
files (`far`).
"""

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from astro_assets.errors import AstroAssetsError
from astro_assets.settings import Settings, load_settings
from astro_assets.settings.sources import SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.landing import INCOMING, LOCK
from astro_assets.sources.manifest import FILE_NAME, Manifest
from astro_assets.sources.protocol import Transport
from astro_assets.store import Store
from astro_assets_tests.faults.proxy import Proxy
from astro_assets_tests.faults.servers.process import Running
from astro_assets_tests.sources.conftest import put

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


def _toml(value: object) -> str:
    """JSON spells all but tables as TOML does."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
