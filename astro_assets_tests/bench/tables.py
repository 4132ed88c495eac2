"""The bench's page: its tables and what they mean.

What belongs here: words. What does not: figures.
"""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from astro_assets_tests.bench import astrophotography
from astro_assets_tests.bench.compared import Compared, Done
from astro_assets_tests.bench.measured import Cost
from astro_assets_tests.proofs.page import table, write_page
from astro_assets_tests.validation.peers import peer

_UNITS = {"wall_s": "wall", "cpu_s": "CPU", "peak_mb": "peak memory"}
_RATIOS = ("Work", "Against", "In", "Ours", "Theirs", "Ratio", "Wanted", "Right", "Reached")
_COSTS = ("Work", "Wall", "CPU", "Peak memory", "Read", "Written", "These bytes alone", "Ratio")
_PROGRAMS = ("siril-cli", "SWarp", "stiff", "source-extractor", "solve-field")
_PACKAGES = ("ccdproc", "astroscrappy", "photutils", "astropy", "numpy", "dagster")
_MARK = {True: "yes", False: "**no**", None: "–"}


def ratios(found: Sequence[Compared]) -> str:
    """Each ratio that is wanted."""
    rows = [
        (
            c.work,
            c.peer,
            _UNITS[c.figure],
            f"{c.ours:.2f}",
            "failed" if c.theirs is None else f"{c.theirs:.2f}",
            "" if c.ratio is None else f"{c.ratio:.3f}",
            f"≤ {c.wanted:g}",
            _MARK[c.right],
            _MARK[c.reached],
        )
        for c in found
    ]
    return table(_RATIOS, rows)


def one_line(found: Sequence[Compared]) -> str:
    """All ratios, for who wants no table."""
    return " · ".join(
        f"{c.peer} {'WRONG' if c.right is False else f'{c.ratio:.2f}'}"
        for c in found
        if c.ratio is not None
    )


def write(page: Path, done: Sequence[Done], rounds: int) -> None:
    """Write the page; what `growth` has written below it stays."""
    about = (
        f"Medians of {rounds} rounds, ours and theirs in turn in one run; seconds, megabytes. "
        "Functions of Python packages, ours too, are timed in a process that is warm; programs and "
        "the whole night with their start. Ratios are to be read, not seconds: the machine is "
        f"shared.\n\nBeside {_versions()}.\n"
    )
    found = [compared for each in done for compared in each.compared]
    kept = growth_part(page)
    parts = [
        about,
        ratios(found),
        "## What it costs, and the least that it could\n",
        (
            "Bytes that system calls have read and written; beside them the wall time of reading "
            "and writing as many and nothing else.\n"
        ),
        _costs(done),
        "## Whether it is right\n",
        (
            "Each result, after the last round, against the truth of the seeded night and against "
            "the peer's on the same frames. A row whose result is wrong is not reached, however "
            "fast.\n"
        ),
        _judgements(done),
        *([kept] if kept else []),
    ]
    write_page(page, "Speed beside other tools", "bench", parts)


GROWTH = "## As the night grows\n"


def growth_part(page: Path) -> str:
    """What a page says on growth; nothing where there is none."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, heading, rest = text.partition(GROWTH)
    return heading + rest


def rows_of(text: str, columns: int) -> list[list[str]]:
    """The rows of a table of so many columns, its headings left out."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [row for row in cells[2:] if len(row) == columns]


def _costs(done: Sequence[Done]) -> str:
    def limit(each: Cost | None) -> str:
        return "" if each is None else f"{each.wall_s:.2f}"

    rows = [
        (
            each.work,
            f"{each.cost.wall_s:.2f}",
            f"{each.cost.cpu_s:.2f}",
            f"{each.cost.peak_mb:.0f}",
            f"{each.cost.read_mb:.0f}",
            f"{each.cost.written_mb:.0f}",
            limit(each.limit),
            "" if each.limit is None else f"{each.cost.wall_s / max(each.limit.wall_s, 1e-3):.1f}",
        )
        for each in done
    ]
    return table(_COSTS, rows)


def _judgements(done: Sequence[Done]) -> str:
    rows = [
        (each.work, each.judged.sentence, _MARK[each.judged.holds])
        for each in done
        if each.judged is not None
    ]
    return table(("Work", "Ours", "Right"), rows)


def _versions() -> str:
    """The peers' names and versions."""
    programs = [tool.name if (tool := peer(name)) else f"{name} (missing)" for name in _PROGRAMS]
    packages = []
    for name in _PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} (missing)")
    other = (
        "AstroPhotography"
        if astrophotography.checkout()
        else f"AstroPhotography is not here: {astrophotography.CHECKOUT} names no checkout"
    )
    return ", ".join([*programs, *packages, other])
