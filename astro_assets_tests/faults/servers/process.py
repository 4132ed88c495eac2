"""A server's program: found, started on a free port of this machine, ended.

What belongs here: what all of them share. What does not: their settings.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

HOST = "127.0.0.1"
# Debian's FTP servers cannot be installed beside one another: the others are unpacked here.
UNPACKED = Path("/opt/ftp-servers")
_PATH = f"/usr/sbin:/usr/local/sbin:/usr/bin:{UNPACKED}/usr/sbin:{UNPACKED}/usr/bin"
IS_ROOT = os.geteuid() == 0


@dataclass(frozen=True)
class Running:
    """A server that runs.

    title : program and version
    served : the folder that it serves; a test empties it
    data_ports : where it waits for data connections, for a proxy
    """

    title: str
    host: str
    port: int
    served: Path
    ca_file: Path | None = None
    data_ports: range = range(0)
    more: dict[str, str] = field(default_factory=dict)

    def emptied(self) -> None:
        """Serve nothing."""
        for child in self.served.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()


def program(name: str, package: str) -> str:
    """Where a program is. Skips the test when it is nowhere."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed: apt install {package}")
    return found


def version(command: Sequence[str], pattern: str) -> str:
    """What a program says of its version."""
    with tempfile.TemporaryFile("w+") as told:
        # vsftpd writes it to where others read from.
        subprocess.run(command, stdin=told, stdout=told, stderr=told, check=False, timeout=10)
        told.seek(0)
        match = re.search(pattern, told.read())
    return match[1] if match else "?"


def free_port() -> int:
    with closing(socket.create_server((HOST, 0))) as free:
        return int(free.getsockname()[1])


def free_ports(count: int) -> range:
    """That many free ports in a row."""
    # Processes that start one after the other do not try the same ones.
    for first in range(20_000 + os.getpid() * count % 9_000, 32_000, count):
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(closing(socket.create_server((HOST, port))))
            except OSError:
                continue
            return range(first, first + count)
    pytest.fail("there are no free ports")


def hashed(password: str) -> str:
    """A password as servers keep it."""
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=f"{password}\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


_IN_MEMORY = Path("/dev/shm")


@contextmanager
def folder(name: str, *, in_memory: bool = False) -> Iterator[Path]:
    """An empty folder that other users may look into, unlike pytest's own.

    in_memory : where there is such a place, for very many files
    """
    base = _IN_MEMORY if in_memory and os.access(_IN_MEMORY, os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix=f"faults-{name}-", dir=base))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


# No server outlives tests that were killed.
_MORTAL = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


@contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program and wait until it answers; end it at the end.

    Its limit on open files is a common one: some close them all, one by one, for each connection.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_MORTAL, "sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_for(port, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    pytest.fail(f"{process.args!r} does not start: {log.read_text(errors='replace')[-2000:]}")
