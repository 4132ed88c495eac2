"""Speed and memory, on loopback, against the programs that everybody has.

What belongs here: what is compared with what, the page. What does not: measuring (`measure`), the
part of it that is ours (`bench_fetch`).

    python -m astro_assets_tests.proofs.bench docs/proofs/bench.md
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from rich.console import Console

from astro_assets_tests.defs import bench as sensor_bench
from astro_assets_tests.faults.far import Far, ItelescopeFar, Servers
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import folder, version
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.proofs.measure import Measured, measured
from astro_assets_tests.proofs.page import table, write_page
from astro_assets_tests.sources.conftest import put, sha256

OURS = "astro-assets"
CONNECTIONS = 2
_ROWS = 2000
_FOLDERS = {
    "F": "T20/M 31/20261120",
    "V": "2026-11-20_21-10-00_observation_M31/01-images-initial",
    "S": "2026-11-20",
}
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


def frames(folder: Path, count: int) -> list[Path]:
    """FITS files of 8 MB of noise, which nothing compresses."""
    header = fits.PrimaryHDU(np.zeros((1, 1), np.int16)).header
    header["NAXIS1"], header["NAXIS2"] = _ROWS, _ROWS
    head = header.tostring().encode()
    dice = np.random.default_rng(8)
    padding = bytes(-(2 * _ROWS * _ROWS) % 2880)
    return [
        put(folder / f"{number}", head + dice.bytes(2 * _ROWS * _ROWS) + padding)
        for number in range(count)
    ]


def name(letter: str, number: int) -> str:
    """A frame's path below what the source's settings lead to."""
    names = {
        "F": f"raw-T20-observer-M 31-20261120-21{number // 60:02d}{number % 60:02d}"
        f"-Red-BIN1-W-60-{number:04d}.fit",
        "V": f"img-{number:04d}.fits",
        "S": f"light-{number:04d}.fits",
    }
    return f"{_FOLDERS[letter]}/{names[letter]}"


def compare(letter: str, files: Sequence[Path], rounds: int, work: Path) -> list[Compared]:
    """Fetch the tree with each program in turn, as often as there are rounds."""
    with _far(letter, work) as far:
        for number, file in enumerate(files):
            target = far.served / name(letter, number)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(file)
        if letter == "S":
            _write_manifest(far, {name(letter, n): file for n, file in enumerate(files)})
        if letter == "F":
            far.options["frames"] = ["raw"]
        programs = {OURS: partial(ours, far), **_others(letter, far, work)}
        compared = {program: Compared(letter, far.server, program) for program in programs}
        for _ in range(rounds):
            for program, fetch in programs.items():
                run, synced_s = _fetched(fetch, work / "data", files)
                compared[program].runs.append(run)
                compared[program].synced_s.append(synced_s)
        return list(compared.values())


@contextmanager
def _far(letter: str, work: Path) -> Iterator[Far]:
    with ExitStack() as stack:
        if letter == "F":
            # rclone speaks only TLS 1.2 with it, for which the certificate needs other ciphers.
            shown = identity(stack.enter_context(folder("identity")))
            running = stack.enter_context(vsftpd(shown, ssl_ciphers="HIGH"))
            yield ItelescopeFar(running, work)
        else:
            yield stack.enter_context(closing(Servers())).far(letter, work)


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
    far.options["max_connections"] = CONNECTIONS
    module = f"{__package__}.bench_fetch"
    file = str(far.settings.file)
    return measured([sys.executable, "-m", module, file, far.name, *more])


def _write_manifest(far: Far, files: dict[str, Path]) -> None:
    lines = [
        {
            "file": path.split("/")[1],
            "size": file.stat().st_size,
            "sha256": sha256(file.read_bytes()),
            "facts": {"IMAGETYP": "Light Frame", "OBJECT": "M 31", "INSTRUME": "ZWO ASI294MC"},
        }
        for path, file in files.items()
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    put(far.served / _FOLDERS["S"] / "manifest.jsonl", text)


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
        root = {"F": "/T20", "V": "/user", "S": str(far.served / _FOLDERS["S"])}[letter]
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
                f":sftp:{far.served / _FOLDERS['S']}", f"--sftp-host={host}", f"--sftp-port={port}",
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


@dataclass(frozen=True, slots=True)
class Listed:
    """A look at many files. ``looked_s`` is the look alone, without the program's start."""

    letter: str
    server: str
    how: str
    files: int
    looked_s: tuple[float, ...]
    peak_mb: float


def list_many(letter: str, count: int, rounds: int, work: Path) -> Listed:
    """Look at ``count`` files in ten folders."""
    with _far(letter, work) as far:
        for number in range(count):
            path = far.served / name(letter, number % (count // 10)).replace(
                "31", str(31 + number // (count // 10)), 1
            )
            if letter != "S":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        if letter == "S":
            _write_lines(far, count)
        if letter == "F":
            far.options["frames"] = ["raw"]
        far.root.mkdir()
        runs = [ours(far, far.root, "look") for _ in range(rounds)]
        told = [json.loads(run.output) for run in runs]
        if {each["files"] for each in told} != {count}:
            raise RuntimeError(f"{told} are not {count} files")
        how = {"F": "LIST over TLS", "V": "MLSD", "S": "the manifest over SFTP"}[letter]
        looked_s = tuple(each["looked_s"] for each in told)
        return Listed(letter, far.server, how, count, looked_s, max(r.peak_mb for r in runs))


def _write_lines(far: Far, count: int) -> None:
    facts = {"IMAGETYP": "Light Frame", "OBJECT": "M 31", "INSTRUME": "ZWO ASI294MC"}
    lines = (
        {"file": f"light-{n:06d}.fits", "size": 8_000_640, "sha256": f"{n:064x}", "facts": facts}
        for n in range(count)
    )
    text = "".join(json.dumps(line) + "\n" for line in lines)
    put(far.served / _FOLDERS["S"] / "manifest.jsonl", text)


def main() -> int:
    """Measure all of it and write the page; status 0 when every figure is held."""
    parser = argparse.ArgumentParser(description="speed and memory against lftp and rclone")
    parser.add_argument("page", type=Path)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder).resolve()
        count = _room_for(asked.files, work)
        files = frames(work / "frames", count)
        compared: list[Compared] = []
        for letter in _FOLDERS:
            compared += compare(letter, files, asked.rounds, work)
            console.print(comparison([c for c in compared if c.letter == letter]))
        shutil.rmtree(work / "frames")
        listed = []
        for letter in _FOLDERS:
            listed.append(list_many(letter, asked.listed, asked.rounds, work))
            shutil.rmtree(work / "data")
            console.print(listings(listed))
    ticks = [
        sensor_bench.known(500, 20),
        sensor_bench.known(2000, 5),
        sensor_bench.first_sight(2000),
    ]
    parts = [
        _explanation(count, asked.rounds), comparison(compared), _LISTING, listings(listed),
        "\nA sensor's tick, with databases on disk:\n", *(f"- {tick}\n" for tick in ticks),
    ]  # fmt: skip
    write_page(asked.page, "Speed and memory", "make bench", parts)
    return 0


def _room_for(count: int, work: Path) -> int:
    """As many files as fit on the disk: as they are served, and as they are fetched."""
    free = shutil.disk_usage(work).free
    return min(count, int(free / 3 / (2 * _ROWS * _ROWS)))


def comparison(compared: Sequence[Compared]) -> str:
    """A line for each program and server; ratios are to ours, above 1 where we are faster."""
    rows = []
    for each in compared:
        (our,) = [c for c in compared if c.letter == each.letter and c.program == OURS]
        rows.append(
            [
                each.letter, each.server, each.program,
                _span(each.seconds), f"{min(each.seconds) / min(our.seconds):.2f}",
                f"{statistics.median(each.seconds) / statistics.median(our.seconds):.2f}",
                _span(each.synced_s),
                f"{min(run.cpu_s for run in each.runs):.1f}",
                f"{max(run.peak_mb for run in each.runs):.0f}",
            ]
        )  # fmt: skip
    head = [
        "Source", "Server", "Program", "Seconds: min, median", "Ratio of min", "Ratio of median",
        "Until on disk: min, median", "CPU s", "Peak MB",
    ]  # fmt: skip
    return table(head, rows)


def listings(listed: Sequence[Listed]) -> str:
    head = ["Source", "Server", "How", "Files", "Seconds: min, median", "Peak MB"]
    return table(
        head,
        [
            [e.letter, e.server, e.how, e.files, _span(e.looked_s), f"{e.peak_mb:.0f}"]
            for e in listed
        ],
    )


def _span(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f}, {statistics.median(seconds):.1f}"


def _explanation(count: int, rounds: int) -> str:
    return f"""\
{count} files of 8 MB of noise, as FITS in one folder, on loopback; {CONNECTIONS} connections for
every program; {rounds} rounds, in each of which the programs take turns on an empty folder and a
synced disk. Times are those of the whole command, its start included; ours also reads the listing,
hashes, checks the structure, syncs each file and folder, and writes a manifest, so that on its end
all is on the disk; for the others a `sync` is added in the column for that. Ratios are their time
by ours: above 1 we are faster. Memory is of all processes of a command together.

rclone is Debian's release, spoken to with TLS 1.2 (with TLS 1.3 it and vsftpd do not agree), and
without its hashes of files on SFTP. The load of the machine when this began, over 1, 5 and 15
minutes: {", ".join(f"{load:.1f}" for load in os.getloadavg())}.
"""


_LISTING = """
A look at 100 000 files (ten folders; for the Pi one manifest), as batches:
"""


if __name__ == "__main__":
    raise SystemExit(main())
