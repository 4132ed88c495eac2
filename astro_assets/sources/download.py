"""Bytes arriving: from a connection that may break into a file that is hashed and counted.

What belongs here: one download, its length, its progress. What does not: what the bytes are
(`verify`), what is tried again (`fetch`).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, TransferCut
from astro_assets.sources.landing import storage_failures
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile, Sink, Transport

_EXCESS_BYTES = 2**20
"""How much more than announced is still taken, so that the quarantine can show it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is. ``bytes_total`` counts what the far side announced."""

    files_done: int
    files: int
    bytes_done: int
    bytes_total: int
    current: str


class Meter:
    """Counts for the progress bar."""

    def __init__(
        self, files: Iterable[RemoteFile], report: Callable[[Progress], None] | None
    ) -> None:
        sizes = [file.size_bytes or 0 for file in files]
        self._files = len(sizes)
        self._total = sum(sizes)
        self._report = report
        self._done = 0
        self._bytes = 0

    def downloading(self, file: RemoteFile, received: int) -> None:
        self._tell(self._bytes + received, file)

    def finished(self, file: RemoteFile, received: int) -> None:
        self._done += 1
        self._bytes += received
        self._tell(self._bytes, file)

    def _tell(self, done: int, file: RemoteFile) -> None:
        if self._report is not None:
            total = max(done, self._total)
            self._report(Progress(self._done, self._files, done, total, spelled(file.path)))


class Line:
    """The transport, opened when needed and dropped after every fault.

    ``dead`` says that the last attempt did not even reach the server.
    """

    def __init__(self, connect: Callable[[], Transport]) -> None:
        self._connect = connect
        self._transport: Transport | None = None
        self.dead = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()

    def download(self, file: RemoteFile, sink: Sink) -> None:
        """As `Transport.download`, on a connection that is there or made now."""
        if self._transport is None:
            self.dead = True
            transport = self._connect()
            transport.__enter__()
            self._transport, self.dead = transport, False
        try:
            self._transport.download(file, sink)
        except BaseException:
            # A dialogue that broke off in the middle cannot be taken up again.
            self.drop()
            raise

    def drop(self) -> None:
        """Close the connection; the next download opens a new one."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.__exit__(None, None, None)


@dataclass(frozen=True, slots=True)
class Download:
    """What arrived of a far file.

    fault : why it is not what was asked for, though asking was possible
    """

    file: RemoteFile
    part: Path
    received: int
    sha256: str
    fault: BrokenFile | None

    def checked(self) -> None:
        """Raise `BrokenFile` unless these are the announced bytes."""
        name = spelled(self.file.path)
        if self.fault is not None:
            raise self.fault
        if self.file.size_bytes is not None and self.received > self.file.size_bytes:
            raise BrokenFile(_too_long(self.file, self.received))
        if self.file.sha256 is not None and self.file.sha256 != self.sha256:
            raise BrokenFile(
                f"{name} is not what its source says it is (the SHA-256 differs): look at both"
            )

    @property
    def arrived(self) -> bool:
        """Whether there are bytes worth keeping."""
        return self.fault is None or self.received > 0


def download(line: Line, file: RemoteFile, part: Path, meter: Meter) -> Download:
    """Download ``file`` into ``part``.

    Raises
    ------
    SourceUnreachable : the connection broke
    TransferCut : fewer bytes than announced
    StorageFailed : our own disk does not take them
    """
    sink = _Sink(part, file, meter)
    fault: BrokenFile | None = None
    try:
        line.download(file, sink)
    except BrokenFile as error:
        fault = error
    finally:
        sink.close()
    if fault is None and file.size_bytes is not None and sink.received < file.size_bytes:
        line.drop()
        raise TransferCut(
            f"{spelled(file.path)} arrived with {sink.received} of {file.size_bytes} bytes"
        )
    return Download(file, part, sink.received, sink.sha256, fault)


class _Sink:
    """Writes, hashes and counts what arrives, and stops a sender that does not end."""

    def __init__(self, path: Path, file: RemoteFile, meter: Meter) -> None:
        self._path = path
        self._remote = file
        self._meter = meter
        self._hash = hashlib.sha256()
        self._version = ""
        self.received = 0
        with storage_failures(path):
            self._file = path.open("wb")

    def begin(self, version: str) -> int:
        """Start over unless these are more bytes of the version that is here in part."""
        if not version or version != self._version:
            with storage_failures(self._path):
                self._file.seek(0)
                self._file.truncate()
            self._hash = hashlib.sha256()
            self.received = 0
            self._version = version
        return self.received

    def write(self, chunk: bytes) -> int:
        with storage_failures(self._path):
            self._file.write(chunk)
        self._hash.update(chunk)
        self.received += len(chunk)
        announced = self._remote.size_bytes
        if announced is not None and self.received > announced + _EXCESS_BYTES:
            raise BrokenFile(_too_long(self._remote, self.received))
        self._meter.downloading(self._remote, self.received)
        return len(chunk)

    def close(self) -> None:
        with storage_failures(self._path):
            self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _too_long(file: RemoteFile, received: int) -> str:
    return (
        f"{spelled(file.path)} sends {received} bytes where {file.size_bytes} are listed: "
        "look at it at its source"
    )
