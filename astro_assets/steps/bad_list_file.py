"""The YAML file in which bad pixels are listed by hand, and in which those found are shown.

What belongs here: reading and writing it, with a sentence for what cannot be used. What does not:
what the list means for pixels (`imaging.bad_list`), the map (`bad_pixels`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from astro_assets.errors import BrokenFile
from astro_assets.imaging.bad_list import BadList, Rectangle
from astro_assets.store import write_text

_COLUMNS, _ROWS, _RECTANGLES = "bad_columns", "bad_rows", "bad_rectangles"
_KEYS = (_COLUMNS, _ROWS, _RECTANGLES)
_MOST_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list as it was read; ``unusable`` has a clause for each entry that is none."""

    listed: BadList
    unusable: tuple[str, ...]


def read_bad_list(path: Path) -> ReadList:
    """The list in a YAML file; keys that are missing or empty list nothing.

    Raises
    ------
    BrokenFile : it is no YAML with these keys
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise BrokenFile(f"{path} is too large for a list of bad pixels: mend it")
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_LOADER)  # noqa: S506 - a safe one
    except (OSError, UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        what = " ".join(str(error).split())
        raise BrokenFile(f"{path} is not YAML that can be read, mend it: {what}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise BrokenFile(f"{path} has none of the keys {', '.join(_KEYS)}: write them as key: [ ]")
    unusable = [
        f"{key} is no key; there are {', '.join(_KEYS)}" for key in content if key not in _KEYS
    ]
    columns, rows = (_numbers(key, content.get(key), unusable) for key in (_COLUMNS, _ROWS))
    rectangles = _rectangles(content.get(_RECTANGLES), unusable)
    return ReadList(BadList(columns, rows, rectangles), tuple(unusable))


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""the same, ten times as fast, where it was built"""


def write_bad_list(path: Path, listed: BadList, remarks: Iterable[str]) -> None:
    """Write a list, with remarks above it, whole or not at all."""
    lines = [f"# {remark}" for remark in remarks]
    lines.append(f"{_COLUMNS}: {list(listed.columns)}")
    lines.append(f"{_ROWS}: {list(listed.rows)}")
    lines.append(f"{_RECTANGLES}:" + ("" if listed.rectangles else " []"))
    lines += [f"  - {list(rectangle)}" for rectangle in listed.rectangles]
    write_text(path, "\n".join(lines) + "\n")


def _numbers(key: str, entries: Any, unusable: list[str]) -> tuple[int, ...]:
    """The whole numbers of a list."""
    if entries is None:
        return ()
    if not isinstance(entries, list):
        entries = [entries]
    unusable += [f"{entry!r} in {key} is no whole number" for entry in entries if not _whole(entry)]
    return tuple(entry for entry in entries if _whole(entry))


def _rectangles(entries: Any, unusable: list[str]) -> tuple[Rectangle, ...]:
    if entries is None:
        return ()
    if not isinstance(entries, list):
        entries = [entries]
    elif len(entries) == 4 and all(map(_whole, entries)):
        entries = [entries]  # a single one, without the list around it
    found: list[Rectangle] = []
    for entry in entries:
        if isinstance(entry, list) and len(entry) == 4 and all(map(_whole, entry)):
            found.append((entry[0], entry[1], entry[2], entry[3]))
        else:
            unusable.append(
                f"{entry!r} in {_RECTANGLES} is not [row_start, row_end, col_start, col_end]"
            )
    return tuple(found)


def _whole(entry: Any) -> bool:
    return isinstance(entry, int) and not isinstance(entry, bool)
