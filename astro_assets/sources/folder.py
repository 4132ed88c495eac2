"""A folder on this machine or on a network drive, filled by somebody else's program.

What belongs here: walking it, and reading what headers say. What does not: where a frame belongs
(`folder_names`).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, ListingFailed, SourceUnreachable, TransferCut
from astro_assets.formats import format_of, keywords
from astro_assets.packed import Unpacked
from astro_assets.settings import FolderSource, Secrets
from astro_assets.sources.fits_units import hdus
from astro_assets.sources.folder_names import place
from astro_assets.sources.paths import is_frame, is_packed_fits
from astro_assets.sources.protocol import Kind, RemoteFile, Sink, Transport

_CHUNK = 2**20
_Known = tuple[tuple[int, int], RemoteFile]
_LAST_LOOK: dict[Path, dict[str, _Known]] = {}
"""What the last look at each folder found, by path, with size and time in nanoseconds: the header
of a file that has not changed is not read again."""
_KEYWORDS = (
    "IMAGETYP", "FRAME", "OBJECT", "OBSTARGET", "DATE-OBS", "DATE-LOC", "EXPTIME", "EXPOSURE",
    "FILTER", "INSTRUME", "TELESCOP", "GAIN", "OFFSET",
)  # fmt: skip


class FolderTransport:
    """Lists frames at any depth with what their headers say. Links are not followed."""

    def __init__(self, name: str, root: Path) -> None:
        self._name = name
        self._root = root

    def __enter__(self) -> Self:
        if not self._root.is_dir():
            raise SourceUnreachable(
                f"{self._name}: there is no folder {self._root}: mount it, or correct its path"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def list(self) -> list[RemoteFile]:
        before, found = _LAST_LOOK.get(self._root, {}), dict[str, _Known]()
        try:
            for path, status in _walk(str(self._root)):
                mark = (status.st_size, status.st_mtime_ns)
                known = before.get(path)
                if known is None or known[0] != mark:
                    known = mark, self._file(Path(path), status)
                found[path] = known
        except OSError as error:
            raise ListingFailed(
                f"{self._name}: {error.filename} cannot be read ({error.strerror}): "
                "check its rights"
            ) from error
        _LAST_LOOK[self._root] = found
        return [file for _, file in found.values()]

    def _file(self, path: Path, status: os.stat_result) -> RemoteFile:
        return RemoteFile(
            path=path.relative_to(self._root).as_posix(),
            size_bytes=status.st_size,
            modified_utc=_time(status),
            facts=_facts(path, status.st_size),
        )

    def download(self, file: RemoteFile, sink: Sink) -> None:
        path = self._root / file.path
        if self._root not in Path(os.path.abspath(path)).parents:  # noqa: PTH100 - links stay
            raise BrokenFile(f"{self._name}: {path} lies outside of its folder: move it")
        try:
            with path.open("rb", buffering=0) as source:
                whole = _is_as_listed(file, os.fstat(source.fileno()))
                if whole:
                    _copy(source, file.size_bytes or 0, sink)
                    whole = _is_as_listed(file, os.fstat(source.fileno()))
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise BrokenFile(
                f"{self._name}: {path} is not handed over ({error.strerror}): look at it there"
            ) from error
        except OSError as error:
            raise SourceUnreachable(
                f"{self._name}: {path} cannot be read ({error.strerror}): is the drive there?"
            ) from error
        if not whole:
            raise TransferCut(
                f"{self._name}: {path} changed while it was copied: the next look takes it"
            )


def _copy(source: FileIO, size: int, sink: Sink) -> None:
    """As many bytes as were listed: what its writer adds meanwhile is not run after."""
    sink.begin("")
    # The same memory for every chunk: fresh pages cost as much as copying into them.
    buffer = memoryview(bytearray(min(_CHUNK, size)))
    while size > 0 and (count := source.readinto(buffer[:size])):
        sink.write(buffer[:count])
        size -= count


def _is_as_listed(file: RemoteFile, status: os.stat_result) -> bool:
    return (status.st_size, _time(status)) == (file.size_bytes, file.modified_utc)


def _walk(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Frames below ``root``, sorted; names with a leading dot are other programs' own."""
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _walk(entry.path)
        elif entry.is_file() and is_frame(entry.name):
            with suppress(FileNotFoundError):  # it went while its folder was read
                yield entry.path, entry.stat()


def _time(status: os.stat_result) -> datetime | None:
    try:
        return datetime.fromtimestamp(status.st_mtime_ns // 1000 / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _facts(path: Path, size: int) -> dict[str, str]:
    """What a file says of itself; nothing if it cannot be read.

    A broken file must still be listed, so that the fetch sets it aside for all to see.
    """
    try:
        cards = keywords(path) if format_of(path.name) else _cards(path, size)
    except (BrokenFile, OSError):
        return {}
    return {key: cards[key] for key in _KEYWORDS if cards.get(key, "").strip()}


def _cards(path: Path, size: int) -> dict[str, str]:
    """The cards of a FITS file down to its first image, those of the image first."""
    cards: dict[str, str] = {}
    packed = is_packed_fits(path.name)
    with Unpacked(path, path.name) if packed else path.open("rb") as file:
        for hdu in hdus(file, None if packed else size, str(path)):
            cards = {**hdu.cards, **cards}
            if hdu.data_size:
                break
    return cards


def connect(source: FolderSource, secrets: Secrets) -> Transport:
    """The folder as it is."""
    del secrets
    return FolderTransport(source.name, source.path)


FOLDER = Kind("folder", connect, place)
