"""A command's time, and the computing and memory of it and all that it starts.

Nothing else belongs here.

    python -m astro_assets_tests.proofs.measure COMMAND …
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_EVERY_S = 0.05
_SET_CHILD_SUBREAPER = 36


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
    # In a process of its own, whose children and their orphans are those of the command alone.
    run = subprocess.run(
        [sys.executable, "-m", __name__, *command],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **(environment or {})},
    )
    told = json.loads(run.stdout)
    if told.pop("status"):
        raise RuntimeError(f"{command[0]} failed: {told['output'][-2000:]}")
    return Measured(**told)


def main() -> None:
    if ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise RuntimeError("this system does not hand orphans over")
    begun = time.monotonic()
    process = subprocess.Popen(
        sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
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
    for orphan in _children(os.getpid()):
        os.waitpid(orphan, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = Measured(seconds, used.ru_utime + used.ru_stime, peaks[0], output)
    sys.stdout.write(json.dumps({**asdict(run), "status": process.returncode}))


def _children(pid: int) -> set[int]:
    """The numbers of a process's children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


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


if __name__ == "__main__":
    main()
