"""The orderly end of several threads: what is landing lands, nothing more is begun.

What belongs here: the signal. What does not: why it is given (`crew`, `fetch`).
"""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager


class Halt:
    """Tells the threads of one fetch to stop."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._idle = threading.Condition()
        self._landing = 0

    def check(self) -> None:
        """Raise `CancelledError` once the end has come."""
        if self.event.is_set():
            raise CancelledError

    def sleep(self, seconds: float) -> None:
        """Sleep, but not beyond the end. Raises `CancelledError`."""
        self.event.wait(seconds)
        self.check()

    @contextmanager
    def landing(self) -> Iterator[None]:
        """What is done within is finished before `settle` returns. Raises `CancelledError`."""
        with self._idle:
            self.check()
            self._landing += 1
        try:
            yield
        finally:
            with self._idle:
                self._landing -= 1
                self._idle.notify_all()

    def stop(self) -> None:
        """From now on nothing is begun."""
        with self._idle:
            self.event.set()

    def settle(self) -> None:
        """Stop, and wait for what is landing; never for a server."""
        self.stop()
        with self._idle:
            self._idle.wait_for(lambda: self._landing == 0)
