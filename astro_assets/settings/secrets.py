"""Secrets by the name of an environment variable, never by value."""

from pathlib import Path
from typing import TYPE_CHECKING

from astro_assets.errors import SettingsError

if TYPE_CHECKING:
    from astro_assets.settings.sources import BaseSource


class Secrets:
    """The environment, and beneath it `.env` beside the settings file. Prints no value."""

    def __init__(self, values: dict[str, str], file: Path) -> None:
        self._values = values
        self._file = file

    def value(self, source: "BaseSource", key: str) -> str:
        """The secret whose variable ``source.<key>`` names. Raises `SettingsError`."""
        return self.of(getattr(source, key), f"sources.{source.name}.{key}")

    def of(self, variable: str, key: str) -> str:
        """The secret in ``variable``, which the setting ``key`` names. Raises `SettingsError`."""
        value = self._values.get(variable)
        if not value:
            raise SettingsError(
                self._file,
                key,
                f"the environment variable {variable} is not set or empty; set it, or write "
                f"{variable}=… into {self._file.parent / '.env'}",
            )
        return value

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} variables)"
