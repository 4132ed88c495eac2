"""How the cost grows: with a night's frames, a target's nights, and all frames that are known.

What belongs here: the measurements and their page. What does not: peers (`rows`).

    python -m astro_assets_tests.bench.growth docs/bench.md
    python -m astro_assets_tests.bench.growth docs/bench.md --only "a session"
    python -m astro_assets_tests.bench.growth - --only tick

What is measured alone takes its place among what the page has; `-` prints and writes nothing.

A session's lights beyond the first twenty are these over again, each with other noise of 2 ADU and
a later date; nights of a target are one night's stacks under other dates; known frames are small
files, and rows of tables without images.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits
from rich.console import Console

from astro_assets_tests.bench import tables, whole_night
from astro_assets_tests.bench.measured import Cost, of_function
from astro_assets_tests.bench.night import FILTERS, QUICK, Night, Size, make_night
from astro_assets_tests.proofs.page import table

FOLDER = Path("var/bench")
_STEPS = "astro_assets_tests.bench.growth_steps"
_HEADINGS = ("What", "How many", "Wall", "CPU", "Peak memory", "Each", "Wanted", "Reached")
_SEEDED = 20
_CONSTANT = 0.15
_LONGEST_TICK_S = 1.0

SMALL = replace(QUICK, name="growth", shape=(668, 1002), lights=_SEEDED)


@dataclass(frozen=True, slots=True)
class Line:
    """One size. each : of one frame, one night; with its unit. holds : None where it is the base"""

    what: str
    count: int
    cost: Cost
    each: str
    wanted: str
    holds: bool | None


def main() -> int:
    """Measure and write below what the page has; status 0 when all that is wanted holds."""
    parser = argparse.ArgumentParser(description="how the cost grows")
    parser.add_argument("page", type=Path, help="or - to print alone")
    parser.add_argument("--only", default="", help="measurements that begin so")
    parser.add_argument("--frames", default="20,60,200,600")
    asked = parser.parse_args()
    counts = [int(count) for count in asked.frames.split(",")]
    console = Console()
    parts: dict[str, Callable[[], Iterator[Line]]] = {
        "a session": lambda: sessions(counts),
        "nights": nights,
        "table": tables_of_frames,
        "tick": ticks,
    }
    lines: list[Line] = []
    for name, part in parts.items():
        if name.startswith(asked.only):
            for line in part():
                lines.append(line)
                console.print(
                    f"{line.what}, {line.count}: {line.cost.wall_s:.2f} s, {line.each}",
                    highlight=False,
                )
    console.print(table(_HEADINGS, _rows(lines)), markup=False, soft_wrap=True)
    if str(asked.page) != "-":
        write(asked.page, lines)
    return 0 if all(line.holds is not False for line in lines) else 1


def write(page: Path, lines: Sequence[Line]) -> None:
    """Write the lines into the page's part on growth; what was measured of other things stays."""
    before = page.read_text(encoding="utf-8") if page.exists() else "# Speed\n"
    part = tables.growth_part(page)
    measured = {line.what for line in lines}
    other = [row for row in tables.rows_of(part, len(_HEADINGS)) if row[0] not in measured]
    rows = sorted([*other, *_rows(lines)], key=lambda row: _ORDER.index(row[0]))
    kept = before.removesuffix(part).rstrip()
    text = table(_HEADINGS, rows)
    page.write_text(f"{kept}\n\n{tables.GROWTH}\n{_ABOUT}\n{text}", encoding="utf-8")


SESSIONS = "lights of a session, fetched to stacked"
NIGHTS = "nights of a target, composite anew"
TABLE = "frames in the table, one session added"
TICK = "frames that are known, one look of the sensor"
_ORDER = SESSIONS, NIGHTS, TABLE, TICK

_ABOUT = (
    "Made by `python -m astro_assets_tests.bench.growth docs/bench.md`, at once or one thing after "
    "the other (`--only`). A session's lights beyond the first twenty are these over again, each "
    "with other noise of 2 ADU and a later date (a camera of 668 × 1002); nights of a target are "
    "one night's stacks under other dates; known frames are small files, and rows of tables "
    "without images. Megabytes are those of the process, libraries included.\n"
)


def sessions(counts: list[int]) -> Iterator[Line]:
    """Fetch, calibrate, solve and stack one session of one filter, of more and more lights."""
    base: float | None = None
    for count in counts:
        folder = FOLDER.absolute() / "work-growth"
        shutil.rmtree(folder, ignore_errors=True)
        settings = whole_night.settings_for(_night_of(count), folder)
        cost = of_function(_STEPS, "session", str(settings))
        shutil.rmtree(folder)
        each = cost.cpu_s / count
        yield Line(
            SESSIONS,
            count,
            cost,
            f"{each:.3f} CPU s a frame",
            "≤ 1.15 of the first",
            None if base is None else each <= (1 + _CONSTANT) * base,
        )
        base = each if base is None else base


def nights() -> Iterator[Line]:
    """The composite of a target's second and hundredth night."""
    base: float | None = None
    for count in (2, 100):
        folder = FOLDER.absolute() / "work-growth"
        shutil.rmtree(folder, ignore_errors=True)
        settings = whole_night.settings_for(_night_of(6), folder)
        cost = of_function(_STEPS, "composite", str(settings), str(count))
        shutil.rmtree(folder)
        yield Line(
            NIGHTS,
            count,
            cost,
            f"{cost.cpu_s / count:.3f} CPU s a night",
            "≤ 1.15 of the second",
            None if base is None else cost.cpu_s <= (1 + _CONSTANT) * base,
        )
        base = cost.cpu_s if base is None else base


def tables_of_frames() -> Iterator[Line]:
    """One more session in the table of all frames."""
    for count in (1_000, 10_000, 100_000):
        cost = of_function(_STEPS, "one_more_session", str(count))
        yield Line(
            TABLE,
            count,
            cost,
            f"{cost.written_mb:.2f} MB written",
            "the rest not written again",
            cost.found["rewritten"] == 0,
        )


def ticks() -> Iterator[Line]:
    """A sensor's look when all is known, listing included."""
    for count in (1_000, 10_000, 100_000):
        cost = of_function(_STEPS, "tick", str(count))
        yield Line(
            TICK,
            count,
            cost,
            f"{1e6 * cost.wall_s / count:.0f} µs a frame",
            f"≤ {_LONGEST_TICK_S:g} s",
            cost.wall_s <= _LONGEST_TICK_S,
        )


def _night_of(lights: int) -> Night:
    """A night of one filter with so many lights; the calibration frames of the seeded one."""
    seeded = make_night(FOLDER.absolute(), SMALL)
    night = Night(FOLDER.absolute() / "night-growth-more", _sized(lights), seeded.seed)
    shutil.rmtree(night.folder, ignore_errors=True)
    name = FILTERS["B"]
    for kind in ("BIAS", "DARK", "FLAT"):
        shutil.copytree(seeded.folder / kind, night.folder / kind)
    (night.folder / "LIGHT").mkdir()
    originals = seeded.lights(name)

    def write(k: int) -> None:
        counts, header = fits.getdata(originals[k % _SEEDED], header=True)
        if k >= _SEEDED:
            noise = np.random.default_rng(k).normal(0.0, 2.0, counts.shape)
            counts = np.clip(np.rint(counts + noise), 0, 65535).astype(np.uint16)
        start = datetime.fromisoformat("2026-11-20T19:00:00") + timedelta(seconds=30 * k)
        header["DATE-OBS"] = start.isoformat(timespec="milliseconds")
        fits.PrimaryHDU(counts, header).writeto(night.folder / "LIGHT" / f"light_{k:04}.fits")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(lights)))
    return night


def _sized(lights: int) -> Size:
    return replace(SMALL, lights=lights)


def _rows(lines: Sequence[Line]) -> list[list[str]]:
    mark = {True: "yes", False: "**no**", None: "–"}
    return [
        [
            line.what,
            str(line.count),
            f"{line.cost.wall_s:.2f}",
            f"{line.cost.cpu_s:.2f}",
            f"{line.cost.peak_mb:.0f}",
            line.each,
            line.wanted,
            mark[line.holds],
        ]
        for line in lines
    ]


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    sys.exit(status)
