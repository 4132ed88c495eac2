"""A far folder whose connections are counted, and may be slow, cut or refused.

What belongs here: the far side. What does not: what a fetch must make of it.
"""

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Self

from astro_assets.errors import LoginRefused
from astro_assets.frame import FrameKind
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import Progress, fetch_batch
from astro_assets.sources.folder import FolderTransport
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put

KEY = "2026-11-20_M31_V"
FILES = 12


class Server:
    """What the connections to it do, all together."""

    def __init__(self, folder: Path) -> None:
        self.far = folder / "far"
        self.store = Store(folder / "data")
        self.logins = 0
        self.most = 99
        self.inside = 0
        self.together = 0
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        self.offsets: list[int] = []
        self.during: Callable[[RemoteFile, Sink, bytes], None] = lambda file, sink, content: None
        self.refuses: Exception | None = None
        for number in range(FILES):
            put(self.far / f"s/{number:02d}.fits", frame(number))

    def connect(self) -> "Connection":
        return Connection(self)

    def batch(self) -> Batch:
        files = tuple(FolderTransport("scope", self.far).list())
        return Batch("scope", KEY, FrameKind.LIGHT, dt.date(2026, 11, 20), "M 31", "Vespera", files)

    def fetch(
        self,
        max_connections: int = 4,
        told: Callable[[Progress], None] | None = None,
        megabytes_per_s: float | None = None,
    ) -> Manifest:
        return fetch_batch(
            self.connect,
            self.batch(),
            self.store,
            told,
            max_connections=max_connections,
            max_megabytes_per_s=megabytes_per_s,
        )

    @property
    def landed(self) -> list[str]:
        folder = self.store.raw("scope", KEY)
        return sorted(path.name for path in folder.rglob("*.fits"))


class Connection(FolderTransport):
    def __init__(self, server: Server) -> None:
        super().__init__("scope", server.far)
        self.server = server

    def __enter__(self) -> Self:
        server = self.server
        with server.lock:
            server.logins += 1
            if server.refuses is not None:
                raise server.refuses
            if server.inside >= server.most:
                raise LoginRefused("530 no more of you")
            server.inside += 1
            server.together = max(server.together, server.inside)
        return self

    def __exit__(self, *error: object) -> None:
        with self.server.lock:
            self.server.inside -= 1

    def download(self, file: RemoteFile, sink: Sink) -> None:
        with self.server.lock:
            self.server.asked[file.path] += 1
        content = (self.server.far / file.path).read_bytes()
        offset = sink.begin(f"{file.size_bytes} {file.modified_utc}")
        self.server.offsets.append(offset)
        self.server.during(file, sink, content[offset:])
        sink.write(content[offset:])
