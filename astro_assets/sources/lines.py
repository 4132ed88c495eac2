"""Connections of one fetch: opened when needed, dropped after a fault, shut out when refused.

What belongs here: the life of a connection. What does not: what is asked on it.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from astro_assets.errors import Permanent
from astro_assets.sources.halt import Halt
from astro_assets.sources.protocol import RemoteFile, Sink, Transport


class Door:
    """Where the lines of one fetch get in, one after the other.

    So log-in data that are refused are refused once: the others do not try. Once somebody is
    inside, a refusal means no more than that the server has enough of us.
    """

    def __init__(
        self,
        connect: Callable[[], Transport],
        halt: Halt,
        on_first: Callable[[], None] = lambda: None,
    ) -> None:
        """``on_first`` is called after the first log-in."""
        self._connect = connect
        self._halt = halt
        self._on_first = on_first
        self._lock = threading.Lock()
        self._opened = False
        self.inside = 0

    def enter(self) -> Transport:
        """A connection, logged in. Raises as `Transport` does."""
        with self._lock:
            self._halt.check()
            transport = self._connect()
            try:
                transport.__enter__()
            except Permanent:
                if self.inside == 0:
                    self._halt.stop()
                raise
            self.inside += 1
            first, self._opened = not self._opened, True
        if first:
            self._on_first()
        return transport

    def leave(self, transport: Transport, error: BaseException | None) -> None:
        """Close a connection; after an error without any good-bye."""
        with self._lock:
            self.inside -= 1
        if error is None:
            transport.__exit__(None, None, None)
        else:
            transport.__exit__(type(error), error, error.__traceback__)


class Line:
    """The connection of one thread, opened when needed and dropped after every fault.

    ``dead`` says that the last attempt did not even reach the server.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: Transport | None = None
        self.dead = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop(error)

    def download(self, file: RemoteFile, sink: Sink) -> None:
        """As `Transport.download`, on a connection that is there or made now."""
        if self._transport is None:
            self.dead = True
            self._transport = self._door.enter()
            self.dead = False
        try:
            self._transport.download(file, sink)
        except BaseException as error:
            # A dialogue that broke off in the middle cannot be taken up again.
            self.drop(error)
            raise

    def drop(self, error: BaseException | None = None) -> None:
        """Close the connection; the next download opens a new one."""
        transport, self._transport = self._transport, None
        if transport is not None:
            self._door.leave(transport, error)
