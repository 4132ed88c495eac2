"""Run the bench and write its page.

What belongs here: rounds, ratios, the page. What does not: what is compared (`rows`).

    python -m astro_assets_tests.bench docs/bench.md
    python -m astro_assets_tests.bench --quick
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from astro_assets_tests.bench.measured import Cost, median
from astro_assets_tests.bench.night import QUICK, WHOLE, make_night
from astro_assets_tests.bench.rows import Bench, Peer, Row
from astro_assets_tests.proofs.page import table, write_page

FOLDER = Path("var/bench")
_UNITS = {"wall_s": "wall", "cpu_s": "CPU", "peak_mb": "peak memory"}
_HEADINGS = ("Work", "Against", "In", "Ours", "Theirs", "Ratio", "Wanted", "Reached")


@dataclass(frozen=True, slots=True)
class Compared:
    """One ratio. ours, theirs : medians over the rounds; theirs is None where it failed"""

    work: str
    peer: str
    figure: str
    wanted: float
    ours: float
    theirs: float | None
    ours_cost: Cost
    theirs_cost: Cost | None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.theirs if self.theirs else None


def main() -> int:
    """Measure, print and write; status 0 when every ratio is reached."""
    parser = argparse.ArgumentParser(description="the reduction's speed beside other tools'")
    parser.add_argument("page", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="a small night, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose work begins so")
    asked = parser.parse_args()
    console = Console()
    size = QUICK if asked.quick else WHOLE
    with console.status("Making the night…"):
        night = make_night(FOLDER.absolute(), size)
    bench = Bench(night, FOLDER.absolute() / f"work-{size.name}")
    found: list[Compared] = []
    for row in bench.rows():
        if row.work.startswith(asked.only):
            found += _compared(row, 1 if asked.quick else asked.rounds, console)
    _save(FOLDER / ("quick.json" if asked.quick else "bench.json"), found)
    console.print(_table(found), markup=False, soft_wrap=True)
    console.print(
        " · ".join(f"{c.peer} {c.ratio:.2f}" for c in found if c.ratio is not None), soft_wrap=True
    )
    if asked.page is not None:
        _write(asked.page, found, asked.rounds)
    return 0 if all(c.ratio is None or c.ratio <= c.wanted for c in found) else 1


def _compared(row: Row, rounds: int, console: Console) -> list[Compared]:
    """All ratios of a row: ours and theirs in turn, round by round."""
    runs = {id(peer.run): peer for peer in row.peers}
    ours: list[Cost] = []
    theirs: dict[int, list[Cost]] = {key: [] for key in runs}
    for _ in range(rounds):
        ours.append(row.ours())
        console.print(f"{row.work}: ours {ours[-1].wall_s:.2f} s", highlight=False)
        for key, peer in runs.items():
            try:
                theirs[key].append(peer.run())
            except (RuntimeError, OSError) as error:
                console.print(f"{peer.name}: {str(error)[-800:]}", markup=False, highlight=False)
                continue
            console.print(f"    {peer.name} {theirs[key][-1].wall_s:.2f} s", highlight=False)
    return [_ratio(row, peer, ours, theirs[id(peer.run)]) for peer in row.peers]


def _ratio(row: Row, peer: Peer, ours: Sequence[Cost], theirs: Sequence[Cost]) -> Compared:
    our_cost, their_cost = median(ours), median(theirs) if theirs else None
    return Compared(
        work=row.work,
        peer=peer.name,
        figure=peer.figure,
        wanted=peer.wanted,
        ours=getattr(our_cost, peer.figure) * row.share,
        theirs=getattr(their_cost, peer.figure) * peer.share if their_cost else None,
        ours_cost=our_cost,
        theirs_cost=their_cost,
    )


def _save(file: Path, found: Sequence[Compared]) -> None:
    file.write_text(json.dumps([asdict(c) for c in found], indent=1) + "\n", encoding="utf-8")


def _table(found: Sequence[Compared]) -> str:
    rows = [
        (
            c.work,
            c.peer,
            _UNITS[c.figure],
            f"{c.ours:.2f}",
            "failed" if c.theirs is None else f"{c.theirs:.2f}",
            "" if c.ratio is None else f"{c.ratio:.3f}",
            f"≤ {c.wanted:g}",
            "" if c.ratio is None else "yes" if c.ratio <= c.wanted else "**no**",
        )
        for c in found
    ]
    return table(_HEADINGS, rows)


def _write(page: Path, found: Sequence[Compared], rounds: int) -> None:
    about = (
        f"Medians of {rounds} rounds, ours and theirs in turn in one run; seconds, megabytes. "
        "Functions of Python packages, ours too, are timed in a process that is warm; programs and "
        "the whole night with their start. Ratios are to be read, not seconds: the machine is "
        "shared.\n"
    )
    write_page(page, "Speed beside other tools", "bench", [about, _table(found)])


if __name__ == "__main__":
    sys.exit(main())
