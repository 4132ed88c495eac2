"""Run the bench and write its page.

What belongs here: rounds, ratios, what is saved. What does not: what is compared (`rows`), the
page's tables (`tables`), growth (`growth`).

    python -m astro_assets_tests.bench docs/bench.md
    python -m astro_assets_tests.bench --quick
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from astro_assets_tests.bench import tables
from astro_assets_tests.bench.compared import Compared, Done, Peer, Row
from astro_assets_tests.bench.judge import Judged
from astro_assets_tests.bench.measured import Cost, median, of_command
from astro_assets_tests.bench.night import QUICK, WHOLE, make_night
from astro_assets_tests.bench.rows import Bench

FOLDER = Path("var/bench")


def main() -> int:
    """Measure, print and write; status 0 when every ratio is reached by a right result."""
    parser = argparse.ArgumentParser(description="the reduction's speed beside other tools'")
    parser.add_argument("page", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="a small night, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows whose work begins so; nothing is saved")
    asked = parser.parse_args()
    console = Console()
    size = QUICK if asked.quick else WHOLE
    with console.status("Making the night…"):
        night = make_night(FOLDER.absolute(), size)
    with console.status("Compiling, as at install…"):
        of_command([sys.executable, "-m", "compileall", "-q", "astro_assets"], Path.cwd())
        of_command([sys.executable, "-m", "astro_assets.imaging.warm"], Path.cwd())
    bench = Bench(night, FOLDER.absolute() / f"work-{size.name}")
    rounds = 1 if asked.quick else asked.rounds
    done = [
        _done(bench, row, rounds, console)
        for row in bench.rows()
        if row.work.startswith(asked.only)
    ]
    found = [compared for each in done for compared in each.compared]
    if not asked.only:
        _save(FOLDER / ("quick.json" if asked.quick else "bench.json"), done)
    console.print(tables.ratios(found), markup=False, soft_wrap=True)
    for each in done:
        if each.judged is not None:
            right = "right" if each.judged.holds else "WRONG"
            console.print(f"{each.work}: {right}: {each.judged.sentence}", markup=False)
    if asked.page is not None and not asked.only:
        tables.write(asked.page, done, rounds)
    console.print(tables.one_line(found), soft_wrap=True, highlight=False)
    return 0 if all(c.reached is not False for c in found) else 1


def _done(bench: Bench, row: Row, rounds: int, console: Console) -> Done:
    """A row: ours and theirs in turn, round by round; then the limit, and whether it is right."""
    runs = {id(peer.run): peer for peer in row.peers}
    ours: list[Cost] = []
    theirs: dict[int, list[Cost]] = {key: [] for key in runs}
    for _ in range(1 if row.once else rounds):
        ours.append(row.ours())
        console.print(f"{row.work}: ours {ours[-1].wall_s:.2f} s", highlight=False)
        for key, peer in runs.items():
            try:
                theirs[key].append(peer.run())
            except (RuntimeError, OSError) as error:
                console.print(f"{peer.name}: {str(error)[-800:]}", markup=False, highlight=False)
                continue
            console.print(f"    {peer.name} {theirs[key][-1].wall_s:.2f} s", highlight=False)
    judged = None if row.judge is None else row.judge()
    cost = median(ours)
    return Done(
        work=row.work,
        cost=cost,
        limit=bench.limit(cost) if cost.read_mb + cost.written_mb else None,
        judged=judged,
        compared=tuple(_ratio(row, peer, cost, theirs[id(peer.run)], judged) for peer in row.peers),
    )


def _ratio(
    row: Row, peer: Peer, ours: Cost, theirs: Sequence[Cost], judged: Judged | None
) -> Compared:
    their_cost = median(theirs) if theirs else None
    return Compared(
        work=row.work,
        peer=peer.name,
        figure=peer.figure,
        wanted=peer.wanted,
        ours=getattr(ours, peer.figure) * row.share,
        theirs=getattr(their_cost, peer.figure) * peer.share if their_cost else None,
        right=None if judged is None else judged.holds,
        theirs_cost=their_cost,
    )


def _save(file: Path, done: Sequence[Done]) -> None:
    file.write_text(json.dumps([asdict(d) for d in done], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
