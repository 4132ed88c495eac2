"""A process that is killed with `kill -9` at its N-th step that leaves a trace on disk or far away.

What belongs here: what counts as a step, and dying at one. What does not: what is done meanwhile,
and what must hold afterwards (`crash_sweep`).

A step is a call that changes files (seen by an audit hook), a sync, a write to a file (of which
half the bytes are written before death), and each call that tells the far side something.
"""

import builtins
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

_CHANGES = {
    "os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink",
    "os.truncate", "os.utime", "fcntl.flock", "shutil.rmtree",
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR
_TOLD = ("confirm", "delete")
"""What transports do to the far side, as far as they can."""
PATIENCE_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended. ``steps`` are those that it took, named, when it lived to tell."""

    killed: bool
    steps: tuple[str, ...] = ()


def run_forked(work: Callable[[], None], below: Path, die_at: int | None = None) -> Ended:
    """Do ``work`` in a fork of this process, which kills itself before step ``die_at`` (from 1).

    below : steps on files elsewhere do not count

    Raises
    ------
    RuntimeError : the work failed, or hangs
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_the_child(work, _Steps(str(below), die_at), writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        watchdog = threading.Timer(PATIENCE_S, os.kill, (child, signal.SIGABRT))
        watchdog.start()
        told = pipe.read()
        watchdog.cancel()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Ended(killed=True)
    if status:
        raise RuntimeError(f"the work ended with status {status}: {told.decode()}")
    return Ended(killed=False, steps=tuple(json.loads(told)))


def _be_the_child(work: Callable[[], None], steps: "_Steps", pipe: int) -> NoReturn:
    try:
        steps.watch()
        work()
        answer, status = json.dumps(steps.taken), 0
    except BaseException:  # noqa: BLE001 - it must not go on as a second pytest
        answer, status = traceback.format_exc(), 1
    view = memoryview(answer.encode())
    while view:
        view = view[os.write(pipe, view) :]
    os._exit(status)


class _Steps:
    """Counts, over all threads, and kills."""

    def __init__(self, below: str, die_at: int | None) -> None:
        self.taken: list[str] = []
        self._below = below
        self._die_at = die_at
        self._lock = threading.RLock()

    def step(self, name: str, last_deed: Callable[[], object] = lambda: None) -> None:
        with self._lock:
            self.taken.append(name)
            if len(self.taken) == self._die_at:
                last_deed()
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """From now on, in this process for good."""
        sys.addaudithook(self._audited)
        fsync = os.fsync

        def counted_fsync(descriptor: Any) -> None:
            self.step("fsync")
            fsync(descriptor)

        os.fsync = counted_fsync
        opened = io.open
        steps = self

        class Raw(io.FileIO):
            """Where the bytes of every buffered file really leave the process."""

            def write(self, content: Any, /) -> int:
                half = memoryview(content).cast("B")[: len(memoryview(content).cast("B")) // 2]
                steps.step("write", lambda: io.FileIO.write(self, half))
                return super().write(content)

        def counted_open(
            file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any
        ) -> Any:
            if "b" in mode and set(mode) & set("wxa+") and self._is_ours(file):
                raw = Raw(file, mode.replace("b", ""))
                return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if set(mode) & set("wxa") and self._is_ours(file):
                binary = counted_open(file, mode.replace("t", "") + "b")
                return io.TextIOWrapper(binary, *rest, **more)
            return opened(file, mode, buffering, *rest, **more)

        io.open = builtins.open = counted_open  # type: ignore[assignment]
        self._watch_what_is_told()

    def _watch_what_is_told(self) -> None:
        from astro_assets.sources.ftp import FtpTransport
        from astro_assets.sources.pi import PiTransport

        for transport in (FtpTransport, PiTransport):
            for name in _TOLD:
                if hasattr(transport, name):
                    setattr(transport, name, self._told(getattr(transport, name), name))

    def _told(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.step(f"before {name}")
            answer = call(*args)
            self.step(f"after {name}")
            return answer

        return counted

    def _audited(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and self._is_ours(args[0]) and (args[2] or 0) & _WRITING:
            self.step("open")
        elif event in _CHANGES and (isinstance(args[0], int) or self._is_ours(args[0])):
            self.step(event.removeprefix("os.").removeprefix("fcntl."))

    def _is_ours(self, file: Any) -> bool:
        try:
            return not isinstance(file, int) and os.fsdecode(file).startswith(self._below)
        except TypeError:
            return False
