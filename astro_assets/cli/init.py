"""`astro-assets init`."""

from pathlib import Path

import click

from astro_assets.data import packaged
from astro_assets.errors import SettingsError
from astro_assets.settings import DEFAULT_FILE


@click.command()
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
    click.echo(f"{file} is written. Edit it, then: astro-assets check")
