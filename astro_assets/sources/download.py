"""Bytes arriving: over several tries into one part file, hashed and counted on the way.

What belongs here: one download, its length, where it goes on. What does not: what the bytes are
(`verify`), what is tried again (`fetch`), connections (`lines`).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, TransferCut
from astro_assets.sources.halt import Halt
from astro_assets.sources.holes import ZeroWatch
from astro_assets.sources.landing import storage_failures
from astro_assets.sources.lines import Line
from astro_assets.sources.paths import spelled
from astro_assets.sources.progress import Meter
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.throttle import Throttle

_EXCESS_BYTES = 2**20
"""How much more than announced is still taken, so that the quarantine can show it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """What all downloads of a fetch share."""

    meter: Meter
    throttle: Throttle
    halt: Halt


@dataclass(frozen=True, slots=True)
class Download:
    """What arrived of a far file.

    zeros : there may be a run of zeros as long as a hole
    fault : why it is not what was asked for, though asking was possible
    """

    file: RemoteFile
    part: Path
    received: int
    sha256: str
    zeros: bool
    fault: BrokenFile | None

    def checked(self) -> None:
        """Raise `BrokenFile` unless these are the announced bytes."""
        name = spelled(self.file.path)
        if self.fault is not None:
            raise self.fault
        if self.file.size_bytes is not None and self.received > self.file.size_bytes:
            raise BrokenFile(_other_length(self.file, self.received))
        if self.file.sha256 is not None and self.file.sha256 != self.sha256:
            raise BrokenFile(
                f"{name} is not what its source says it is (the SHA-256 differs): look at both"
            )

    @property
    def arrived(self) -> bool:
        """Whether there are bytes worth keeping."""
        return self.fault is None or self.received > 0


def download(line: Line, part: "PartFile") -> Download:
    """Download a file into its part, or go on with it.

    Raises
    ------
    SourceUnreachable : the connection broke
    TransferCut : fewer bytes than announced
    StorageFailed : our own disk does not take them
    CancelledError : the fetch is over
    """
    file = part.file
    fault: BrokenFile | None = None
    try:
        line.download(file, part)
    except BrokenFile as error:
        fault = error
    if fault is None and file.size_bytes is not None and part.received < file.size_bytes:
        # Whoever calls this the end is not asked to go on from there. Only a far side that keeps
        # hashes is taken at its word: the quarantined file is asked for again at the next fetch.
        if part.ends_as_before() and file.sha256 is not None:
            fault = BrokenFile(_other_length(file, part.received))
        else:
            line.drop()
            raise TransferCut(
                f"{spelled(file.path)} arrived with {part.received} of {file.size_bytes} bytes"
            )
    return Download(file, part.path, part.received, part.sha256, part.zeros, fault)


class PartFile:
    """The sink of one far file: writes, hashes and counts what arrives, over all tries.

    It stops a sender that does not end.
    """

    def __init__(self, path: Path, file: RemoteFile, flow: Flow) -> None:
        self.path = path
        self.file = file
        self._flow = flow
        self._hash, self._watch = hashlib.sha256(), ZeroWatch()
        self._version = ""
        self._end_before: str | None = None
        self.received = 0
        flow.halt.check()
        with storage_failures(path):
            self._stream = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with storage_failures(self.path):
            self._stream.close()

    def begin(self, version: str) -> int:
        """Start over unless these are more bytes of the version that is here in part."""
        self._flow.halt.check()
        if not version or version != self._version:
            with storage_failures(self.path):
                self._stream.seek(0)
                self._stream.truncate()
            self._hash, self._watch = hashlib.sha256(), ZeroWatch()
            self.received = 0
            self._version = version
        return self.received

    def write(self, chunk: bytes | memoryview) -> int:
        flow = self._flow
        flow.halt.check()
        with storage_failures(self.path):
            self._stream.write(chunk)
        self._hash.update(chunk)
        self._watch.see(chunk)
        self.received += len(chunk)
        announced = self.file.size_bytes
        if announced is not None and self.received > announced + _EXCESS_BYTES:
            raise BrokenFile(_other_length(self.file, self.received))
        flow.meter.arrived(self.file, self.received, len(chunk))
        flow.throttle.take(len(chunk))
        return len(chunk)

    def ends_as_before(self) -> bool:
        """Whether the far side ended early with these very bytes twice; if not, start over."""
        before, self._end_before = self._end_before, self.sha256
        if before == self._end_before:
            return True
        self._version = ""
        return False

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def zeros(self) -> bool:
        return self._watch.zeros


def _other_length(file: RemoteFile, received: int) -> str:
    return (
        f"{spelled(file.path)} sends {received} bytes where {file.size_bytes} are listed: "
        "look at it at its source"
    )
