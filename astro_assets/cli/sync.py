"""`astro-assets sync`: the look, and what it tells when it is done."""

import sys

import click
from rich.text import Text

from astro_assets.console import Display, print_sessions, tell_error, terminal
from astro_assets.errors import SettingsError
from astro_assets.loading import loading
from astro_assets.settings import Settings, SourceSettings, load_settings

_MOST_SESSIONS = 30
"""in the closing table, the newest; the morning page and the table of frames have all"""

_SCIENCE = tuple(
    f"astro_assets.steps.{step}"
    for step in ("masters", "bad_pixels", "calibrate", "solve", "stack", "composite")
)
"""loaded while frames are fetched, for they will be processed in this process"""


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
def sync(sources: tuple[str, ...]) -> None:
    """Look at the sources once and process all that is new. Without names: at all of them."""
    settings = load_settings()
    console = terminal()
    for problem in settings.problems:
        tell_error("settings", problem)
    chosen = chosen_sources(settings, sources)
    with loading():
        from astro_assets.definitions import build_defs
        from astro_assets.defs.instance import open_instance
        from astro_assets.defs.sync import sync as run_sync
        from astro_assets.store import Store

    with open_instance(settings) as instance, Display(console) as display:
        defs = build_defs(settings, display.download, meanwhile=_SCIENCE)
        outcome = run_sync(settings, defs, instance, chosen, display.run)
    # Large, and needed at the end alone.
    from astro_assets.steps.overview import overview

    rows = list(overview(Store(settings.root), _MOST_SESSIONS))
    print_sessions(console, rows)
    for sentence in outcome.skipped:
        console.print(Text.assemble(("skipped:", "yellow"), f" {sentence}"), soft_wrap=True)
    for sentence in outcome.notes:
        console.print(Text.assemble(("note:", "yellow"), f" {sentence}"), soft_wrap=True)
    failures = outcome.failures + [row.damaged for row in rows if row.damaged]
    for sentence in failures:
        tell_error("failed", sentence)
    console.print(f"{outcome.runs} runs. Products: {settings.root}", soft_wrap=True)
    if failures or settings.problems:
        sys.exit(1)


def chosen_sources(settings: Settings, names: tuple[str, ...]) -> list[SourceSettings]:
    """The sources of these names, or all. Raises `SettingsError` when there is none to look at."""
    chosen = [settings.source(name) for name in names] or list(settings.active_sources)
    for source in chosen:
        if not source.enabled:
            raise SettingsError(
                settings.file,
                f"sources.{source.name}.enabled",
                "the source is switched off; write true to use it",
            )
    if not chosen:
        raise SettingsError(
            settings.file, "sources", "no source can be used; add or mend a [[sources]] table"
        )
    return chosen
