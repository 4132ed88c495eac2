"""A rehearsed night with a fault every five minutes: what went wrong, and what is there in the end.

Shared by the test (a short night) and by ``make capture-faults`` (ten hours).
"""

import contextlib
import hashlib
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import IO

from astropy.io import fits

from astro_assets_tests.capture.conftest import DUSK, Pi, write_plan

SPEED = 100.0
EVERY_S = 300.0
ABSENT_S = 60.0
CADENCE_S = 120.0
CAMERA_FAULTS = ("failed", "hang", "working", "removed", "short", "crash", "slow-control")
TROUBLE = re.compile(
    r"failed|did not end|has not ended|died|killed|ended|removed|does not|plugged|not there|missed"
)
"""what a line of the log says of a loss"""


@dataclass(frozen=True)
class Fault:
    """One thing that was done to the night.

    at_s : after dusk, by the night's own clock
    lost : frames that are not there because of it
    said : whether the log tells of trouble between it and the next fault
    """

    name: str
    at_s: float
    lost: int = 0
    said: bool = False


@dataclass
class Night:
    """What was done to a night, and what it gave."""

    slots: int
    faults: list[Fault] = field(default_factory=list)
    log: str = ""
    phase: str = ""
    frames: int = 0

    @property
    def lost(self) -> int:
        return self.slots - self.frames

    @property
    def unsaid(self) -> list[Fault]:
        """Faults that cost a frame of which the log says nothing."""
        return [fault for fault in self.faults if fault.lost and not fault.said]

    def by_name(self) -> dict[str, tuple[int, int, int]]:
        """For each kind: how many, frames lost by them, the most by one."""
        kinds: dict[str, list[int]] = {}
        for fault in self.faults:
            kinds.setdefault(fault.name, []).append(fault.lost)
        return {name: (len(lost), sum(lost), max(lost)) for name, lost in sorted(kinds.items())}


def play(pi: Pi, hours: float) -> Night:
    """Run the capture program through a night and hurt it every five minutes of the night."""
    night = Night(slots=round(hours * 3600 / CADENCE_S))
    plan = write_plan(pi.home, hours)
    with _before_all_others():
        process = pi.start("run", "--plan", str(plan), "--speed", str(SPEED))
    assert process.stdout is not None
    log = _Reader(process.stdout)
    try:
        dusk_s = log.dusk_s()
        faults, done = cycle(_faults(pi)), []
        for number in range(1, round(hours * 3600 / EVERY_S)):
            at_s = number * EVERY_S
            time.sleep(max(0.0, dusk_s + at_s / SPEED - time.monotonic()))
            assert process.poll() is None, log.text()
            name, hurt = next(faults)
            done.append(Fault(name, (time.monotonic() - dusk_s) * SPEED))
            hurt()
        assert process.wait(60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    night.log = log.text()
    night.phase = pi.status()["phase"]
    frames = whole_frames(pi)
    night.frames = len({_slot(frame) for frame in frames})
    troubles_s = [(at_s - dusk_s) * SPEED for at_s, line in log.lines if TROUBLE.search(line)]
    night.faults = _blamed(done, night.slots, {_slot(frame) for frame in frames}, troubles_s)
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


def _slot(frame: Path) -> int:
    """Which beat of the cadence a frame belongs to, by the moment in its name."""
    moment = datetime.strptime(frame.name[6:21], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int((moment - DUSK).total_seconds() // CADENCE_S)


def _blamed(
    faults: list[Fault], slots: int, taken: set[int], troubles_s: list[float]
) -> list[Fault]:
    """Each fault with the frames that are missing between it and the next one."""
    lost = Counter[int]()
    for slot in set(range(slots)) - taken:
        end_s = (slot + 1) * CADENCE_S
        lost[max((n for n, f in enumerate(faults) if f.at_s <= end_s), default=0)] += 1
    return [
        Fault(
            fault.name,
            fault.at_s,
            lost[n],
            # An exposure that hangs is given up a minute after its time.
            any(fault.at_s <= at_s <= fault.at_s + EVERY_S + CADENCE_S for at_s in troubles_s),
        )
        for n, fault in enumerate(faults)
    ]


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


@contextlib.contextmanager
def _before_all_others() -> Iterator[None]:
    """What is started within goes before the rest of the machine, where that may be asked for.

    At a hundred times its pace, a second that the machine spends on others is most of a frame's
    time; on a Pi it is none of it.
    """
    usual = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *usual)


class _Reader:
    """Reads a process's output as it comes, with the moment at which each line came."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.lines: list[tuple[float, str]] = []
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            for line in self._stream:
                self.lines.append((time.monotonic(), line))

    def dusk_s(self) -> float:
        """When dusk is, by this machine's clock: the night's first line tells its own."""
        give_up_s = time.monotonic() + 60
        while time.monotonic() < give_up_s:
            for at_s, line in self.lines:
                if now := re.search(r"it is (\S+)$", line):
                    gone_s = (datetime.fromisoformat(now[1]) - DUSK).total_seconds()
                    return at_s - gone_s / SPEED
            time.sleep(0.01)
        raise AssertionError(f"the night does not begin: {self.lines}")

    def text(self) -> str:
        self._thread.join(10)
        return "".join(line for _, line in self.lines)
