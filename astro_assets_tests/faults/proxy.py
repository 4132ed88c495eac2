"""A proxy that breaks TCP connections, on loopback: whatever runs through them, TLS included.

What belongs here: bytes and connections. What does not: protocols. FTP's data connections need no
reading along: the proxy listens on an address of its own (127.0.0.2), on the very ports on which
the server behind it waits for data, and our clients connect to the host that they talk to.
"""

import asyncio
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_CHUNK = 2**16
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one connection, to what the server sends.

    what : ``reset``, ``stall`` (silence, the connection stays), ``close`` (an end in the middle),
        ``slow`` (as many bytes each tenth of a second as ``slice_bytes`` says), ``slow-close``,
        ``no-control`` (all connections to the server's own port are reset, this one goes on)
    after_bytes : how many bytes of the server's come through before
    then : called when it happens
    """

    what: str
    after_bytes: int = 0
    slice_bytes: int = _CHUNK
    then: Callable[[], object] | None = None


PASS = Fault("pass")


@dataclass
class Seen:
    """One connection through the proxy. ``port`` tells control (the first) from data."""

    port: int
    fault: Fault
    received_bytes: int = 0
    hung_up: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Forwards to ``127.0.0.1`` between ``with`` and its end.

    target : the server's port
    data_ports : ports that are forwarded one to one beside it

    ``faults`` are used up one for each connection, ``data_faults`` for those to data ports.
    """

    def __init__(self, target: int, data_ports: Iterable[int] = ()) -> None:
        self.faults: deque[Fault] = deque()
        self.data_faults: deque[Fault] = deque()
        self.connections: list[Seen] = []
        self.target = target
        self._data_ports = tuple(data_ports)
        self.host = "127.0.0.2" if self._data_ports else "127.0.0.1"
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the proxy does not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _reset_controls(self) -> None:
        for writer in tuple(self._writers):
            name = writer.get_extra_info("sockname")
            if name and name[1] == self.port:
                _reset(writer)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        servers = [await asyncio.start_server(self._control, self.host, 0)]
        self.port = servers[0].sockets[0].getsockname()[1]
        servers += [
            await asyncio.start_server(self._data, self.host, port) for port in self._data_ports
        ]
        self._ready.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for writer in tuple(self._writers):
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # At the end of the proxy: asyncio would complain of a handler that is cancelled.
        with suppress(asyncio.CancelledError):
            await self._forward(reader, writer, self.target, self.faults)

    async def _data(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        with suppress(asyncio.CancelledError):
            await self._forward(reader, writer, port, self.data_faults)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        port: int,
        faults: deque[Fault],
    ) -> None:
        seen = Seen(port, faults.popleft() if faults else PASS)
        self.connections.append(seen)
        self._writers.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            _reset(writer)
            self._writers.discard(writer)
            return
        self._writers.add(far_writer)
        upwards = asyncio.create_task(_up(reader, far_writer, seen))
        try:
            with suppress(OSError, EOFError):
                await self._down(far_reader, writer, seen)
                await upwards
        finally:
            upwards.cancel()
            for each in (writer, far_writer):
                each.transport.abort()
                self._writers.discard(each)
            seen.hung_up.set()

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen
    ) -> None:
        """What the server sends, with the fault."""
        fault = seen.fault
        slow = fault.what == "slow"
        left = None if fault.what in ("pass", "slow", "slow-close") else fault.after_bytes
        while left != 0:
            size = fault.slice_bytes if slow else _CHUNK
            chunk = await reader.read(min(size, left) if left is not None else size)
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
            seen.received_bytes += len(chunk)
            left = None if left is None else left - len(chunk)
            if slow:
                await asyncio.sleep(0.1)
        if left == 0:
            await self._break(writer, fault)
            await self._rest(reader, writer, seen)
        if fault.what == "slow-close":
            await asyncio.sleep(0.5)
        with suppress(OSError):
            writer.write_eof()

    async def _break(self, writer: asyncio.StreamWriter, fault: Fault) -> None:
        """What the fault does. Comes back when the connection goes on all the same."""
        if fault.then is not None:
            fault.then()
        if fault.what == "no-control":
            self._reset_controls()
            return
        if fault.what == "reset":
            # What was passed on has to be read before the reset takes it away.
            await asyncio.sleep(0.05)
            _reset(writer)
        elif fault.what == "stall":
            assert self._stop is not None
            await self._stop.wait()
        raise EOFError(fault.what)

    async def _rest(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen
    ) -> None:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
            seen.received_bytes += len(chunk)


async def _up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    seen.hung_up.set()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None:
        with suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
