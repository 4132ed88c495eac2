"""Take an archive apart without believing what it says of itself.

What belongs here: zip. What does not: whether a member is a good frame (`verify`).
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from astro_assets.errors import BrokenFile, UnsafeName
from astro_assets.packed import most_bytes
from astro_assets.sources.landing import storage_failures
from astro_assets.sources.paths import safe_path

_MAX_MEMBERS = 10_000
_CHUNK = 2**20
_ENCRYPTED = 0x1


def unzip(archive: Path, folder: Path, name: str) -> dict[PurePosixPath, Path]:
    """Unpack all regular members of ``archive`` into ``folder``, under made-up names.

    Every member is read to its end, so that its CRC is checked.

    Returns
    -------
    dict : the member's own safe path, and where its bytes are

    Raises
    ------
    BrokenFile : it is cut, damaged, encrypted, empty, a bomb, or names a member twice
    UnsafeName : a member's name would leave the tree
    StorageFailed : our own disk does not take it
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked(opened, archive.stat().st_size, name)
            return {
                path: _extracted(opened, member, folder / f"member-{number}", name)
                for number, (path, member) in enumerate(members.items())
            }
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        ValueError,
        RuntimeError,
        OverflowError,
        OSError,
    ) as error:
        raise BrokenFile(
            f"{name} is no whole zip archive ({error}): ask the source for it again"
        ) from error


def _checked(opened: zipfile.ZipFile, size: int, name: str) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The regular members by safe path, after a look at the whole table of contents."""
    entries = opened.infolist()
    if not all(entry.filename for entry in entries):
        raise BrokenFile(f"{name} holds a file without a name: look at it")
    members = [member for member in entries if not member.is_dir()]
    if not members or len(members) > _MAX_MEMBERS:
        raise BrokenFile(f"{name} holds {len(members)} files: ask the source for it again")
    if min(entry.header_offset for entry in entries) != 0:
        raise BrokenFile(f"{name} does not begin as an archive: ask the source for it again")
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    # Members that overlap share their packed bytes and so add up to more than the file.
    if total > most_bytes(size) or packed > size:
        raise BrokenFile(f"{name} would swell from {size} to {total} bytes: look at it")
    paths: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for member in members:
        path = _member_path(member, name)
        if path in paths:
            raise BrokenFile(f"{name} holds {path} twice: look at it")
        paths[path] = member
    return paths


def _member_path(member: zipfile.ZipInfo, name: str) -> PurePosixPath:
    try:
        path = safe_path(member.orig_filename)
    except UnsafeName as error:
        raise UnsafeName(f"{name} holds a file whose name would lead astray: {error}") from error
    mode = stat.S_IFMT(member.external_attr >> 16)
    if mode not in (0, stat.S_IFREG):
        raise BrokenFile(f"{name} holds {path}, which is no regular file: look at it")
    if member.flag_bits & _ENCRYPTED:
        raise BrokenFile(f"{name} is encrypted: ask its owner for the plain files")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BrokenFile(f"{name} is packed in a way that is not known here: look at it")
    return path


def _extracted(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, name: str) -> Path:
    written = 0
    with opened.open(member) as source, _sink(target) as sink:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > member.file_size:
                raise BrokenFile(f"{name} unpacks to more than it announces: look at it")
            with storage_failures(target):
                sink.write(chunk)
    if written != member.file_size:
        raise BrokenFile(f"{name} is cut: ask the source for it again")
    return target


@contextmanager
def _sink(target: Path) -> Iterator[BinaryIO]:
    """A full disk must not be taken for a broken archive, wherever it shows."""
    with storage_failures(target):
        sink = target.open("wb")
    try:
        yield sink
    finally:
        with storage_failures(target):
            sink.close()
