"""A command's time, and the memory of it and all its children. Nothing else belongs here."""

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took.

    cpu_s : of the process and all that it started, also what outlived it (lftp's ssh)
    peak_mb : resident, of all of them together, shared pages counted for each
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command to its end. Raises `RuntimeError` with what it printed when it fails."""
    _adopt_orphans()
    others = _children(os.getpid())
    begun, cpu_s = time.monotonic(), _children_s()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    peaks = [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_EVERY_S):
            peaks[0] = max(peaks[0], _resident_mb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.monotonic() - begun
    over.set()
    watcher.join()
    for orphan in _children(os.getpid()) - others:
        os.waitpid(orphan, 0)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output[-2000:]}")
    return Measured(seconds, _children_s() - cpu_s, peaks[0], output)


def _adopt_orphans() -> None:
    """Have the children of a child that ended become ours, so that their time is told to us."""
    set_child_subreaper = 36
    if ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise RuntimeError("this system does not hand orphans over")


def _children(pid: int) -> set[int]:
    """The numbers of a process's children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident_mb(pid: int) -> float:
    """Of a process and its children; 0 when it is gone."""
    total_kb = 0.0
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS"):
                total_kb = float(line.split()[1])
        total_kb += sum(1000 * _resident_mb(child) for child in _children(pid))
    except OSError:
        return 0.0
    return total_kb / 1000
