"""`astro-assets check`: can the sources be used, and if not, what is to be done."""

import sys
import textwrap
from collections.abc import Iterable

import click
from rich.console import Console
from rich.text import Text

from astro_assets.cli.sync import chosen_sources
from astro_assets.console import tell_error, terminal
from astro_assets.errors import SettingsError
from astro_assets.settings import Settings, SourceSettings, load_settings
from astro_assets.sources.check import Approve, Mark, Step
from astro_assets.sources.check import check as check_source
from astro_assets.sources.identity import Identity

_COLOURS = {Mark.GOOD: "green", Mark.WARNING: "yellow", Mark.FAILED: "red", Mark.NOT_TRIED: "dim"}
_NAME_WIDTH = 11


@click.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option("--trust", is_flag=True, help="Show host keys that are not known, and store them.")
@click.option("--yes", is_flag=True, help="With --trust: store them without asking.")
def check(sources: tuple[str, ...], *, trust: bool, yes: bool) -> None:
    """Try each source, step by step; nothing is fetched. Without names: all that are enabled."""
    if yes and not trust:
        raise click.UsageError("--yes goes with --trust")
    settings = load_settings()
    console = terminal()
    for problem in settings.problems:
        tell_error("settings", problem)
    failed = bool(settings.problems)
    for source in _to_check(settings, sources):
        approve = _asker(console, settings, source, yes=yes) if trust else None
        failed |= _show(console, source, check_source(source, settings, approve))
    if failed:
        sys.exit(1)


def _to_check(settings: Settings, names: tuple[str, ...]) -> list[SourceSettings]:
    """Named ones also when they are switched off: one wants to know before one switches on."""
    return [settings.source(name) for name in names] or chosen_sources(settings, ())


def _show(console: Console, source: SourceSettings, steps: Iterable[Step]) -> bool:
    """Print a source's steps as they are done. Returns whether one failed."""
    kind = "" if source.kind == source.name else f", {source.kind}"
    off = "" if source.enabled else ", switched off in the settings"
    console.print(Text.assemble((source.name, "bold"), f"{kind}{off}"))
    failed = False
    for step in steps:
        label = f"  {step.mark} {step.name:<{_NAME_WIDTH}} "
        told = textwrap.fill(
            step.sentence,
            console.width,
            initial_indent=label,
            subsequent_indent=" " * len(label),
            break_long_words=False,
            break_on_hyphens=False,
        )
        line = Text(told or label.rstrip())
        line.stylize(_COLOURS[step.mark], 0, len(label) if step.mark is Mark.GOOD else None)
        console.print(line, soft_wrap=True)
        failed |= step.mark is Mark.FAILED
    console.print()
    return failed


def _asker(console: Console, settings: Settings, source: SourceSettings, *, yes: bool) -> Approve:
    def approve(shown: Identity) -> bool:
        console.print(f"  {source.name} shows the {shown.what} {shown.sentence}", highlight=False)
        if yes:
            return True
        if not sys.stdin.isatty():
            raise SettingsError(
                settings.file,
                f"sources.{source.name}",
                "nobody can be asked here; compare the fingerprint, then add --yes",
            )
        return click.confirm("  Is it the one that the machine itself shows? Store it?")

    return approve
