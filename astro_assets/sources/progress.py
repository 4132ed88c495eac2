"""How far a fetch is: counted by many threads, told by one.

What belongs here: figures. What does not: how they are shown.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile

WINDOW_S = 10.0
"""The rate is that of these last seconds."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is.

    bytes_done : what has arrived of the files, begun ones included
    bytes_total : what the far side announced
    current : the file that moved last
    bytes_per_s : over the last seconds, all connections together
    left_s : None while nobody can tell
    """

    files_done: int
    files: int
    bytes_done: int
    bytes_total: int
    current: str
    bytes_per_s: float
    left_s: float | None


class Meter:
    """Counts what arrives; any thread may tell it."""

    def __init__(
        self, files: Iterable[RemoteFile], clock: Callable[[], float] = time.monotonic
    ) -> None:
        sizes = [file.size_bytes for file in files]
        self._files = len(sizes)
        self._total = sum(size or 0 for size in sizes)
        self._announced = None not in sizes
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: dict[str, int] = {}
        self._files_done = 0
        self._bytes_done = 0
        self._transferred = 0
        self._current = ""
        self._window = deque([(clock(), 0)])

    def arrived(self, file: RemoteFile, received: int, chunk: int) -> None:
        """A chunk of a file came; ``received`` is what is there of the file now."""
        with self._lock:
            self._current = spelled(file.path)
            self._begun[self._current] = received
            self._transferred += chunk

    def finished(self, file: RemoteFile, received: int) -> None:
        """A file is here, or set aside."""
        with self._lock:
            self._current = spelled(file.path)
            self._begun.pop(self._current, None)
            self._bytes_done += received
            self._files_done += 1

    def progress(self) -> Progress:
        """The figures now."""
        with self._lock:
            done = self._bytes_done + sum(self._begun.values())
            total = max(done, self._total)
            rate = self._rate()
            known = self._announced and rate > 0
            return Progress(
                files_done=self._files_done,
                files=self._files,
                bytes_done=done,
                bytes_total=total,
                current=self._current,
                bytes_per_s=rate,
                left_s=(total - done) / rate if known else None,
            )

    def _rate(self) -> float:
        now = self._clock()
        self._window.append((now, self._transferred))
        while len(self._window) > 2 and self._window[1][0] <= now - WINDOW_S:
            self._window.popleft()
        since, before = self._window[0]
        return (self._transferred - before) / (now - since) if now > since else 0.0
