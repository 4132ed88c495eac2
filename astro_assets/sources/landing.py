"""The last step of a download: a whole file appears in the tree, or its bytes are set aside.

What belongs here: publishing without overwriting, versions, quarantine, the lock of a batch.
What does not: what is downloaded, and what counts as whole (`verify`).
"""

import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from astro_assets.errors import StorageFailed
from astro_assets.sources.paths import quarantine_path, versioned
from astro_assets.store import (
    PART_SUFFIX,
    make_folder,
    publish,
    sha256_of,
    sync_folder,
    write_text,
)

INCOMING = ".incoming"
LOCK = ".lock"
_MAX_VERSIONS = 10_000
_OUR_PARENTS = 3
"""of a batch's folder: its source's, ``raw``, the root"""
_OTHER_KIND = "a file lies where a folder belongs; move it away"
_REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "mount it so that it can be written to",
    errno.EACCES: "give its user the right to write there",
    errno.EPERM: "give its user the right to write there",
    errno.EXDEV: "keep raw and quarantine on one file system",
    errno.EEXIST: _OTHER_KIND,
    errno.ENOTDIR: _OTHER_KIND,
}


@contextmanager
def landing(folder: Path, quarantine: Path) -> Iterator[Path]:
    """Hold a batch's folders alone and yield an empty folder for unfinished files.

    Another process that fetches the same batch waits here. What an earlier, killed process left
    unfinished is removed from both folders.

    Raises
    ------
    StorageFailed : the disk does not take files
    """
    with storage_failures(folder):
        make_folder(folder)
    with _alone_in(folder):
        incoming = folder / INCOMING
        with storage_failures(folder):
            _tidy(folder, quarantine, incoming)
            incoming.mkdir()
            # No other fetch's name: a thread that still waits for its server meets nobody's files.
            scratch = Path(tempfile.mkdtemp(dir=incoming))
        try:
            yield scratch
        finally:
            shutil.rmtree(incoming, ignore_errors=True)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    with storage_failures(folder):
        lock = os.open(folder / LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _tidy(folder: Path, quarantine: Path, incoming: Path) -> None:
    """Make good for a process that was killed, also between making a folder and syncing it."""
    for parent in folder.parents[:_OUR_PARENTS]:
        sync_folder(parent)
    if incoming.exists():
        above = quarantine.parents[:_OUR_PARENTS]
        for made in (*folder.rglob("*"), folder, *quarantine.rglob("*"), quarantine, *above):
            if made.is_dir():
                sync_folder(made)
        shutil.rmtree(incoming)
    for unfinished in (*_unfinished(folder), *_unfinished(quarantine)):
        unfinished.unlink()


def _unfinished(folder: Path) -> list[Path]:
    """What `files.whole_file` was writing; no published name begins with a dot."""
    return list(folder.rglob(f".*{PART_SUFFIX}"))


@contextmanager
def storage_failures(place: Path) -> Iterator[None]:
    """A failing disk as one sentence. Only code that touches nothing but files belongs within."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "check the disk")
        raise StorageFailed(f"{place} does not take files ({reason}): {remedy}") from error


def publish_version(part: Path, root: Path, relative: PurePosixPath, sha256: str) -> PurePosixPath:
    """Make ``part`` appear below ``root``, beside any other file of that name.

    The same bytes under that name already (left by a process that was killed before it could
    write them down) are adopted.

    Returns
    -------
    PurePosixPath : where it is now: ``relative``, or ``name~2.fit`` …
    """
    with storage_failures(root):
        make_folder(root / relative.parent)
        for version in range(1, _MAX_VERSIONS):
            candidate = versioned(relative, version)
            target = root / candidate
            if target.is_file() and sha256_of(target) == sha256:
                part.unlink()
                return candidate
            try:
                publish(part, target, replace=False)
            except FileExistsError:
                continue
            return candidate
    raise StorageFailed(f"{root / relative} has too many versions: look at them")


def set_aside(
    part: Path | None, root: Path, path: str, sha256: str | None, notes: dict[str, object]
) -> None:
    """Keep a file's bytes (if there are any) and, beside them, why.

    root : the quarantine folder of the batch
    path : the far path
    notes : what is written into ``<name>.reason.json``
    """
    relative = quarantine_path(path)
    if part is not None and sha256 is not None:
        relative = publish_version(part, root, relative, sha256)
    with storage_failures(root):
        make_folder(root / relative.parent)
        text = json.dumps(notes, indent=1, ensure_ascii=False, sort_keys=True, default=str)
        write_text(root / f"{relative}.reason.json", text + "\n")
