"""What the command line shows: errors, progress and the closing table."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from io import UnsupportedOperation
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from astro_assets.sources.progress import Progress as Fetched
    from astro_assets.steps.overview import Row

_WIDTH_OF_A_FILE = 120
_SAY_EVERY_S = 30.0
"""into a file"""


def tell_error(what: str, sentence: object) -> None:
    """Print a sentence on stderr as it stands; brackets in it are no markup."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    errors.print(Text.assemble((f"{what}:", "red"), f" {sentence}"))


def terminal() -> Console:
    """Standard output; what goes into a file is as wide as the tables want to be."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_A_FILE)


def progress_bar(console: Console) -> Progress:
    """A line with a bar, what is being done, how many of how many, and the time."""
    return Progress(
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
    )


class Display:
    """What `sync` does now: a line for the runs, and beneath it one for the download.

    Where the output goes into a file, the same as a plain line now and then.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = console.is_terminal
        self._output = _own_output(console)
        if self._output is not None:
            console = Console(file=self._output, force_terminal=self._terminal, width=console.width)
        self._console = console
        self._runs = progress_bar(console)
        self._run = self._runs.add_task("", total=None)
        self._bytes = Progress(
            TextColumn(" "), BarColumn(), TextColumn("{task.description}"), console=console
        )
        self._download = self._bytes.add_task("", total=None, visible=False)
        self._live = Live(
            Group(self._runs, self._bytes),
            console=console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._clock = clock
        self._told_at = clock()
        self._text = ""

    def __enter__(self) -> Self:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if self._output is not None:
            self._output.close()

    def run(self, text: str, done: int, known: int) -> None:
        """Show what is done now, the runs that are done, and those known of."""
        self._text = f"{done} of {known} runs, {text}" if known else text
        self._runs.update(self._run, description=text, completed=done, total=known or None)
        self._bytes.update(self._download, visible=False)

    def download(self, progress: "Fetched") -> None:
        """Show how far a download is."""
        from astro_assets.steps.fetch import sentence

        if not self._terminal:
            self._say(sentence(progress))
            return
        self._bytes.update(
            self._download,
            description=sentence(progress),
            completed=progress.bytes_done,
            total=progress.bytes_total or None,
            visible=progress.files_done < progress.files,
        )

    def _say(self, download: str) -> None:
        if self._clock() - self._told_at >= _SAY_EVERY_S:
            self._told_at = self._clock()
            self._console.print(f"{self._text}: {download}", soft_wrap=True, markup=False)


def _own_output(console: Console) -> TextIO | None:
    """Standard output by a descriptor of our own: while a step runs, Dagster takes the usual one.

    None where it is something else already, as in tests.
    """
    if console.file is not sys.stdout:
        return None
    try:
        return os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    except UnsupportedOperation:
        return None


def print_sessions(console: Console, rows: "Sequence[Row]") -> None:
    """The closing table, and beneath it each rejected frame with its reason."""
    table = Table(title="Sessions", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("source", no_wrap=True)
    table.add_column("session", overflow="fold")
    for name in ("fetched", "calibrated", "solved", "rejected"):
        table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    table.add_column("composite", no_wrap=True)
    for row in rows:
        table.add_row(
            row.source,
            row.session,
            str(row.fetched),
            str(row.calibrated),
            str(row.solved),
            str(len(row.rejected)),
            Path(row.composite).name if row.composite else "–",
        )
    console.print(table)
    for row in rows:
        for frame, reason in row.rejected.items():
            console.print(
                f"[yellow]rejected[/yellow] {row.source} {frame}: {escape(reason)}",
                soft_wrap=True,
                highlight=False,
            )
