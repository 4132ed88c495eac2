"""The settings file, `.env` and the environment, read once at the edge.

What belongs here: finding, reading, and putting together. What does not: what may stand in the
file (`models`).
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import TypeAdapter, ValidationError

from astro_assets.errors import SettingsError
from astro_assets.settings.complaints import complaint, source_model
from astro_assets.settings.models import FileContent, Settings
from astro_assets.settings.secrets import Secrets
from astro_assets.settings.sources import SourceSettings

SETTINGS_VARIABLE = "ASTRO_ASSETS_SETTINGS"
DEFAULT_FILE = Path("observatory.toml")

_SOURCE: TypeAdapter[SourceSettings] = TypeAdapter(SourceSettings)


def settings_file() -> Path:
    """The settings file that is in force: ``$ASTRO_ASSETS_SETTINGS`` or ``observatory.toml``."""
    return Path(os.environ.get(SETTINGS_VARIABLE) or DEFAULT_FILE).absolute()


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings.

    One source's mistake does not stop the others: it is in ``problems`` and the source is left
    out. Relative paths are relative to the file.

    Raises
    ------
    SettingsError : the file is missing, is no TOML, or is wrong outside of its sources
    """
    file = (file or settings_file()).absolute()
    content = _toml(file)
    try:
        outer = FileContent.model_validate(content)
    except ValidationError as error:
        raise complaint(file, error, "", FileContent) from error
    sources, problems = _sources(file, outer.sources)
    here = file.parent
    return Settings(
        file=file,
        root=here / outer.root,
        site=outer.site,
        watch=outer.watch,
        limits=outer.limits,
        solving=outer.solving.model_copy(
            update={"index_folders": tuple(here / f for f in outer.solving.index_folders)}
        ),
        resources=outer.resources,
        grids=tuple(
            grid.model_copy(update={"like": here / grid.like}) if grid.like else grid
            for grid in outer.grids
        ),
        sources=sources,
        problems=problems,
        secrets=Secrets({**_dotenv(here / ".env"), **os.environ}, file),
    )


def _toml(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SettingsError(
            file, "", "there is no such file; `astro-assets init` writes one to start from"
        ) from error
    except OSError as error:
        raise SettingsError(file, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(file, "", "is not UTF-8 text; save it as UTF-8") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(file, "", f"is not TOML; mend it there: {error}") from error


def _dotenv(file: Path) -> dict[str, str]:
    """The variables in a `.env`; none when there is none. Values are taken as they stand."""
    if not file.exists():
        return {}
    try:
        found = dotenv_values(file, interpolate=False, encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(file, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(file, "", "is not UTF-8 text; save it as UTF-8") from error
    return {name: value for name, value in found.items() if value}


def _sources(
    file: Path, entries: list[dict[str, object]]
) -> tuple[tuple[SourceSettings, ...], tuple[SettingsError, ...]]:
    sources: dict[str, SourceSettings] = {}
    problems: list[SettingsError] = []
    for number, entry in enumerate(entries, start=1):
        label = f"sources[{number}]" + (
            f" ({entry['name']})" if isinstance(entry.get("name"), str) else ""
        )
        try:
            source = _absolute(file.parent, _SOURCE.validate_python(entry))
        except ValidationError as error:
            problems.append(complaint(file, error, label, source_model(entry)))
            continue
        if source.name in sources:
            problems.append(
                SettingsError(
                    file, f"{label}.name", "another source has this name; choose a new one"
                )
            )
            continue
        sources[source.name] = source
    return tuple(sources.values()), tuple(problems)


def _absolute(here: Path, source: SourceSettings) -> SourceSettings:
    """Paths on this machine, made absolute from the settings file's folder."""
    paths = {key: here / value for key, value in source if isinstance(value, Path)}
    return source.model_copy(update=paths)
