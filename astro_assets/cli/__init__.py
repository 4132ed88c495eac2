"""`astro-assets`: what a person types. Every problem ends in a sentence and an exit status.

What belongs here: the group of commands, and what becomes of errors. What does not: the commands,
one module each.
"""

import sys
import traceback
from pathlib import Path
from types import TracebackType

import click

from astro_assets import __version__
from astro_assets.cli.check import check
from astro_assets.cli.demo import demo
from astro_assets.cli.imarith import imarith
from astro_assets.cli.init import init
from astro_assets.cli.request import request
from astro_assets.cli.simulate import simulate
from astro_assets.cli.sync import sync
from astro_assets.console import tell_error
from astro_assets.errors import AstroAssetsError

CRASH_FILE = Path("astro-assets-crash.log")


class _Commands(click.Group):
    """Our errors as one sentence on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AstroAssetsError as error:
            tell_error("astro-assets", error)
            ctx.exit(1)


@click.group(cls=_Commands)
@click.version_option(__version__)
def main() -> None:
    """Every night's frames, from the telescopes to colour pictures."""
    sys.excepthook = _crashed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of ours: the traceback goes to a file, a sentence to the user."""
    if issubclass(kind, KeyboardInterrupt):
        tell_error("astro-assets", "stopped")
        return
    CRASH_FILE.write_text("".join(traceback.format_exception(kind, error, trace)), encoding="utf-8")
    tell_error(
        "astro-assets",
        f"this should not have happened ({kind.__name__}). Details are in "
        f"{CRASH_FILE.absolute()}; please send them with what you did.",
    )


for command in (sync, check, request, imarith, demo, simulate, init):
    main.add_command(command)
