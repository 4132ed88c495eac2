"""What is finished in a second thread while its owner goes on: landing, while the next file comes.

What belongs here: one thing at a time, and its end. What does not: what is done (`fetch`).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from astro_assets.sources.halt import Halt


class Beside:
    """Does one thing while its owner does another; at most one waits for its end.

    An error of what was done is raised by the next call, or at the end of the block.
    """

    def __init__(self, halt: Halt, name: str) -> None:
        self._halt = halt
        self._worker = ThreadPoolExecutor(1, name)
        self._going_on: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wait()
        finally:
            self._worker.shutdown()

    def do(self, landing: Callable[[], None]) -> None:
        """Wait for what was begun before, and begin this. Raises `CancelledError` after a halt.

        Whoever halts waits for it from now on, also when it has not had its turn yet.
        """
        self._wait()
        with ExitStack() as stack:
            stack.enter_context(self._halt.landing())
            held = stack.pop_all()
        self._going_on = self._worker.submit(_done, landing, held)

    def _wait(self) -> None:
        before, self._going_on = self._going_on, None
        if before is not None:
            before.result()


def _done(landing: Callable[[], None], held: ExitStack) -> None:
    with held:
        landing()
