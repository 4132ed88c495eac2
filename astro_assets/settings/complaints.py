"""A mistake in the settings as one sentence: file, key, and the way out, without secrets.

What belongs here: wording. What does not: what is right (`models`).
"""

import difflib
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from astro_assets.errors import SettingsError
from astro_assets.settings.sources import MODELS


def source_model(entry: dict[str, object]) -> type[BaseModel] | None:
    """The model that a source's ``kind`` asks for, if there is one."""
    kind = entry.get("kind")
    return MODELS.get(kind) if isinstance(kind, str) else None


def complaint(
    file: Path, error: ValidationError, prefix: str, model: type[BaseModel] | None
) -> SettingsError:
    """pydantic's first complaint as one sentence with the key and the way out."""
    complaints = error.errors()
    # A misspelt key shows up twice, as unknown and as missing; the first says more.
    first = next((c for c in complaints if c["type"] == "extra_forbidden"), complaints[0])
    path = [str(part) for part in first["loc"]]
    if prefix and path and model is not None:
        path = path[1:] if path[0] == _kind_of(model) else path
    if first["type"].startswith("union_tag"):
        path = ["kind"]
    key = ".".join(part for part in (prefix, *path) if part)
    if first["type"] == "extra_forbidden":
        return SettingsError(file, key, _unknown_key(path[-1], _keys_at(model, path[:-1])))
    return SettingsError(file, key, _expected(first, path[-1]))


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    way_out = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"there is no such key; {way_out}"


def _expected(details: ErrorDetails, key: str) -> str:
    """What to write there. A value that may be a secret by mistake is not shown."""
    found = "" if key.endswith("_env") else f", found {_shown(details['input'])}"
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "is missing; add it"
        case "union_tag_invalid":
            return f"expected one of {context['expected_tags']}, found {context['tag']!r}"
        case "union_tag_not_found":
            return f"is missing; add one of {', '.join(repr(k) for k in MODELS)}"
        case "tuple_type":
            return f"expected a list in square brackets{found}"
        case "date_type" | "date_parsing" | "date_from_datetime_parsing":
            return f"expected a date such as 2026-11-20{found}"
        case "time_type" | "time_parsing":
            return f"expected a time such as 21:30{found}"
        case "value_error":
            return f"expected {context['error']}{found}"
        case "model_type" | "dict_type":
            return f"expected a table{found}"
        case "string_pattern_mismatch":
            return f"expected {_PATTERNS[context['pattern']]}{found}"
    return f"{details['msg'][0].lower()}{details['msg'][1:]}{found}"


def _shown(value: object) -> str:
    """A value for a message, unless there may be a secret in it."""
    if isinstance(value, dict):
        return "one table (a list of them starts with [[…]])"
    if isinstance(value, list):
        return "a list"
    return "a text with @ in it" if "@" in str(value) else repr(value)


_PATTERNS = {
    r"^[ -{}~]*$": "letters, digits and signs of ASCII, without |",
    r"^[a-z][a-z0-9_]{0,39}$": "a small letter, then small letters, digits and _ (40 at most)",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "the name of an environment variable, not the secret itself",
    r"^[^\s/]+$": "a host's name or address alone",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits, as `astro-assets check` shows them",
    r"^[^\\/]+$": "a share's name alone, without slashes",
}


def _kind_of(model: type[BaseModel]) -> str:
    """The ``kind`` that a source model stands for."""
    return next((kind for kind, other in MODELS.items() if other is model), "")


def _keys_at(model: type[BaseModel] | None, path: list[str]) -> list[str]:
    """The keys that are allowed in the table at ``path`` below ``model``."""
    for part in path:
        if part.isdigit():  # the number in a list of tables
            continue
        field = model.model_fields.get(part) if model else None
        annotation = field.annotation if field else None
        # of many, the one that they all are
        annotation = next(iter(get_args(annotation)), annotation)
        model = (
            annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel)
            else None
        )
    return list(model.model_fields) if model else []
