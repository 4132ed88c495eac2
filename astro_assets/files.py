"""How a file is written: whole or not at all, and on stable storage.

What belongs here: parts, syncs, renames, hashes; nothing but the standard library, for the Pi uses
it too. What does not: where products live and what is in them (`store`).
"""

import errno
import fcntl
import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PART_SUFFIX = ".part"
_PART_NAME_LETTERS = 40
"""so that the part's name also fits where each letter takes four bytes"""
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it becomes ``path``, else it vanishes.

    The bytes and the folder are synced, so that what is published survives a power cut. What a
    killed process left half written of the same file is removed.

    Raises
    ------
    FileExistsError : ``path`` is there already and ``replace`` is False
    """
    make_folder(path.parent)
    prefix = f".{path.name[:_PART_NAME_LETTERS]}."
    with _writing_in(path.parent, prefix):
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=PART_SUFFIX, dir=path.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            publish(part, path, replace=replace)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def parts_in(folder: Path) -> Iterator[Callable[[], Path]]:
    """Yield what makes a new part in ``folder``, to be written now and published later.

    Parts that are not published (`publish`) by the end of the block vanish. What a killed process
    left half written in the folder is removed.
    """
    make_folder(folder)
    parts: list[Path] = []

    def new_part() -> Path:
        handle, name = tempfile.mkstemp(prefix=".", suffix=PART_SUFFIX, dir=folder)
        os.close(handle)
        parts.append(Path(name))
        return parts[-1]

    with _writing_in(folder, "."):
        try:
            yield new_part
        finally:
            for part in parts:
                part.unlink(missing_ok=True)


@contextmanager
def _writing_in(folder: Path, prefix: str) -> Iterator[None]:
    """Share a lock on the folder with all who write there; whoever is alone first tidies up.

    The lock is on the folder, for some writers replace the part that they were given.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f"{glob.escape(prefix)}*{PART_SUFFIX}"):
                left.unlink(missing_ok=True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def publish(part: Path, path: Path, *, replace: bool) -> None:
    """Make a finished ``part`` appear as ``path`` in one step, on stable storage.

    Raises
    ------
    FileExistsError : ``path`` is there already and ``replace`` is False
    """
    with suppress(PermissionError):  # a FAT card's files have no such bits
        part.chmod(0o644)
    sync_file(part)
    if replace:
        part.replace(path)
    else:
        _rename_to_new(part, path)
    sync_folder(path.parent)


def _rename_to_new(part: Path, path: Path) -> None:
    """Rename unless ``path`` exists: a link does so in one step, wherever there are links."""
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        part.replace(path)
    else:
        part.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, on stable storage."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Put a file's bytes on stable storage."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on stable storage."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
