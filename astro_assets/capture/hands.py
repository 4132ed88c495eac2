"""The camera's worker process seen from outside: orders with a deadline, and what a hang costs.

What belongs here: starting, asking, killing, resetting the bus, waiting longer each time. What does
not: cameras (`cameras`), the night (`loop`).
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astro_assets.capture.cameras.protocol import Shot, Taken
from astro_assets.capture.clock import Clock
from astro_assets.capture.config import Config
from astro_assets.capture.frames import storage
from astro_assets.capture.usb import reset_camera
from astro_assets.errors import CameraFailed, StorageFailed

OPEN_LIMIT_S = 60.0
BEYOND_EXPOSURE_S = 60.0
"""an exposure that has not ended so long after its time is killed"""
SETTLE_LIMIT_S = 300.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_BEAT_S = 10.0


class Hands:
    """One camera in a process of its own."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        say: Callable[[str], None],
        beat: Callable[[], None],
    ) -> None:
        """``beat`` is called about every second while an order is being waited for."""
        self._config = config
        self._clock = clock
        self._say = say
        self._beat = beat
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self._pause_s = 0.0

    def expose(self, shot: Shot, part: Path) -> Taken:
        """Take one exposure.

        Raises
        ------
        CameraFailed : it did not work, or not in time; the process is gone, the next call begins
            with a new one
        StorageFailed : the card does not take the frame
        """
        self._ready()
        answer = self._asked(
            {
                "do": "expose",
                "exposure_s": shot.exposure_s,
                "gain": shot.gain,
                "image_type": shot.image_type,
                "facts": dict(shot.facts),
                "part": str(part),
            },
            shot.exposure_s + BEYOND_EXPOSURE_S,
        )
        self._pause_s = 0.0
        return Taken(tuple(Path(f) for f in answer["files"]), answer["facts"], answer["level"])

    def settle(self, gain: int | None, max_exposure_s: float) -> tuple[float, int] | None:
        """Exposure and gain that the camera finds by itself; None when it has no such way."""
        self._ready()
        order = {"do": "settle", "gain": gain, "max_exposure_s": max_exposure_s}
        settled = self._asked(order, SETTLE_LIMIT_S)["settled"]
        return None if settled is None else (float(settled[0]), int(settled[1]))

    def pause_s(self) -> float:
        """How long to wait after a failure: twice as long each time, up to a minute."""
        self._pause_s = min(max(FIRST_PAUSE_S, 2 * self._pause_s), LONGEST_PAUSE_S)
        return self._pause_s

    def let_go(self) -> None:
        """Close the camera politely, or end its process."""
        if self._process is not None:
            with contextlib.suppress(CameraFailed, StorageFailed):
                self._asked({"do": "close"}, 10.0)
            self._kill()

    def _ready(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._kill()
        words = [sys.executable, "-m", "astro_assets.capture.worker"]
        self._process = subprocess.Popen(
            [*words, str(self._config.file), repr(self._clock.speed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._unread = b""
        # Opening takes what it takes, whatever the pace of the night's clock.
        name = self._asked({"do": "open"}, OPEN_LIMIT_S * self._clock.speed)["name"]
        self._say(f"{name} is open")

    def _asked(self, order: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Send an order and wait for its answer; whatever goes wrong ends the process."""
        what = f"{self._config.camera.name}: {order['do']}"
        try:
            answer = self._exchange(order, limit_s, what)
        except CameraFailed:
            self._kill()
            raise
        if "storage" in answer:
            with storage(self._config.save):
                raise OSError(*answer["storage"])
        if "failed" in answer:
            self._kill()
            raise CameraFailed(answer["failed"])
        return answer

    def _exchange(self, order: dict[str, Any], limit_s: float, what: str) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise CameraFailed(f"{what}: the camera's process is not there")
        try:
            process.stdin.write((json.dumps(order) + "\n").encode())
            process.stdin.flush()
        except OSError as error:
            raise CameraFailed(f"{what}: the camera's process has ended") from error
        deadline_s = time.monotonic() + self._clock.real_s(limit_s)
        beat_every_s = min(1.0, max(self._clock.real_s(_BEAT_S), 0.05))
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    reset_camera(self._config.camera, self._say)
                    raise CameraFailed(f"{what} did not end in time; its process was killed")
                if not selector.select(min(left_s, beat_every_s)):
                    self._beat()
                else:
                    chunk = os.read(process.stdout.fileno(), 65536)
                    if not chunk:
                        raise CameraFailed(f"{what}: the camera's process died ({_how(process)})")
                    self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise CameraFailed(f"{what}: the answer is not understood") from error
        return dict(answer)

    def _kill(self) -> None:
        """End the worker and whatever it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    return f"signal {-code}" if code < 0 else f"status {code}"
