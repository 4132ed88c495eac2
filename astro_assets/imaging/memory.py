"""Memory of a frame's size, used again by the next frame.

What belongs here: what the C library is told about it. What does not: how many frames are worked on
at once (`steps.resources`).
"""

import ctypes
import sys
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""of glibc's mallopt(3)"""

_KEPT_BYTES = 1 << 30


def keep_freed_planes() -> None:
    """Let planes that are freed serve the next ones, in every thread, up to 1 GiB.

    As it comes, the C library gives each back to the system, which then clears every page of the
    next one anew: a sixth of a night's computing. Other libraries than glibc are left as they are.
    """
    if sys.platform != "linux":
        return
    with suppress(AttributeError):
        for parameter, value in (
            (_ARENA_MAX, 1),
            (_MMAP_THRESHOLD, _KEPT_BYTES),
            (_TRIM_THRESHOLD, _KEPT_BYTES),
        ):
            ctypes.CDLL(None).mallopt(parameter, value)


def give_back_freed() -> None:
    """Give the system what was kept: before work whose planes do not fit where others lay."""
    with suppress(AttributeError):  # other libraries keep nothing
        ctypes.CDLL(None).malloc_trim(0)
