"""The record of what a source was asked for, so that nothing is asked for twice.

What belongs here: the file, and holding it alone. An entry without an id was about to be sent when
the process ended; the site's list tells whether it was.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from astro_assets.errors import BrokenFile
from astro_assets.sources.telescope_org_wish import ImageRequest
from astro_assets.store import make_folder, write_json


@dataclass(slots=True)
class Entry:
    """One request of ours.

    rid : the site's number; empty until it is known
    status : the site's, 0 until it is known
    """

    request: ImageRequest
    asked_utc: str
    rid: str = ""
    status: int = 0


class Record:
    """All entries of one source, written whole at every change."""

    def __init__(self, file: Path, entries: list[Entry]) -> None:
        self._file = file
        self.entries = entries

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.save()

    def remove(self, entry: Entry) -> None:
        self.entries = [other for other in self.entries if other is not entry]
        self.save()

    def save(self) -> None:
        write_json(self._file, [asdict(entry) for entry in self.entries])


@contextmanager
def held(file: Path) -> Iterator[Record]:
    """The record, for one process at a time; another one waits.

    Raises
    ------
    BrokenFile : the file is damaged
    """
    make_folder(file.parent)
    with file.with_name(f".{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Record(file, _read(file))


def _read(file: Path) -> list[Entry]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return [_entry(entry) for entry in content]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise BrokenFile(
            f"{file} is damaged ({error}): move it away; the site's own list still keeps open "
            "requests from being sent twice"
        ) from error


def _entry(content: dict[str, object]) -> Entry:
    values = dict(content)
    request = values.pop("request")
    if not isinstance(request, dict) or set(request) != {f.name for f in fields(ImageRequest)}:
        raise ValueError("an entry without its request")
    return Entry(ImageRequest(**request), **values)  # type: ignore[arg-type]
