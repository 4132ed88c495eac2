"""The crash sweep: killed anywhere, one clean run later everything is as if nothing had been.

What belongs here: the cases, the points, the comparison, the page. What does not: dying (`kills`).

    python -m astro_assets_tests.proofs.crash_sweep docs/proofs/crash-sweep.md
"""

import argparse
import hashlib
import logging
import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console

from astro_assets.errors import NothingToDo
from astro_assets.settings import Settings
from astro_assets.sources.batches import look
from astro_assets.sources.journal import FILE_NAME as JOURNAL
from astro_assets.sources.landing import INCOMING
from astro_assets.sources.manifest import FILE_NAME as MANIFEST
from astro_assets.sources.manifest import Manifest
from astro_assets.steps.fetch import fetch_raw
from astro_assets.steps.frames import write_table
from astro_assets.steps.solve import TABLE
from astro_assets.store import Store, make_folder, whole_file
from astro_assets_tests.proofs.far_side import SOURCES, FarSide, frame, serving
from astro_assets_tests.proofs.kills import run_forked
from astro_assets_tests.proofs.page import table, write_page

_ROWS = 500
_MANY_ROWS = 6000
"""720 kB: several chunks on every transport."""


def first_night(far: FarSide) -> None:
    """What was there when the products' folder was filled before the sweep."""
    for number in range(3):
        far.add(1, number, frame(number, _ROWS))
    far.announce()


def second_night(far: FarSide) -> None:
    """What has come since: new frames, another session, a changed file, a broken one."""
    for number in range(3, 7):
        far.add(1, number, frame(number, _MANY_ROWS if number == 4 else _ROWS))
    for number in range(4):
        far.add(2, number, frame(20 + number, _ROWS))
    if far.letter != "H":  # a job's files do not change
        far.add(1, 0, frame(100, _ROWS))
    far.add(1, 7, frame(7, _ROWS)[:50_000])
    far.announce()


def sync(settings: Settings, source: str) -> None:
    """One clean run: look, fetch every batch, and write the table of all frames."""
    configured = settings.source(source)
    for batch in look(configured, settings):
        fetch_raw(settings, configured, batch.key, lambda _: None)
    _tables(Store(settings.root), source)
    write_table(Store(settings.root))


def _tables(store: Store, source: str) -> None:
    """Each session's own table, from its manifest, in the place of calibrating and solving."""
    for folder in sorted((store.root / "raw" / source).iterdir()):
        manifest = Manifest.load(folder)
        if manifest is None:
            raise NothingToDo(f"{folder} has no manifest after a clean run")
        rows = [
            {
                "source": source, "session": folder.name, "frame": frame.file.path,
                "sha256": frame.file.sha256, "solved": True, "accepted": True, **frame.facts,
            }
            for frame in manifest.frames()
        ]  # fmt: skip
        path = store.solved(source, folder.name) / TABLE
        make_folder(path.parent)
        with whole_file(path) as part:
            pd.DataFrame(rows).to_parquet(part, index=False)


def tree(root: Path) -> dict[str, str]:
    """Every file and folder below ``root``, hidden ones too, with rights and SHA-256."""
    return {
        str(path.relative_to(root)): f"{path.stat().st_mode:o} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted(root.rglob("*"))
    }


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep of one source has shown.

    source : its letter, and what is special
    steps : of a whole run
    differing : the points after which the products were not the undisturbed run's
    """

    source: str
    server: str
    steps: tuple[str, ...]
    points: int
    kills: int
    seconds: float
    differing: tuple[str, ...]


def sweep(letter: str, points: int, *, deleting: bool = False, seed: int = 3) -> Swept:
    """Kill at ``points`` steps, spread evenly over a whole run; at every fourth, three times.

    deleting : what was fetched is deleted on the far side
    """
    begun = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="crash-sweep-") as folder,
        _prepared(letter, Path(folder).resolve(), deleting) as case,
    ):
        calm = case.begin("calm")
        steps = run_forked(partial(sync, calm, SOURCES[letter]), calm.root).steps
        expected = case.outcome(calm)
        dice = random.Random(seed)
        kills, differing = 0, []
        for number in range(points):
            point = 1 + number * len(steps) // points
            deaths = [point, *dice.choices(range(1, point + 1), k=2 * (number % 4 == 3))]
            killed = case.begin("killed")
            run = partial(run_forked, partial(sync, killed, SOURCES[letter]), killed.root)
            kills += sum(run(death).killed for death in deaths)
            run()
            apart = sorted(dict(case.outcome(killed).items() ^ expected.items()))
            if apart:
                where = f"killed at {deaths}, the first at {steps[point - 1]!r}"
                differing.append(f"{where}: {', '.join(apart)}")
            shutil.rmtree(killed.root)
        seconds = time.monotonic() - begun
        source = f"{letter}, deleting" if deleting else letter
        return Swept(source, case.server, steps, points, kills, seconds, tuple(differing))


@dataclass(frozen=True, slots=True)
class _Case:
    """A source with two nights, of which the first is here already.

    served : what lies on the far side, if it is changed by a run
    """

    before: Settings
    server: str
    far: FarSide
    served: Path | None

    def begin(self, name: str) -> Settings:
        """Settings for a run of its own, with both sides as they were."""
        if self.served is not None:
            for there in self.far.served.iterdir():
                shutil.rmtree(there)
            shutil.copytree(self.served, self.far.served, dirs_exist_ok=True)
            for folder in self.far.served.rglob("*/"):
                folder.chmod(0o777)
        root = self.before.root.with_name(name)
        shutil.copytree(self.before.root, root)
        return self.before.model_copy(update={"root": root})

    def outcome(self, settings: Settings) -> dict[str, str]:
        """Our products, and what is left on the far side if that changes."""
        if self.served is None:
            return tree(settings.root)
        left = {f"far:{path}": mark for path, mark in tree(self.far.served).items()}
        ours = {
            path: mark
            for path, mark in tree(settings.root).items()
            if not path.endswith((MANIFEST, JOURNAL))
            and INCOMING not in path
            and f"/.{MANIFEST}." not in path
        }
        return ours | left | _records(settings.root)


def _records(root: Path) -> dict[str, str]:
    """What the manifests say, but for the moments of deletions.

    A session of which nothing is left on the far side is not looked at any more: what a killed run
    did not get to put into its manifest stays in the journal beside it, which is read with it.
    """
    folders = sorted(path.parent for path in root.rglob(MANIFEST))
    manifests = {str(folder.relative_to(root)): Manifest.load(folder) for folder in folders}
    return {
        f"{folder}: {record.path} {record.sha256}": repr(replace(record, released_utc=None))
        for folder, manifest in manifests.items()
        if manifest is not None
        for record in manifest.records
    }


@contextmanager
def _prepared(letter: str, root: Path, deleting: bool) -> Iterator[_Case]:
    with serving(letter, root, **({"delete_after_fetch": True} if deleting else {})) as there:
        far, settings, server = there
        first_night(far)
        before = settings.model_copy(update={"root": root / "before"})
        run_forked(partial(sync, before, SOURCES[letter]), before.root)
        second_night(far)
        served = root / "as-served" if deleting else None
        if served is not None:
            shutil.copytree(far.served, served)
        yield _Case(before, server, far, served)


def page(results: list[Swept]) -> list[str]:
    """The parts of the page of results."""
    overview = table(
        ["Source", "Server", "Steps of a run", "Points", "Kills", "Differing", "s"],
        [
            [
                r.source,
                r.server,
                len(r.steps),
                r.points,
                r.kills,
                len(r.differing),
                f"{r.seconds:.0f}",
            ]
            for r in results
        ],
    )
    names = sorted({name for r in results for name in r.steps})
    counts = [[r.source, *(Counter(r.steps)[name] for name in names)] for r in results]
    differing = [f"- {r.source}: {point}\n" for r in results for point in r.differing]
    return [
        _EXPLANATION,
        overview,
        "Steps by what they are:\n",
        table(["Source", *names], counts),
        *differing,
    ]


_EXPLANATION = """\
A run looks at a source, fetches what is new (new frames of a session that was fetched before,
another session, a file that has changed since, a cut file that belongs into quarantine) and writes
the table of frames. A step is a call that changes files or folders, a sync, a write (of which half
the bytes reach the file), or a word to the far side. At each point the run is killed with
`kill -9` before that step; at every fourth, two more runs are killed at random steps. Then one run
is left alone. Compared with a run that was never killed: every file and folder below the root, the
hidden ones too, by name, rights and SHA-256: raw frames, manifests, quarantine and its reasons,
`frames.parquet`, `frames.csv`. Left out are the times of our own files and folders, which nothing
reads. The sessions' own tables are written from the manifests, in the place of calibrating and
solving.

"Deleting" is the same with `delete_after_fetch`: what is left on the far side is compared too. Left
out is the moment at which a manifest says that a file was deleted there, which a run that was
killed right after the deletion could not write down; and what a session of which nothing is left
there keeps in its journal or in a manifest that was not finished, since nothing looks at it any
more (records are compared as they are read, from manifest and journal).
"""


def main() -> int:
    """Sweep all four sources and write the page; status 0 when nothing differed."""
    parser = argparse.ArgumentParser(description="kill -9 at many steps, then one clean run")
    parser.add_argument("page", type=Path)
    parser.add_argument("--points", type=int, default=210)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)  # each run tells anew of the broken file
    cases = [*((letter, False) for letter in SOURCES), ("V", True)]
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(2, mp_context=fork) as pool:
        running = [
            pool.submit(sweep, letter, asked.points, deleting=deleting)
            for letter, deleting in cases
        ]
        results = [swept.result() for swept in running]
    for swept in results:
        told = f"{swept.source}: {swept.kills} kills, {len(swept.differing)} differing"
        Console().print(told, *swept.differing[:5], sep="\n")
    write_page(asked.page, "Crash sweep", "crash-sweep", page(results))
    return any(result.differing for result in results)


if __name__ == "__main__":
    raise SystemExit(main())
