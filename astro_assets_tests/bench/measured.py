"""What a piece of work costs: time, processor, memory and bytes, of a command or of a function.

What belongs here: measuring. What does not: what is measured (`ours`, `peers_…`).

A function runs in a process of its own, after its imports and one small warm-up, so that neither
side is charged for its start; a command is charged for all of it.
"""

import gc
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_EVERY_S = 0.02
_KEEP = "ASTRO_ASSETS_BENCH_KEEP"
Found = dict[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took.

    cpu_s : of the process and its children
    peak_mb : resident, of all of them together
    read_mb, written_mb : by system calls, from and to files
    found : what the work found, for comparison with the truth and with the others
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    read_mb: float
    written_mb: float
    found: Mapping[str, float] = field(default_factory=dict)


def median(costs: Sequence[Cost]) -> Cost:
    """Each figure's median; what was found is the last run's."""
    figures = {
        name: statistics.median(getattr(cost, name) for cost in costs)
        for name in ("wall_s", "cpu_s", "peak_mb", "read_mb", "written_mb")
    }
    return Cost(**figures, found=costs[-1].found)


def of_command(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Cost:
    """Run a program in ``folder`` to its end.

    Raises
    ------
    RuntimeError : with the last of what it printed, when it fails
    """
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
    )
    watcher = _Watcher(process.pid)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.monotonic()
    output, _ = process.communicate()
    wall_s = time.monotonic() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watcher.stop()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output[-3000:]}")
    return Cost(
        wall_s=wall_s,
        cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        peak_mb=watcher.peak_mb,
        read_mb=watcher.read_mb,
        written_mb=watcher.written_mb,
    )


def of_function(module: str, name: str, *arguments: str, keep: Path | None = None) -> Cost:
    """Call ``module.name(*arguments)`` in a process of its own; it gives what it found.

    If the module has ``warm_<name>``, that is called with the same arguments first.

    keep : a file for the array that the function gives beside its figures, to be judged
    """
    command = [sys.executable, "-m", __name__, module, name, *arguments]
    more = {} if keep is None else {_KEEP: str(keep)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **more}
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{name} failed: {done.stderr[-3000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _inside(module: str, name: str, *arguments: str) -> Cost:
    """The measured call, in its own process."""
    loaded = importlib.import_module(module)
    work: Callable[..., Found | tuple[Found, NDArray[Any]]] = getattr(loaded, name)
    warm: Callable[..., Any] | None = getattr(loaded, f"warm_{name}", None)
    if warm is not None:
        warm(*arguments)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    before, begun, bytes_before = _cpu_s(), time.monotonic(), _bytes(os.getpid())
    found = work(*arguments)
    wall_s, cpu_s = time.monotonic() - begun, _cpu_s() - before
    read, written = (a - b for a, b in zip(_bytes(os.getpid()), bytes_before, strict=True))
    peak_mb = _status_kb(os.getpid(), "VmHWM") / 1000
    if isinstance(found, tuple):
        found, kept = found
        if _KEEP in os.environ:
            np.save(os.environ[_KEEP], kept)
    return Cost(wall_s, cpu_s, peak_mb, read / 1e6, written / 1e6, found)


def _cpu_s() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


class _Watcher:
    """Looks at a process and its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._io: dict[int, tuple[int, int]] = {}
        self.peak_mb = 0.0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    @property
    def read_mb(self) -> float:
        return sum(read for read, _ in self._io.values()) / 1e6

    @property
    def written_mb(self) -> float:
        return sum(written for _, written in self._io.values()) / 1e6

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_EVERY_S):
            family = list(_family(self._pid))
            self.peak_mb = max(self.peak_mb, sum(_status_kb(p, "VmRSS") for p in family) / 1000)
            for pid in family:
                with suppress(OSError):
                    self._io[pid] = _bytes(pid)


def _family(pid: int) -> list[int]:
    pids = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                pids += _family(int(child))
    return pids


def _status_kb(pid: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return float(line.split()[1])
    return 0.0


def _bytes(pid: int) -> tuple[int, int]:
    """Bytes that a process has read and written by system calls; what is mapped is not counted."""
    figures = dict(
        line.split(": ")
        for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    )
    return int(figures["rchar"]), int(figures["wchar"])


if __name__ == "__main__":
    print(json.dumps(asdict(_inside(*sys.argv[1:]))))  # noqa: T201 - for the process that asked
