"""`astro-assets`: what a person types. Every problem ends in a sentence and an exit status."""

import sys
import traceback
from pathlib import Path
from types import TracebackType

import click
from rich.console import Console
from rich.text import Text

from astro_assets import __version__
from astro_assets.data import packaged
from astro_assets.errors import AstroAssetsError, SettingsError
from astro_assets.settings import DEFAULT_FILE, Settings, SourceSettings, load_settings

CRASH_FILE = Path("astro-assets-crash.log")
_MOST_SESSIONS = 30
"""in the closing table, the newest; the morning page and the table of frames have all"""
_errors = Console(stderr=True, soft_wrap=True, highlight=False)


class _Commands(click.Group):
    """Our errors as one sentence on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AstroAssetsError as error:
            _tell("astro-assets", error)
            ctx.exit(1)


def _tell(what: str, sentence: object) -> None:
    """Print a sentence on stderr as it stands; brackets in it are no markup."""
    _errors.print(Text.assemble((f"{what}:", "red"), f" {sentence}"))


@click.group(cls=_Commands)
@click.version_option(__version__)
def main() -> None:
    """Every night's frames, from the telescopes to colour pictures."""
    sys.excepthook = _crashed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours: the traceback goes to a file, a sentence to the user."""
    if issubclass(kind, KeyboardInterrupt):
        _errors.print("astro-assets: stopped")
        return
    CRASH_FILE.write_text("".join(traceback.format_exception(kind, error, trace)), encoding="utf-8")
    _tell(
        "astro-assets",
        f"this should not have happened ({kind.__name__}). Details are in "
        f"{CRASH_FILE.absolute()}; please send them with what you did.",
    )


@main.command()
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
def sync(sources: tuple[str, ...]) -> None:
    """Look at the sources once and process all that is new. Without names: at all of them."""
    settings = load_settings()
    from astro_assets.console import print_sessions, run_progress, terminal

    console = terminal()
    for problem in settings.problems:
        _tell("settings", problem)
    chosen = _chosen(settings, sources)
    from astro_assets.definitions import build_defs
    from astro_assets.defs.instance import open_instance
    from astro_assets.defs.sync import sync as run_sync
    from astro_assets.steps.overview import overview
    from astro_assets.store import Store

    with open_instance(settings) as instance, run_progress(console) as tell:
        outcome = run_sync(settings, build_defs(settings), instance, chosen, tell)
    rows = sorted(overview(Store(settings.root)), key=lambda row: row.session)
    print_sessions(console, rows[-_MOST_SESSIONS:])
    for sentence in outcome.skipped:
        console.print(Text.assemble(("skipped:", "yellow"), f" {sentence}"), soft_wrap=True)
    for sentence in outcome.notes:
        console.print(Text.assemble(("note:", "yellow"), f" {sentence}"), soft_wrap=True)
    for sentence in outcome.failures:
        _tell("failed", sentence)
    console.print(f"{outcome.runs} runs. Products: {settings.root}", soft_wrap=True)
    if outcome.failures or settings.problems:
        sys.exit(1)


def _chosen(settings: Settings, names: tuple[str, ...]) -> list[SourceSettings]:
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


@main.command()
@click.option("--exit", "leave", is_flag=True, help="Stop everything when the night is complete.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/demo"))
def demo(*, leave: bool, folder: Path) -> None:
    """Play a night: four simulated sources, Dagster's web UI, pictures in the end."""
    from astro_assets.demo import run_demo

    sys.exit(run_demo(folder.absolute(), leave=leave))


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("var/simulated"))
@click.option("--seed", default=1, show_default=True, help="Another seed is another night.")
def simulate(*, folder: Path, seed: int) -> None:
    """Start the simulated observatory, for whoever wants to play, until Ctrl-C."""
    from astro_assets.sim.night import make_night
    from astro_assets.sim.observatory import serve_until_interrupted

    folder = folder.absolute()
    if not (folder / "truth").is_dir():
        with Console().status("Making a night…"):
            make_night(folder, seed=seed)
    serve_until_interrupted(folder)


@main.command()
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_FILE)
def init(file: Path) -> None:
    """Write an observatory.toml to start from, with a comment on each line."""
    example = packaged("observatory.example.toml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(example)
    except FileExistsError as error:
        raise SettingsError(file, "", "is there already; edit it, or give another name") from error
    except OSError as error:
        raise SettingsError(file, "", f"cannot be written ({error.strerror})") from error
    click.echo(f"{file} is written. Edit it, then: astro-assets sync")
