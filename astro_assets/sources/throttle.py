"""A limit on bytes per second, over all connections of a fetch.

What belongs here: the bucket of tokens. What does not: what the bytes are for.
"""

import threading
import time
from collections.abc import Callable

_BURST_S = 0.5
"""What was not used within this time is lost, so that a pause is not caught up with a flood."""


class Throttle:
    """Makes those who take bytes wait, together, until their bytes are due.

    Parameters
    ----------
    bytes_per_s : None lets everything through
    wait : sleeps for some seconds; a fetch gives one that its end cuts short
    """

    def __init__(
        self,
        bytes_per_s: float | None,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._wait = wait
        self._clock = clock
        self._lock = threading.Lock()
        self._due = clock()

    def take(self, size_bytes: int) -> None:
        """Return when ``size_bytes`` more may have been transferred."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now = self._clock()
            self._due = max(self._due, now - _BURST_S) + size_bytes / self._bytes_per_s
            wait_s = self._due - now
        if wait_s > 0:
            self._wait(wait_s)
