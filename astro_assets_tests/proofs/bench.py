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
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

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
    asked = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = Path(folder).resolve()
        count = _room_for(asked.files, work)
        files = frames(work / "frames", count)
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
        _explanation(count, asked.rounds),
        comparison(compared),
        _LISTING,
        listings(listed),
        "\nA sensor's tick, with databases on disk:\n",
        *(f"- {tick}\n" for tick in ticks),
        "Figures that are wanted:\n",
        table(["Figure", "Measured", "Held"], wanted),
    ]
    write_page(asked.page, "Speed and memory", "bench", parts)
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
    """The best time of another program by our best."""
    (our,) = [c for c in compared if c.letter == each.letter and c.program == OURS]
    return min(each.seconds) / min(our.seconds)


def _room_for(count: int, work: Path) -> int:
    """As many files as fit on the disk: as they are served, and as they are fetched."""
    free = shutil.disk_usage(work).free
    return min(count, int(free / 3 / FRAME_BYTES))


def comparison(compared: Sequence[Compared]) -> str:
    """A line for each program and server; ratios are to ours, above 1 where we are faster."""
    rows = []
    for each in compared:
        (our,) = [c for c in compared if c.letter == each.letter and c.program == OURS]
        rows.append(
            [
                each.letter, each.server, each.program,
                _span(each.seconds), f"{_ratio(each, compared):.2f}",
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
