"""A rehearsed night with a fault every five minutes: what went wrong, and what is there in the end.

Shared by the test (a short night) and by ``make capture-faults`` (ten hours).
"""

import contextlib
import hashlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import IO

from astropy.io import fits

from astro_assets_tests.capture.conftest import Pi, write_plan

SPEED = 100.0
EVERY_S = 300.0
ABSENT_S = 60.0
CAMERA_FAULTS = ("failed", "hang", "working", "removed", "short", "crash", "slow-control")


@dataclass
class Night:
    """What was done to a night, and what it gave."""

    slots: int
    injected: Counter[str] = field(default_factory=Counter)
    log: str = ""
    phase: str = ""
    frames: int = 0

    @property
    def lost(self) -> int:
        return self.slots - self.frames


def play(pi: Pi, hours: float, cadence_s: float = 120.0) -> Night:
    """Run the capture program through a night and hurt it every five minutes of the night."""
    night = Night(slots=round(hours * 3600 / cadence_s))
    plan = write_plan(pi.home, hours)
    process = pi.start("run", "--plan", str(plan), "--speed", str(SPEED))
    assert process.stdout is not None
    log = _Reader(process.stdout)
    try:
        faults = cycle(_faults(pi))
        began_s = time.monotonic()
        end_s = began_s + (hours * 3600 + 5 - EVERY_S / 2) / SPEED
        while process.poll() is None and time.monotonic() < end_s:
            time.sleep(EVERY_S / SPEED)
            if time.monotonic() >= end_s:
                break
            name, hurt = next(faults)
            hurt()
            night.injected[name] += 1
        assert process.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    night.log = log.text()
    night.phase = pi.status()["phase"]
    night.frames = len(whole_frames(pi))
    return night


def whole_frames(pi: Pi) -> list[Path]:
    """Every published frame, each proved whole and in the manifest under its hash."""
    lines = {line["file"]: line for line in pi.manifest()}
    frames = sorted(pi.night.glob("*.fits"))
    assert [frame.name for frame in frames] == sorted(lines)
    for frame in frames:
        content = frame.read_bytes()
        assert lines[frame.name]["size"] == len(content)
        assert lines[frame.name]["sha256"] == hashlib.sha256(content).hexdigest()
        with fits.open(frame, checksum=True) as hdus:
            assert hdus[0].data.shape
    return frames


def _faults(pi: Pi) -> Iterator[tuple[str, Callable[[], None]]]:
    faults = pi.home / "faults"

    def next_exposure(word: str) -> Callable[[], None]:
        return lambda: faults.write_text(f"{word}\n")

    for word in CAMERA_FAULTS:
        yield word, next_exposure(word)
    yield "absent", lambda: _unplugged(pi)
    yield "SIGKILL", lambda: _signalled(pi, signal.SIGKILL)
    yield "SIGSEGV", lambda: _signalled(pi, signal.SIGSEGV)
    yield "wedged", lambda: _signalled(pi, signal.SIGSTOP)


def _signalled(pi: Pi, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(json.loads((pi.night / "status.json").read_text())["pid"], number)


def _unplugged(pi: Pi) -> None:
    """The camera drops off the bus in the middle of an exposure, and comes back a minute later."""
    (pi.home / "absent").touch()
    (pi.home / "faults").write_text("removed\n")
    time.sleep(ABSENT_S / SPEED)
    (pi.home / "absent").unlink()


class _Reader:
    """Reads a process's output as it comes, so that its pipe never fills."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            self._lines.extend(self._stream)

    def text(self) -> str:
        self._thread.join(10)
        return "".join(self._lines)
