"""Guards, each taken away once, in a copy: does any test notice?

What belongs here: the list (`guards.toml`) as data, one guard taken away, the page. What does not:
the tests themselves.

    python -m astro_assets_tests.proofs.guards docs/proofs/guards.md
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from astro_assets_tests.proofs.page import table, write_page

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("guards.toml")
_COPIED = ("astro_assets", "astro_assets_tests", "pyproject.toml")
_TESTS_FAILED = 1
_PATIENCE_S = 300
_PATIENCE_FOR_ALL_S = 3000


@dataclass(frozen=True, slots=True)
class Guard:
    """A line or two of the product without which something bad would happen.

    file : below `astro_assets`
    text : as it stands there, once
    instead : what stands there when it is taken away
    tests : below `astro_assets_tests`, of which at least one must fail then
    """

    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]

    @property
    def occurrences(self) -> int:
        """How often its text stands in the file as it is now."""
        return (ROOT / "astro_assets" / self.file).read_text(encoding="utf-8").count(self.text)


def load_guards() -> list[Guard]:
    """The list. Two guards may share a text; no two a name."""
    with LIST.open("rb") as file:
        entries = tomllib.load(file)["guards"]
    return [
        Guard(
            e["name"], e["file"], e["text"].strip("\n"), e["instead"].strip("\n"), tuple(e["tests"])
        )
        for e in entries
    ]


@dataclass(frozen=True, slots=True)
class Taken:
    """A guard that was taken away. ``noticed_by`` is empty when no test failed."""

    guard: Guard
    noticed_by: tuple[str, ...]
    complaint: str = ""


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of package and tests."""
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        copy = Path(folder).resolve()
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, copy / name, ignore=ignored)
            else:
                shutil.copy(source, copy / name)
        yield copy


def run_tests(
    copy: Path, tests: Sequence[str], patience_s: float = _PATIENCE_S
) -> tuple[int, tuple[str, ...], str]:
    """Pytest's status, the tests that failed or were skipped, and what it printed."""
    paths = [f"astro_assets_tests/{test}" for test in tests]
    options = ["-p", "no:cacheprovider", "-q", "-rfsE", "--tb=line", "--no-header", "--timeout=60"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *paths],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _TESTS_FAILED, ("the tests hang",), ""
    failed = re.findall(r"^(?:FAILED|SKIPPED|ERROR) (.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return done.returncode, tuple(failed), done.stdout + done.stderr


def take_away(copy: Path, guard: Guard, moment: float) -> Taken:
    """Run the guard's tests without it.

    moment : the changed file's time, another one at each call, so that nothing old is imported
    """
    if guard.occurrences != 1:
        return Taken(guard, (), f"its text stands {guard.occurrences} times in {guard.file}")
    path = copy / "astro_assets" / guard.file
    whole = path.read_text(encoding="utf-8")
    try:
        mutated = whole.replace(guard.text, guard.instead)
        compile(mutated, guard.file, "exec")
        path.write_text(mutated, encoding="utf-8")
        os.utime(path, (moment, moment))
        status, failed, output = run_tests(copy, guard.tests)
    finally:
        path.write_text(whole, encoding="utf-8")
        os.utime(path, (moment + 1, moment + 1))
    if status == _TESTS_FAILED:
        return Taken(guard, tuple(name.removeprefix("astro_assets_tests/") for name in failed))
    return Taken(guard, (), f"NOT NOTICED (pytest ended with {status}): {output[-300:]}")


def main() -> int:
    """Take each guard away and write the page; status 0 when each was noticed."""
    parser = argparse.ArgumentParser(description="every guard, taken away once")
    parser.add_argument("page", type=Path)
    parser.add_argument("--only", help="guards with this in their names")
    asked = parser.parse_args()
    console = Console()
    guards = [guard for guard in load_guards() if (asked.only or "") in guard.name]
    with copied() as copy:
        status, failed, output = run_tests(
            copy, sorted({t for g in guards for t in g.tests}), _PATIENCE_FOR_ALL_S
        )
        if status or failed:
            console.print(f"with all guards in their places: {output[-3000:]}", markup=False)
            return 1
        results = []
        for number, guard in enumerate(guards):
            taken = take_away(copy, guard, time.time() + 10 * number)
            results.append(taken)
            told = taken.complaint or f"noticed by {len(taken.noticed_by)}: {taken.noticed_by[0]}"
            console.print(f"{guard.name}: {told}", markup=False)
    missed = [taken for taken in results if not taken.noticed_by]
    write_page(asked.page, "Guards", "guards", page(results))
    console.print(f"{len(results) - len(missed)} of {len(results)} are noticed")
    return bool(missed)


def page(results: Sequence[Taken]) -> list[str]:
    """The parts of the page of results."""
    rows = [
        [
            t.guard.name,
            f"`{t.guard.file}`",
            t.complaint or f"{len(t.noticed_by)}: `{_short(t.noticed_by[0])}`",
        ]
        for t in results
    ]
    noticed = sum(bool(t.noticed_by) for t in results)
    return [
        _EXPLANATION,
        table(["Guard", "In", "Tests that failed without it, and the first of them"], rows),
        f"\n{noticed} of {len(results)} guards are noticed when they are missing.\n",
    ]


_EXPLANATION = """\
Each guard was taken away in a copy of the package, and the tests that are named for it in
`astro_assets_tests/proofs/guards.toml` were run. With all guards in their places they pass.
"""


def _short(test: str) -> str:
    return test if len(test) < 110 else f"{test[:107]}…"


if __name__ == "__main__":
    raise SystemExit(main())
