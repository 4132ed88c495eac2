"""Measure the reduction and write the table.

What belongs here: the run and its page. What does not: what is measured (a module per subject).

    python -m astro_assets_tests.validation docs/validation.md
    python -m astro_assets_tests.validation - cosmic_rays
"""

import argparse
import importlib
import pkgutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import astro_assets_tests.validation as here
from astro_assets_tests.proofs.page import table, write_page
from astro_assets_tests.validation.line import Line

SEEDS = (1, 2, 3, 4, 5)
_NO_SUBJECTS = {"__main__", "line", "peers", "siril", "swarp"}
_HEADINGS = ("Stage", "Data", "Reference", "Its figure", "Ours", "Required", "Holds")


def subjects() -> list[str]:
    """The modules that measure something."""
    names = {module.name for module in pkgutil.iter_modules(here.__path__)}
    return sorted(name for name in names - _NO_SUBJECTS if not name.startswith("test_"))


def measured(subject: str, seeds: Sequence[int]) -> list[Line]:
    """All lines of one subject."""
    module = importlib.import_module(f"{here.__name__}.{subject}")
    return list(module.lines(seeds))


def main() -> int:
    """Measure and write; status 0 when every line holds."""
    parser = argparse.ArgumentParser(description="the reduction against truth and other tools")
    parser.add_argument("page", help="where the table goes; - for the screen only")
    parser.add_argument("subjects", nargs="*", help="all of them unless named")
    asked = parser.parse_args()
    console = Console()
    lines: list[Line] = []
    for subject in asked.subjects or subjects():
        started = time.monotonic()
        found = measured(subject, SEEDS)
        lines += found
        console.print(as_table(found))
        console.print(f"{subject}: {time.monotonic() - started:.0f} s\n", highlight=False)
    missed = [line for line in lines if line.missed]
    if asked.page != "-":
        _write(Path(asked.page), lines)
    for line in missed:
        console.print(f"does not hold: {line.row}: {line.ours}, required {line.required}")
    return 1 if missed else 0


def as_table(lines: Sequence[Line]) -> str:
    """The lines as the page has them."""
    rows = [
        (
            line.row,
            line.data,
            line.reference,
            line.reference_figure,
            line.ours,
            line.required,
            {True: "yes", False: "**no**", None: "not compared"}[line.holds],
        )
        for line in lines
    ]
    return table(_HEADINGS, rows)


def _write(page: Path, lines: Sequence[Line]) -> None:
    compared = sum(line.holds is not None for line in lines)
    held = compared - sum(line.missed for line in lines)
    about = (
        f"Seeds {', '.join(str(seed) for seed in SEEDS)}; figures are the worst of them unless a "
        "line says otherwise. Truth is the simulator's, which shares no code with the reduction.\n"
    )
    parts = [
        about,
        as_table(lines),
        f"{held} of {compared} lines hold; {len(lines) - compared} could not be compared.\n",
    ]
    write_page(page, "The reduction by measure", "validate", parts)


if __name__ == "__main__":
    sys.exit(main())
