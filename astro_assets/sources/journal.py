"""The records of a fetch that is under way: a line each, added as they come.

What belongs here: the file that grows. What does not: what the records mean (`manifest`, which a
journal is folded into).
"""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from astro_assets.sources.landing import storage_failures
from astro_assets.sources.records import Record
from astro_assets.store import sync_folder

log = logging.getLogger(__name__)

FILE_NAME = ".journal"
"""no published name begins with a dot"""


class Journal:
    """Adds records, each line on stable storage before the next.

    about : the first line: which batch this is
    """

    def __init__(self, folder: Path, about: dict[str, str]) -> None:
        self._path = folder / FILE_NAME
        self._about = about
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            with storage_failures(self._path):
                self._file.close()

    def append(self, records: Sequence[Record]) -> None:
        """Add records, together. Raises `StorageFailed`."""
        if not records:
            return
        lines = "".join(_line(record.as_json()) for record in records)
        with storage_failures(self._path):
            if self._file is None:
                self._file = self._path.open("wb")
                lines = _line(self._about) + lines
            self._file.write(lines.encode())
            self._file.flush()
            os.fsync(self._file.fileno())


def read(folder: Path) -> tuple[dict[str, str], list[Record]] | None:
    """What a journal is about, and its records; None when there is none, or nothing in it.

    It ends at the first line that is not whole: those that a power cut or a full disk has
    swallowed. What they told of is found again by its hash.
    """
    path = folder / FILE_NAME
    try:
        first, *rest = path.read_bytes().split(b"\n")[:-1] or [b""]
        about: dict[str, str] = json.loads(first)
    except (FileNotFoundError, ValueError):
        return None
    records: list[Record] = []
    for line in rest:
        try:
            records.append(Record.from_json(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            log.warning("%s is cut: what its last lines told of is looked at again", path)
            break
    return about, records


def is_there(folder: Path) -> bool:
    """Whether a fetch of this batch was broken off before it could fold its journal."""
    return (folder / FILE_NAME).exists()


def remove(folder: Path) -> None:
    """Remove a journal that has been folded; an old one must not come back after a newer."""
    if is_there(folder):
        (folder / FILE_NAME).unlink()
        sync_folder(folder)


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=True, sort_keys=True) + "\n"
