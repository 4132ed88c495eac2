"""Files that only a C library can tell to be whole, decoded where its death does no harm.

What belongs here: the child process, seen from outside. What does not: the decoders and their
limits on memory and time (`decoders`), which files need this (`verify`). Plain FITS never does.

One child serves for many files and is replaced when it dies. It ends by itself when this process
is gone.
"""

import atexit
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astro_assets.errors import BrokenFile
from astro_assets.sources.decoders import CPU_S, MEMORY_BYTES

WALL_S = 120.0
_COMMAND = (sys.executable, "-m", "astro_assets.sources.decoders")
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH")
"""No more of the environment: there are secrets in it."""
_OF_THE_CHILD = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_PERTURB_": "165"}
"""New memory is filled, so that pixels which a decoder left out are not those of the last file."""
_LAST_WORDS = 200


def check_decodes(path: Path, name: str, form: str) -> None:
    """Decode a file in a process of its own, and forget the pixels.

    form : a key of `decoders.DECODERS`

    Raises
    ------
    BrokenFile : it cannot be decoded, or its decoder crashes, or takes too much memory or time
    """
    with _LOCK:
        _CHILDREN.current().decode(path, name, form)


@dataclass(frozen=True, slots=True)
class _Child:
    process: "subprocess.Popen[str]"
    errors: IO[bytes]
    owner: int

    @classmethod
    def start(cls) -> "_Child":
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        environment = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**environment, **_OF_THE_CHILD},
        )
        return cls(process, errors, os.getpid())

    @property
    def usable(self) -> bool:
        """Alive, and not the child of the process that this one was forked from."""
        return self.owner == os.getpid() and self.process.poll() is None

    def decode(self, path: Path, name: str, form: str) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead: there will be no answer
            stdin.write(json.dumps({"form": form, "path": str(path.absolute())}) + "\n")
            stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            in_time = bool(selector.select(WALL_S))
        if in_time and stdout.readline():
            return
        if not in_time:
            self.process.kill()
        self.process.wait()
        raise BrokenFile(f"{name} {self._why(in_time)}: ask the source for it again")

    def _why(self, in_time: bool) -> str:
        """How the child ended, as a clause."""
        status = self.process.returncode
        if not in_time:
            return f"takes longer than {WALL_S:.0f} s to decode"
        if status == -signal.SIGXCPU:
            return f"takes more than {CPU_S} s of computing to decode"
        if status < 0:
            return f"crashes its decoder ({signal.Signals(-status).name})"
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        last = lines[-1][-_LAST_WORDS:] if lines else f"status {status}"
        if "MemoryError" in last:
            return f"takes more than {MEMORY_BYTES // 2**20} MB of memory to decode"
        return f"cannot be decoded ({last})"

    def close(self) -> None:
        """End it, unless it is another process's."""
        if self.owner != os.getpid():
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class _Children:
    """The child of the moment."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        atexit.register(self.close)

    def current(self) -> _Child:
        if self._child is None or not self._child.usable:
            self.close()
            self._child = _Child.start()
        return self._child

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()


_CHILDREN = _Children()
_LOCK = threading.Lock()
