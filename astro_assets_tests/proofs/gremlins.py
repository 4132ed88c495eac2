"""Faults at random, from a seed: on the far side's disk, on the way, and in its answers.

What belongs here: which fault hits which file or connection, and putting things right again. What
does not: what lies on the far side (`far_side`), what must hold (`soak`).
"""

import asyncio
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from astro_assets.sim.servers import telescope_org_pages
from astro_assets.sim.servers.telescope_org import TelescopeOrgServer
from astro_assets_tests.faults.proxy import PASS, Fault, Proxy
from astro_assets_tests.proofs.far_side import FarSide

_ON_THE_WAY = ("reset", "stall", "close")
_FILE_BYTES = 8640
"""of a soak's files, about"""
_ON_DISK = {
    "F": ("flipped", "cut", "unreadable", "gone", "hidden"),
    "V": ("flipped", "cut", "unreadable", "gone", "hidden"),
    "S": ("flipped", "cut", "gone"),  # its list of finished frames stays as it is
}
"""A job of telescope.org that is complete stays as it is."""


class Dice(deque[Fault]):
    """A proxy's queue of faults that is never empty: each connection draws one."""

    def __init__(self, draw: Callable[[], Fault]) -> None:
        super().__init__()
        self._draw = draw

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Fault:
        return self._draw()


@dataclass
class Gremlins:
    """Faults for one source.

    share : the part of the files that a fault hits, about
    active : whether connections are broken and answers spoilt
    done : how many faults of each sort there were
    """

    letter: str
    share: float
    dice: random.Random
    active: bool = False
    done: Counter[str] = field(default_factory=Counter)

    def break_connections(self, proxy: Proxy) -> None:
        """Have a proxy draw from these dice."""
        per_file = {"F": 900, "V": 300}.get(self.letter, _FILE_BYTES)
        proxy.faults = Dice(lambda: self._some_time(per_file))
        proxy.data_faults = Dice(self._soon)

    def hit(self, event: str) -> bool:
        """Whether an answer is spoilt now."""
        if not self.active or self.dice.random() > self.share / 5:
            return False
        self.done[event] += 1
        return True

    def count_broken(self, proxy: Proxy) -> None:
        """Count what has become of the connections: some ended before their fault."""
        self.done.update(
            seen.fault.what
            for seen in proxy.connections
            if seen.fault is not PASS and seen.received_bytes == seen.fault.after_bytes
        )

    def _soon(self) -> Fault:
        """For a connection that carries one file."""
        broken = self.active and self.dice.random() < self.share / 2
        return self._broken(_FILE_BYTES) if broken else PASS

    def _some_time(self, bytes_per_file: int) -> Fault:
        """For a connection that carries many files, one after the other."""
        return self._broken(int(4 / self.share * bytes_per_file)) if self.active else PASS

    def _broken(self, within_bytes: int) -> Fault:
        return Fault(self.dice.choice(_ON_THE_WAY), self.dice.randrange(within_bytes))

    def spoil(self, far: FarSide, lights: list[tuple[int, int]]) -> tuple["Spoilt", ...]:
        """Damage some files where they lie, each in its own way."""
        spoilt = []
        for session, number in lights if self.letter in _ON_DISK else ():
            if self.dice.random() < 0.6 * self.share:
                way = self.dice.choice(_ON_DISK[self.letter])
                self.done[way] += 1
                spoilt.append(Spoilt(way, far.file(session, number)))
        return tuple(spoilt)


class Spoilt:
    """A file on the far side that is not as it should be: before a look, or only after it."""

    def __init__(self, way: str, file: Path) -> None:
        self._way = way
        self._file = file
        self._content = file.read_bytes()
        self._time = file.stat().st_mtime
        middle = len(self._content) // 2
        if way == "flipped":
            content = bytearray(self._content)
            content[middle] ^= 0x10
            self._write(bytes(content))
        elif way == "cut":
            self._write(self._content[:middle])
        elif way == "unreadable":
            file.chmod(0)
        elif way == "hidden":
            file.unlink()

    def looked(self) -> None:
        """The look is over."""
        if self._way == "gone":
            self._file.unlink()

    def mend(self) -> None:
        """As it should be, with its own time again."""
        self._file.unlink(missing_ok=True)
        self._file.write_bytes(self._content)
        self._file.chmod(0o644)
        os.utime(self._file, (self._time, self._time))

    def _write(self, content: bytes) -> None:
        """An hour older than the right bytes: LIST tells the minute only."""
        self._file.write_bytes(content)
        os.utime(self._file, (self._time - 3600, self._time - 3600))


class BusyProxy(Proxy):
    """Answers some RETR of plain FTP itself: 450, and 421 with an end of the dialogue."""

    def __init__(self, target: int, data_ports: range, gremlins: Gremlins) -> None:
        super().__init__(target, data_ports)
        self._gremlins = gremlins

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, far_writer}
        down = asyncio.create_task(_passed_on(far_reader, writer))
        try:
            with suppress(OSError):
                while line := await reader.readline():
                    if line.startswith(b"RETR") and self._gremlins.hit("450"):
                        writer.write(b"450 Busy, come again.\r\n")
                    elif line.startswith(b"RETR") and self._gremlins.hit("421"):
                        writer.write(b"421 Going down.\r\n")
                        await writer.drain()
                        break
                    else:
                        far_writer.write(line)
        finally:
            down.cancel()
            for each in (writer, far_writer):
                each.close()
                self._writers.discard(each)


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(2**16):
            writer.write(chunk)


@contextmanager
def spoilt_answers(gremlins: Gremlins) -> Iterator[None]:
    """telescope.org sends pages, flipped bits and refusals for images, and logs people out."""
    download = TelescopeOrgServer._download

    async def sometimes_wrong(self: TelescopeOrgServer, request: Request) -> Response:
        if gremlins.hit("logged out"):
            self.expire_sessions()
        answer = await download(self, request)
        if gremlins.hit("page"):
            return HTMLResponse(telescope_org_pages.LOGIN)
        if gremlins.hit("503"):
            return Response(status_code=503, headers={"Retry-After": "0"})
        if gremlins.hit("flipped"):
            content = bytearray(answer.body)
            content[gremlins.dice.randrange(len(content) // 2, len(content) * 3 // 4)] ^= 0x10
            return Response(bytes(content), media_type="application/octet-stream")
        return answer

    with mock.patch.object(TelescopeOrgServer, "_download", sometimes_wrong):
        yield
