"""What a source must be able to do: say what it holds, and hand over a file.

A **transport** speaks to one server. A **kind** knows the naming rules of one sort of server and
turns a listed file into a `Placement`. `fetch` does everything else, once for all. What only some
servers can do is an **ability**: a protocol of its own, which a transport has or has not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

from astro_assets.frame import FrameKind
from astro_assets.settings import Secrets, SourceSettings
from astro_assets.sources.identity import Identity

NO_NIGHT = date(1970, 1, 1)
"""The night of a file that nothing dates: odd enough to be seen, and asked about."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file on the far side.

    path : relative to the source's root, ``/``-separated, spelled as the server spells it
    size_bytes : None where the server does not say
    modified_utc : None where the server does not say
    facts : FITS keywords that the server knows of the file beyond its name
    sha256 : where the far side keeps hashes (the Pi's manifest)
    complete : the far side says that the file, and its session, will not grow any more
    """

    path: str
    size_bytes: int | None
    modified_utc: datetime | None
    facts: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a listed file belongs.

    kind : what the frames in it are; `FrameKind.OTHER` is left on the far side
    night : the observing night
    target : for lights
    instrument : telescope or camera as its users call it
    configuration : for calibration sets, what tells one set from another: ``300s``, ``Red``
    facts : FITS keywords from name, path and server, for what the header leaves blank
    companion : no frame itself, but kept beside the frames of its batch (a sidecar)
    unless : the path, without its ending, of another state of the same exposure; where that is
        listed as well, this file is left
    """

    kind: FrameKind
    night: date
    target: str | None
    instrument: str
    configuration: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    companion: bool = False
    unless: str = ""


class Sink(Protocol):
    """Where the bytes of one download go, over all its tries."""

    def begin(self, version: str) -> int:
        """Say which version of the far file comes now, before its bytes.

        Parameters
        ----------
        version : whatever changes when the far file does (its size and time); empty when the far
            side does not say, or cannot continue

        Returns
        -------
        int : where to continue: the bytes that are here already of this very version, else 0
        """

    def write(self, chunk: bytes | memoryview) -> int:
        """Take the next bytes; the memory that they are in is used again afterwards."""


class Transport(Protocol):
    """A connection to one server, opened with ``with``, and again after it was closed.

    The constructor does not connect. Raises, in every method: `SourceUnreachable`,
    `LoginRefused`, `IdentityRefused`.
    """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def list(self) -> list[RemoteFile]:
        """Everything there is. Raises `ListingFailed`; ``[]`` means the server said "nothing"."""

    def download(self, file: RemoteFile, sink: Sink) -> None:
        """Begin ``sink``, then write the file's bytes from there on to it.

        Raises `TransferCut` (also when the far file changed meanwhile), `SourceUnreachable`, and
        `BrokenFile` when the server does not hand this one file over.
        """


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A file that is published here, as its far side may know of it.

    path : as in `RemoteFile`
    sha256 : of the bytes that are published, and that the far side says the file has
    """

    path: str
    size_bytes: int
    sha256: str


@runtime_checkable
class Statting(Protocol):
    """The ability to look at one file again."""

    def stat(self, file: RemoteFile) -> RemoteFile | None:
        """The file as it is now; None when it is gone.

        A size or time that the server does not tell is None. Raises `SourceUnreachable`.
        """


@runtime_checkable
class Deleting(Protocol):
    """The ability to delete on the far side. Who may be deleted, and when, says `release`."""

    def delete(self, file: RemoteFile) -> None:
        """Delete one file. Raises `SourceUnreachable`, and `BrokenFile` when it is refused."""


@runtime_checkable
class Confirming(Protocol):
    """The ability to take confirmations, so that the far side itself may delete."""

    def confirm(self, files: Sequence[Confirmed]) -> None:
        """Tell the far side which files are here. Raises `SourceUnreachable`."""


@runtime_checkable
class Remembering(Protocol):
    """The ability to keep, from one look to the next, what does not change on the far side.

    What is kept saves calls and nothing else: without the folder, a listing is the same.
    """

    def remember_in(self, folder: Path) -> None:
        """Say where, before the transport is opened."""


@runtime_checkable
class Hurrying(Protocol):
    """The ability to list piece by piece, for who remembers."""

    def hurry(self, within_s: float) -> None:
        """Have a listing that takes longer raise `NotReady`; the next one goes on from there."""


Place = Callable[[RemoteFile, str], Placement | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of source, as data.

    connect : a transport for one configured source (heavy libraries are imported in there)
    place : the naming rules: a listed file and the time zone of the observer's site; None for a
        file that this kind does not want
    place_as_set : the same, as one source's settings have them, where settings change the rules
    identity : asks a server what it shows of itself, without a log-in; None where it has nothing
    """

    name: str
    connect: Callable[[Any, Secrets], Transport]
    place: Place
    place_as_set: Callable[[Any], Place] | None = None
    identity: Callable[[Any], Identity] | None = None

    def place_of(self, source: SourceSettings) -> Place:
        """The naming rules of one configured source."""
        return self.place_as_set(source) if self.place_as_set else self.place
