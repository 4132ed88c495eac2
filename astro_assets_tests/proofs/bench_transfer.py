"""Fetching one tree with our own program and with those that everybody has, in turns.

What belongs here: how each is called, the turns. What does not: what is fetched (`bench_sources`).
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from astro_assets_tests.faults.far import Far
from astro_assets_tests.faults.servers.process import version
from astro_assets_tests.proofs.bench_sources import (
    CONNECTIONS,
    FOLDERS,
    far_side,
    name,
    write_manifest,
)
from astro_assets_tests.proofs.measure import Measured, measured
from astro_assets_tests.sources.conftest import sha256

OURS = "astro-assets"
Fetch = Callable[[Path], Measured]
"""Fetches the tree into a folder."""


@dataclass
class Compared:
    """One program on one server, over all rounds.

    synced_s : until its files are on the disk
    """

    letter: str
    server: str
    program: str
    runs: list[Measured] = field(default_factory=list)
    synced_s: list[float] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        return [run.seconds for run in self.runs]

    @property
    def cpu_s(self) -> list[float]:
        return [run.cpu_s for run in self.runs]


def compare(letter: str, files: Sequence[Path], rounds: int, work: Path) -> list[Compared]:
    """Fetch the tree with each program in turn, as often as there are rounds."""
    with far_side(letter, work) as far:
        for number, file in enumerate(files):
            target = far.served / name(letter, number)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(file)
        if letter == "S":
            hashes = [sha256(file.read_bytes()) for file in files]
            names = [Path(name(letter, number)).name for number in range(len(files))]
            sizes = [file.stat().st_size for file in files]
            write_manifest(far, zip(names, sizes, hashes, strict=True))
        programs = {OURS: partial(ours, far), **_others(letter, far, work)}
        compared = {program: Compared(letter, far.server, program) for program in programs}
        for _ in range(rounds):
            for program, fetch in programs.items():
                run, synced_s = _fetched(fetch, work / "data", files)
                compared[program].runs.append(run)
                compared[program].synced_s.append(synced_s)
        return list(compared.values())


def _fetched(fetch: Fetch, into: Path, files: Sequence[Path]) -> tuple[Measured, float]:
    """One program's turn: on a disk that has nothing left to write, with all files as they are."""
    os.sync()
    into.mkdir()
    begun = time.monotonic()
    try:
        run = fetch(into)
        os.sync()
        synced_s = time.monotonic() - begun
        sizes = sorted(p.stat().st_size for p in into.rglob("*.fit*") if p.is_file())
        if sizes != sorted(file.stat().st_size for file in files):
            raise RuntimeError(f"{len(sizes)} of {len(files)} files arrived: {run.output}")
        return run, synced_s
    finally:
        shutil.rmtree(into)


def ours(far: Far, into: Path, *more: str) -> Measured:
    """Our own look and fetch, in a process of its own."""
    assert into == far.root
    module = f"{__package__}.bench_fetch"
    file = str(far.settings.file)
    return measured([sys.executable, "-m", module, file, far.name, *more])


def _others(letter: str, far: Far, work: Path) -> dict[str, Fetch]:
    """`lftp mirror` and `rclone copy`, as they are called for this server."""
    found: dict[str, Fetch] = {}
    host, port = far.address
    if shutil.which("lftp"):
        script = {
            "F": "set ftp:ssl-force yes; set ftp:ssl-protect-data yes; "
            f"set ssl:ca-file {far._running.ca_file}; open -u anonymous,x ftp://{host}:{port}; ",
            "V": f"set ftp:ssl-allow no; open -u anonymous,anonymous@ ftp://{host}:{port}; ",
            "S": f'set sftp:connect-program "ssh -a -x -i {far._running.more.get("key_file")} '
            f'-o UserKnownHostsFile={work}/known_hosts"; '
            f"open -u {far._running.more.get('user')}, sftp://{host}:{port}; ",
        }[letter]
        root = {"F": "/T20", "V": "/user", "S": str(far.served / FOLDERS["S"])}[letter]
        found[f"lftp {version(['lftp', '--version'], r'Version ([0-9.]+)')}"] = lambda into: (
            measured(["lftp", "-c", f"{script} mirror --parallel={CONNECTIONS} {root} {into}/tree"])
        )
    if shutil.which("rclone"):
        obscured = subprocess.run(
            ["rclone", "obscure", "anonymous@"], capture_output=True, text=True, check=True
        ).stdout.strip()
        ftp = [f"--ftp-host={host}", f"--ftp-port={port}", "--ftp-user=anonymous"]
        ftp.append(f"--ftp-pass={obscured}")
        options = {
            "F": [":ftp:/T20", *ftp, "--ftp-explicit-tls", "--ftp-disable-tls13"],
            "V": [":ftp:/user", *ftp],
            "S": [
                f":sftp:{far.served / FOLDERS['S']}", f"--sftp-host={host}", f"--sftp-port={port}",
                f"--sftp-user={far._running.more.get('user')}", "--sftp-disable-hashcheck",
                f"--sftp-key-file={far._running.more.get('key_file')}",
                f"--sftp-known-hosts-file={work}/known_hosts",
            ],
        }[letter]  # fmt: skip
        trust = {"SSL_CERT_FILE": str(far._running.ca_file), "RCLONE_CONFIG": "/dev/null"}
        source, *rest = options
        title = f"rclone {version(['rclone', 'version'], r'v([0-9.]+)')}"
        found[title] = lambda into: measured(
            ["rclone", "copy", source, f"{into}/tree", f"--transfers={CONNECTIONS}", *rest], trust
        )
    return found
