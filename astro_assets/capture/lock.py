"""One capture per camera on this Pi, whoever starts it.

What belongs here: the lock. The kernel drops it when the process ends, however it ends.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astro_assets.errors import StorageFailed

_PATIENCE_S = 2.0
"""somebody who only asks (`holder`) has it for a moment too"""


@contextmanager
def camera_lock(captures: Path) -> Iterator[bool]:
    """Yield whether the lock was free; the holder's process number stands in the file.

    Raises
    ------
    StorageFailed : the card does not take the lock's file
    """
    with _opened(captures) as descriptor:
        give_up_s = time.monotonic() + _PATIENCE_S
        while not (free := _locked(descriptor, fcntl.LOCK_EX)) and time.monotonic() < give_up_s:
            time.sleep(0.05)
        if free:
            with contextlib.suppress(OSError):  # for `stop`; the lock holds without it
                _file(captures).write_text(f"{os.getpid()}\n", encoding="ascii")
        yield free


def holder(captures: Path) -> int | None:
    """The process that holds the lock; None when nobody does."""
    with _opened(captures) as descriptor:
        if _locked(descriptor, fcntl.LOCK_SH):
            return None
    try:
        return int(_file(captures).read_text(encoding="ascii"))
    except ValueError:
        return None


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(captures: Path) -> Iterator[int]:
    try:
        captures.mkdir(parents=True, exist_ok=True)
        # Not held open for writing: a card with faults must be free to become read-only.
        descriptor = os.open(_file(captures), os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageFailed(
            f"{captures} does not take files ({error.strerror or error}): check the card"
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _file(captures: Path) -> Path:
    return captures / ".lock"
