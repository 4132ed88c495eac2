"""Targets to ask for, as a person writes them: a table in CSV or TOML, or words.

What belongs here: reading, and what each row must have. What does not: where a named target is
(`request_places`), what the site takes (`sources.telescope_org_wish`).
"""

import csv
import io
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from astro_assets.errors import SettingsError
from astro_assets.settings.complaints import complaint

_TABLE = "requests"


class Target(BaseModel):
    """One row. A place (``ra``, ``dec``) or a ``name`` says what; with both, the place counts.

    ``ra`` and ``dec`` are degrees, or ``hh:mm:ss`` and ``±dd:mm:ss``, in ICRS.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, str_strip_whitespace=True
    )

    name: str = Field(default="", max_length=80)
    ra: str | float | None = None
    dec: str | float | None = None
    telescope: str
    filter: str
    exposure_s: float
    comments: str = Field(default="", max_length=500)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its place in it, and the target, or why there is none."""

    label: str
    target: Target | None
    problem: str = ""


def read_targets(file: Path) -> list[Row]:
    """The rows of a table: CSV with a line of column names, or TOML with ``[[requests]]``.

    A row that cannot be understood is told by its problem; the others go on.

    Raises
    ------
    SettingsError : the file as a whole cannot be read
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(file, "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(file, "", "is not UTF-8 text; save it as UTF-8") from error
    entries = _toml(file, text) if file.suffix.lower() == ".toml" else _csv(file, text)
    return [row(file, label, entry) for label, entry in entries]


def row(file: Path, label: str, entry: dict[str, Any]) -> Row:
    """One entry, judged by itself."""
    try:
        return Row(label, Target.model_validate(entry))
    except ValidationError as error:
        return Row(label, None, str(complaint(file, error, label, Target)))


def _toml(file: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(file, "", f"is not TOML; mend it there: {error}") from error
    entries = content.get(_TABLE)
    if set(content) != {_TABLE} or not isinstance(entries, list):
        raise SettingsError(file, _TABLE, f"write one [[{_TABLE}]] table per target, nothing else")
    return [(f"{_TABLE}[{n}]", entry) for n, entry in enumerate(entries, start=1)]


def _csv(file: Path, text: str) -> list[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        columns = [str(name).strip() for name in reader.fieldnames or ()]
        needed = {name for name, field in Target.model_fields.items() if field.is_required()}
        if needed - set(columns):
            raise SettingsError(
                file,
                "line 1",
                f"the columns {', '.join(Target.model_fields)} are known; "
                f"{', '.join(sorted(needed - set(columns)))} must be there, with commas between",
            )
        return [
            (f"line {reader.line_num}", _filled(columns, list(cells.values()))) for cells in reader
        ]
    except csv.Error as error:
        raise SettingsError(
            file, f"line {reader.line_num}", f"is not CSV; mend it: {error}"
        ) from error


def _filled(columns: list[str], cells: list[Any]) -> dict[str, Any]:
    """The cells that hold something, by column; one too many is a column that nobody knows."""
    names = [*columns, *("more cells than columns" for _ in cells[len(columns) :])]
    return {
        name: cell
        for name, cell in zip(names, cells, strict=False)
        if cell is not None and (not isinstance(cell, str) or cell.strip())
    }
