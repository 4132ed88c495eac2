"""The page that a run of the matrix of faults leaves behind.

What belongs here: Markdown, totals, what is missing. What does not: pytest (`matrix`).
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from astro_assets_tests.faults.rows import ROWS, SOURCES, required

HOLDS = "holds"
FAILS = "FAILS"

_TEXT = """# Faults that are survived

Each line is a test that provokes a fault at one source and looks at what comes of it. Where a \
real server can show the fault it does, by itself or behind a proxy that breaks connections; \
telescope.org is always the simulated site, and a scripted server does what no real one can be \
brought to do. `make faults` runs them all and writes this page; it fails when a line does not \
hold or a cell has no line. What happens to the capture program on the Pi is not part of it.

R: tried again, exact bytes · Q: quarantined with its reason · X: refused before secrets or data \
move · D: left for later · K: both kept.

Places: """


@dataclass(frozen=True, slots=True)
class Shown:
    """One test of one cell. ``outcome``: ``holds``, ``FAILS``, or why it did not run."""

    test: str
    row: int
    where: str
    expect: str
    server: str
    seen: str
    outcome: str

    def failed(self) -> "Shown":
        return replace(self, outcome=FAILS)


def page(shown: Sequence[Shown]) -> tuple[str, bool]:
    """The text, and whether every cell was shown and holds."""
    lines = ["| Row | Fault | Place | Server | Expected | Seen | |", "|--|--|--|--|--|--|--|"]
    for one in sorted(shown, key=lambda one: (one.row, _order(one.where), one.test)):
        cells = (
            str(one.row), ROWS[one.row].title, one.where, one.server, one.expect, one.seen,
            one.outcome,
        )  # fmt: skip
        lines.append("| " + " | ".join(_escaped(cell) for cell in cells) + " |")
    lines += [
        f"| {row} | {ROWS[row].title} | {where} | | {ROWS[row].expect} | | **no test** |"
        for row, where in sorted(missing(shown), key=lambda cell: (cell[0], _order(cell[1])))
    ]
    places = ", ".join(f"{letter} {name}" for letter, name in SOURCES.items())
    today = datetime.now(UTC).date().isoformat()
    python = ".".join(map(str, sys.version_info[:3]))
    run = f"{today}, `make faults`, Python {python}; servers: {_servers(shown)}."
    text = f"{_TEXT}{places}.\n\n{run}\n\n" + "\n".join(lines) + f"\n\n{summary(shown)}\n"
    return text, not missing(shown) and all(one.outcome == HOLDS for one in shown)


def missing(shown: Sequence[Shown]) -> set[tuple[int, str]]:
    """The cells that no test has shown."""
    return required() - {(one.row, one.where) for one in shown}


def summary(shown: Sequence[Shown]) -> str:
    """The line of totals."""
    cells = {(one.row, one.where) for one in shown}
    broken = {(one.row, one.where) for one in shown if one.outcome != HOLDS}
    rows = {row for row, _ in cells}
    failed = sum(one.outcome == FAILS for one in shown)
    not_run = sum(one.outcome not in (HOLDS, FAILS) for one in shown)
    return (
        f"Totals: {len(rows)} of {len(ROWS)} rows, {len(required() & cells)} of {len(required())} "
        f"cells shown by {len(shown)} tests; {len(cells - broken)} cells hold, {failed} tests "
        f"fail, {not_run} did not run, {len(missing(shown))} cells have no test."
    )


def _servers(shown: Sequence[Shown]) -> str:
    return ", ".join(sorted({one.server for one in shown if one.server})) or "none"


def _order(where: str) -> int:
    return list(SOURCES).index(where)


def _escaped(text: str) -> str:
    """As a cell of a table, without the folders of one run."""
    text = re.sub(re.escape(tempfile.gettempdir()) + r"[^\s'\"]*", "…", text)
    plain = "".join(c if c.isprintable() else " " if c == "\n" else ascii(c)[1:-1] for c in text)
    return plain.replace("|", "\\|")
