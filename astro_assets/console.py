"""What the command line shows: errors, progress and the closing table."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
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
    from astro_assets.steps.overview import Row

_WIDTH_OF_A_FILE = 120


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


@contextmanager
def run_progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows a text, the runs that are done, and those known of."""
    with progress_bar(console) as progress:
        bar = progress.add_task("", total=None)

        def tell(text: str, done: int, known: int) -> None:
            progress.update(bar, description=text, completed=done, total=known or None)

        yield tell


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
