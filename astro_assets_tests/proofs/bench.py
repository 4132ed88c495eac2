"""Speed and memory, on loopback: the run and its page.

What belongs here: what is measured, how it is told. What does not: fetching in turns
(`bench_transfer`), looking (`bench_listing`), a sensor's tick (`defs.bench`).

    python -m astro_assets_tests.proofs.bench docs/proofs/bench.md
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from astro_assets.store import sha256_of
from astro_assets_tests.defs import bench as sensor_bench
from astro_assets_tests.proofs.bench_listing import Listed, list_many
from astro_assets_tests.proofs.bench_sources import CONNECTIONS, FOLDERS, FRAME_BYTES, frames
from astro_assets_tests.proofs.bench_transfer import OURS, Compared, compare
from astro_assets_tests.proofs.page import table, write_page


def main() -> int:
    """Measure all of it and write the page; status 0 when every figure is held."""
    parser = argparse.ArgumentParser(description="speed and memory against lftp and rclone")
    parser.add_argument("page", type=Path)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--below", type=Path, help="all files lie here; /dev/shm is no disk")
    asked = parser.parse_args()
    if asked.below:
        tempfile.tempdir = str(asked.below)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder).resolve()
        count = _room_for(asked.files, work)
        files = frames(work / "frames", count)
        hash_s = _hash_s(files)
        compared: list[Compared] = []
        for letter in FOLDERS:
            compared += compare(letter, files, asked.rounds, work)
            console.print(comparison([c for c in compared if c.letter == letter]))
        shutil.rmtree(work / "frames")
        listed = []
        for letter in FOLDERS:
            listed.append(list_many(letter, asked.listed, asked.rounds, work))
            shutil.rmtree(work / "data")
            console.print(listings(listed))
    ticks = [
        sensor_bench.known(500, 20),
        sensor_bench.known(2000, 5),
        sensor_bench.first_sight(2000),
    ]
    wanted = figures(compared, listed)
    parts = [
        _explanation(count, asked.rounds, tempfile.gettempdir(), hash_s),
        comparison(compared),
        _LISTING,
        listings(listed),
        "\nA sensor's tick, with databases on disk:\n",
        *(f"- {tick}\n" for tick in ticks),
        "Figures that are wanted:\n",
        table(["Figure", "Measured", "Held"], wanted),
    ]
    write_page(asked.page, "Speed and memory", "bench-transfers", parts)
    return any(held != "yes" for *_, held in wanted)


def figures(compared: Sequence[Compared], listed: Sequence[Listed]) -> list[tuple[str, str, str]]:
    """What is wanted, what was measured, and whether that holds."""
    ratios = [
        (f"{c.letter}: at least as fast as {c.program}", _ratio(c, compared), 1.0)
        for c in compared
        if c.program != OURS
    ]
    most = max(run.peak_mb for c in compared if c.program == OURS for run in c.runs)
    limits = [("150 MB for a fetch", most, 150.0)]
    for each in listed:
        limits.append((f"{each.letter}: 5 s for a look", min(each.looked_s), 5.0))
        limits.append((f"{each.letter}: 300 MB for a look", each.peak_mb, 300.0))
    return [
        *(
            (what, f"{ratio:.2f} times", "yes" if ratio >= least else "**no**")
            for what, ratio, least in ratios
        ),
        *(
            (what, f"{seen:.1f}", "yes" if seen <= limit else "**no**")
            for what, seen, limit in limits
        ),
    ]


def _ratio(each: Compared, compared: Sequence[Compared]) -> float:
    """Another program's time by ours: of the pairs of each round the middle one."""
    (our,) = [c for c in compared if c.letter == each.letter and c.program == OURS]
    pairs = zip(each.seconds, our.seconds, strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def _room_for(count: int, work: Path) -> int:
    """As many files as fit on the disk: as they are served, and as they are fetched."""
    free = shutil.disk_usage(work).free
    return min(count, int(free / 3 / FRAME_BYTES))


def comparison(compared: Sequence[Compared]) -> str:
    """A line for each program and server; ratios are to ours, above 1 where we are faster."""
    rows = []
    for each in compared:
        (our,) = [c for c in compared if c.letter == each.letter and c.program == OURS]
        cpu_s = statistics.median(each.cpu_s)
        rows.append(
            [
                each.letter, each.server, each.program,
                _span(each.seconds), f"{_ratio(each, compared):.2f}",
                _span(each.synced_s),
                f"{cpu_s:.1f}", f"{cpu_s / statistics.median(our.cpu_s):.2f}",
                f"{max(run.peak_mb for run in each.runs):.0f}",
            ]
        )  # fmt: skip
    head = [
        "Source", "Server", "Program", "Seconds: min, median", "Ratio",
        "Until on disk: min, median", "CPU s: median", "Ratio of CPU", "Peak MB",
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


def _hash_s(files: Sequence[Path]) -> float:
    """What a SHA-256 of all of them costs, in one thread."""
    begun = time.thread_time()
    for file in files:
        sha256_of(file)
    return time.thread_time() - begun


def _explanation(count: int, rounds: int, below: str, hash_s: float) -> str:
    place = "in memory (tmpfs), served as well as fetched" if "shm" in below else "on one disk"
    return f"""\
{count} files of 8 MB of noise, as FITS in one folder, on loopback, {place}; {CONNECTIONS}
connections for every program; {rounds} rounds, in each of which the programs take turns on an empty
folder and a synced disk. Times are those of the whole command, its start included; those until on
disk end when nothing is left to write. The ratio is their time by ours, of each round, and of those
the middle one: above 1 we are faster. CPU seconds are those of the command and all that it
starts (lftp's ssh), not of the server. Memory is of all processes of a command together.

Ours is a look and a fetch without Dagster. It also hashes, checks the structure, searches holes,
syncs each file and folder, and writes a manifest; the others copy. The SHA-256 alone costs
{hash_s:.1f} CPU seconds of these files.

rclone is Debian's release, spoken to with TLS 1.2 (with TLS 1.3 it and vsftpd do not agree), and
without its hashes of files on SFTP. The load of the machine when this was written, over 1, 5 and 15
minutes: {", ".join(f"{load:.1f}" for load in os.getloadavg())}.
"""


_LISTING = """
A look at 100 000 files (ten folders; for the Pi one manifest), as batches:
"""


if __name__ == "__main__":
    raise SystemExit(main())
