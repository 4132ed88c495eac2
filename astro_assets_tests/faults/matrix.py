"""The matrix of faults as a pytest plugin: which test shows which cell, and the table of a run.

What belongs here: `cells`, the fixture `cell`, the option ``--faults-table``. What does not: the
rows (`rows`), the page (`table`).
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from astro_assets_tests.faults.rows import ROWS, SOURCES
from astro_assets_tests.faults.table import Shown, page, summary

_PROPERTY = "cell"
_MARK = "fault_cell"


def cells(row: int, letters: str, expect: str) -> Callable[[Any], Any]:
    """Run a test once for each letter, as its argument ``where``: a cell of the matrix.

    Parameters
    ----------
    row : its number in `rows`
    letters : ``F``, ``V``, ``H``, ``S``, ``L``
    expect : what has to come of it, in a few words
    """
    assert row in ROWS, f"there is no row {row}"
    assert set(letters) <= set(SOURCES), f"{letters} names a place that there is not"

    def mark(test: Any) -> Any:
        test = pytest.mark.parametrize("where", list(letters))(test)
        return getattr(pytest.mark, _MARK)(row, expect)(test)

    return mark


@dataclass
class Cell:
    """What a test tells of its cell: ``cell.server = "vsftpd 3.0.3"``, ``cell.saw("…")``."""

    row: int
    where: str
    expect: str
    server: str = ""
    seen: list[str] = field(default_factory=list)

    def saw(self, what: str) -> None:
        """Add to what the table says was seen."""
        self.seen.append(what)


@pytest.fixture
def cell(request: pytest.FixtureRequest, where: str) -> Cell:
    mark = request.node.get_closest_marker(_MARK)
    assert mark is not None, "a test of a cell is marked by @cells"
    told = Cell(mark.args[0], where, mark.args[1])
    request.node.stash[_TOLD] = told
    return told


_TOLD = pytest.StashKey[Cell]()
_GATHERED = pytest.StashKey["_Gathered"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults-table",
        type=Path,
        metavar="PATH",
        help="write the matrix of faults there; fails unless every cell was shown and holds",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARK}(row, expect): shows a cell of the matrix")
    if config.getoption("--faults-table") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Gathered(config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the cell in the report, which also travels from a worker to its master."""
    report = yield
    mark = item.get_closest_marker(_MARK)
    if mark is not None:
        where = item.callspec.params["where"]  # type: ignore[attr-defined]
        told = item.stash.get(_TOLD, Cell(mark.args[0], where, mark.args[1]))
        report.user_properties.append(
            (_PROPERTY, [told.row, told.where, told.expect, told.server, "; ".join(told.seen)])
        )
    return report


class _Gathered:
    """What a whole run has shown."""

    def __init__(self, config: pytest.Config) -> None:
        self._path = Path(config.getoption("--faults-table"))
        self._shown: list[Shown] = []
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = [value for name, value in report.user_properties if name == _PROPERTY]
        over = report.when == "call" or (report.when == "setup" and not report.passed)
        if told and over:
            self._shown.append(Shown(report.nodeid, *told[-1], _outcome(report)))
        elif told and report.failed:
            self._failed.add(report.nodeid)  # as it was taken down

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        shown = [
            shown if shown.test not in self._failed else shown.failed() for shown in self._shown
        ]
        text, whole = page(shown)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(text, encoding="utf-8")
        if not whole and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._summary = summary(shown)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_sep("-", "matrix of faults")
        terminalreporter.write_line(f"{self._summary} ({self._path})")


def _outcome(report: pytest.TestReport) -> str:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
        return str(reason).removeprefix("Skipped: ")
    return "holds" if report.passed else "FAILS"
