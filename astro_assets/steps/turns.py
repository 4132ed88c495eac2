"""Frames side by side, of which some of the work goes from one frame to the next.

What belongs here: who waits for whom. What does not: the threads (`pool`), the work.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Work that is done in the order of the items' numbers, whichever thread has which item."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._whose = 0

    @contextmanager
    def of(self, number: int) -> Iterator[Callable[[], None]]:
        """Yield what waits until it is the item's turn, which ends with the block.

        Items are numbered from 0 and none may be left out: an item that needs no turn, and one
        that fails, passes it on.
        """
        try:
            yield lambda: self._wait(number)
        finally:
            self._wait(number)
            with self._changed:
                self._whose = number + 1
                self._changed.notify_all()

    def _wait(self, number: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._whose >= number)
