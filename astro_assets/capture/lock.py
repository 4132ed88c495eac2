"""One capture per camera on this Pi, whoever starts it.

What belongs here: the lock. The kernel drops it when the process ends, however it ends.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astro_assets.errors import StorageFailed


@contextmanager
def camera_lock(captures: Path) -> Iterator[bool]:
    """Yield whether the lock was free; the holder's process number stands in the file."""
    try:
        captures.mkdir(parents=True, exist_ok=True)
        file = (captures / ".lock").open("a+")
    except OSError as error:
        raise StorageFailed(
            f"{captures} does not take files ({error.strerror or error}): check the card"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield True


def holder(captures: Path) -> int | None:
    """The process that holds the lock; None when nobody does."""
    with camera_lock(captures) as free:
        if free:
            return None
    try:
        return int((captures / ".lock").read_text(encoding="ascii"))
    except ValueError:
        return None
