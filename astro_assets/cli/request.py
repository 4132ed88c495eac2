"""`astro-assets request`: asking for observations, and how far they are."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.table import Table
from rich.text import Text

from astro_assets.console import tell_error, terminal
from astro_assets.settings import load_settings

if TYPE_CHECKING:
    from astro_assets.steps.request import Outcome

_MOST_FOLLOWED = 30
"""of those that nobody asked about now, the newest"""


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option("--file", type=click.Path(path_type=Path), help="A table of targets: CSV or TOML.")
@click.option("--source", "source_name", help="The telescope_org source to ask, if there are two.")
@click.option("--telescope", help="For TARGETs: galaxy, coast, pirate …")
@click.option("--filter", "filter_name", help="For TARGETs, as the telescope calls it: BVR, V …")
@click.option("--exposure", "exposure_s", type=float, help="For TARGETs, in seconds: 180 at most.")
@click.option("--comments", default="", help="For TARGETs: a note that stays with the request.")
@click.option("--again", is_flag=True, help="Ask once more for what is complete or has failed.")
def request(
    *,
    targets: tuple[str, ...],
    file: Path | None,
    source_name: str | None,
    telescope: str | None,
    filter_name: str | None,
    exposure_s: float | None,
    comments: str,
    again: bool,
) -> None:
    """Ask telescope.org for observations, and show how far earlier requests are.

    A TARGET is a name ("M 31") or a place ("00:42:44 +41:16:09"). Without one, and without a file,
    the table that the source's requests_file names is taken. What is open already is not asked for
    a second time.
    """
    from astro_assets.steps.request import request_images, telescope_org_source
    from astro_assets.steps.request_places import what_words_say
    from astro_assets.steps.request_targets import read_targets, row

    settings = load_settings()
    source = telescope_org_source(settings, source_name)
    given = {"telescope": telescope, "filter": filter_name, "exposure_s": exposure_s}
    missing = [name for name, value in given.items() if targets and value is None]
    if missing:
        options = ", ".join(f"--{name.removesuffix('_s')}" for name in missing)
        raise click.UsageError(f"a TARGET needs {options} as well")
    rows = [
        row(settings.file, words, {**what_words_say(words), **given, "comments": comments})
        for words in targets
    ]
    table = file or (None if targets else source.requests_file)
    if table is not None:
        rows += read_targets(table)
    outcomes = request_images(settings, source, rows, again=again)
    _print(outcomes[: len(rows)] + outcomes[len(rows) :][-_MOST_FOLLOWED:])
    if any(outcome.state == "refused" for outcome in outcomes):
        sys.exit(1)


def _print(outcomes: "Sequence[Outcome]") -> None:
    """A table, and beneath it what there is to say of single requests."""
    table = Table(title="Requests", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("object", "telescope", "filter"):
        table.add_column(name, overflow="fold")
    table.add_column("exposure", justify="right", no_wrap=True)
    table.add_column("request", no_wrap=True)
    table.add_column("state")
    for outcome in outcomes:
        exposure = "–" if outcome.exposure_s is None else f"{outcome.exposure_s:g} s"
        rid = f"R{outcome.rid}" if outcome.rid else "–"
        table.add_row(
            Text(outcome.name), Text(outcome.telescope), Text(outcome.filter), exposure, rid,
            outcome.state,
        )  # fmt: skip
    terminal().print(table if outcomes else "No requests.")
    for outcome in outcomes:
        if outcome.sentence:
            tell_error("refused" if outcome.state == "refused" else "over", outcome.sentence)
