"""Somebody who watches the night's loop: begins it again when it dies, kills it when it hangs.

What belongs here: the watching process, which does nothing else and so does not fail. What does
not: the night itself (`loop`, in the child).

The loop writes a byte into a pipe with every beat. Without systemd this is all the watching there
is; with systemd, the watcher in turn reports to it.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from astro_assets.capture.lock import camera_lock
from astro_assets.errors import NothingToDo

WATCHDOG_S = 90.0
"""a loop that has not beaten for so long is wedged"""
RESTART_AFTER_S = 1.0
LONGEST_RESTART_S = 5.0
DONE = 0
STOPPED = 3
_PATIENCE_TO_STOP_S = 20.0
_SHORTEST_PATIENCE_S = 1.0


def supervise(
    captures: Path, words: list[str], say: Callable[[str], None], speed: float = 1.0
) -> int:
    """Run ``python -m astro_assets.capture.night_process WORDS`` until it says that it is done.

    Parameters
    ----------
    speed : of a rehearsal, whose pauses are shorter by so much

    Returns
    -------
    int : `DONE` or `STOPPED`

    Raises
    ------
    NothingToDo : another capture of this camera is under way
    StorageFailed : the card does not take the lock's file
    """
    with camera_lock(captures) as free:
        if not free:
            raise NothingToDo("another capture of this camera is under way; stop that one first")
        return _Watch(words, say, speed).run()


class _Watch:
    def __init__(self, words: list[str], say: Callable[[str], None], speed: float) -> None:
        self._speed = speed
        self._patience_s = max(WATCHDOG_S / speed, _SHORTEST_PATIENCE_S)
        self._words = words
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told_to_stop)
        notify("READY=1")
        pause_s = RESTART_AFTER_S
        while True:
            begun_s = time.monotonic()
            code = self._watched()
            if self._stopping or code in (DONE, STOPPED):
                return STOPPED if self._stopping else code
            self._say(f"the night's process ended ({_how(code)}); it begins again")
            lasted_s = time.monotonic() - begun_s
            pause_s = (
                RESTART_AFTER_S
                if lasted_s > self._patience_s
                else min(2 * pause_s, LONGEST_RESTART_S)
            )
            time.sleep(pause_s / self._speed)

    def _watched(self) -> int:
        """Start the child and return its status, having killed it if it hung."""
        read, write = os.pipe()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "astro_assets.capture.night_process", str(write), *self._words],
            pass_fds=(write,),
            stdin=subprocess.DEVNULL,
        )
        os.close(write)
        try:
            last_s = time.monotonic()
            with selectors.DefaultSelector() as selector:
                selector.register(read, selectors.EVENT_READ)
                while self._child.poll() is None:
                    if selector.select(min(1.0, self._patience_s / 4)):
                        if os.read(read, 4096):
                            last_s = time.monotonic()
                            notify("WATCHDOG=1")
                        else:
                            break  # it is ending
                    elif time.monotonic() - last_s > self._patience_s:
                        self._say(
                            f"the night's process has not moved for {self._patience_s:g} s: killed"
                        )
                        self._child.kill()
            return self._ended()
        finally:
            os.close(read)

    def _ended(self) -> int:
        assert self._child is not None
        try:
            return self._child.wait(_PATIENCE_TO_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._stopping = True
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()


def notify(text: str) -> None:
    """Tell systemd, if it is there (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(text.encode())


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"
