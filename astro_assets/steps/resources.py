"""How much of the machine one process may take: cores and memory.

What belongs here: what there is, also within a container; what the settings leave of it; how many
frames may be worked on side by side. What does not: the threads (`pool`, `imaging.threads`).
"""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astro_assets.imaging.threads import use_threads
from astro_assets.settings import Resources

_SHARE_OF_MEMORY = 0.5
"""without a word in the settings: two runs may go at once, and others use the machine, too"""
_PROGRAM_BYTES = 400e6
"""of the process itself, its libraries and the masters that all frames share"""
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What this process may take."""

    cores: int
    memory_bytes: float

    def side_by_side(self, need_bytes: float) -> int:
        """How many frames to work on at once, each of which needs so much memory; at least one."""
        room = self.memory_bytes - _PROGRAM_BYTES
        most = self.cores if need_bytes <= 0 else math.floor(room / need_bytes)
        return max(1, min(self.cores, most))


def allowance(wish: Resources, cgroup: Path) -> Allowance:
    """What the settings leave of what there is.

    cgroup : where a container tells its limits (cgroup version 2)
    """
    cores = _cores(cgroup)
    memory_bytes = (
        _SHARE_OF_MEMORY * _memory_bytes(cgroup) if wish.memory_gb is None else wish.memory_gb * 1e9
    )
    return Allowance(cores if wish.cores is None else min(wish.cores, cores), memory_bytes)


class _Process:
    """The allowance of this process; what the machine has, until the settings are known."""

    allowed: Allowance | None = None


def use(wish: Resources) -> None:
    """Hold this process to the settings, from now on."""
    _Process.allowed = allowance(wish, _CGROUP)
    use_threads(_Process.allowed.cores)


def allowed() -> Allowance:
    """What this process may take."""
    if _Process.allowed is None:
        use(Resources())
    assert _Process.allowed is not None
    return _Process.allowed


def largest(files: Iterable[Path]) -> float:
    """The size in bytes of the largest file that is there: what a frame needs is in proportion."""
    sizes = [0]
    for file in files:
        with suppress(OSError):
            sizes.append(file.stat().st_size)
    return float(max(sizes))


def _cores(cgroup: Path) -> int:
    """Those that this process may run on, and no more than its container is given time for."""
    cores = len(os.sched_getaffinity(0))
    words = _words(cgroup / "cpu.max")
    if len(words) == 2 and words[0] != "max":
        cores = min(cores, math.ceil(int(words[0]) / int(words[1])))
    return max(1, cores)


def _memory_bytes(cgroup: Path) -> float:
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    words = _words(cgroup / "memory.max")
    return min(there, int(words[0])) if words and words[0] != "max" else there


def _words(file: Path) -> list[str]:
    """Of a file of the system; none where it has no such file."""
    try:
        return file.read_text(encoding="ascii").split()
    except OSError:
        return []
