"""What was set aside when it was fetched, for people to look at: file, reason, where its bytes are.

What belongs here: reading the quarantine. What does not: setting aside (`sources.landing`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from astro_assets.errors import BrokenFile
from astro_assets.sources.manifest import Manifest, Status
from astro_assets.store import Store

if TYPE_CHECKING:
    import pandas as pd

REASON_SUFFIX = ".reason.json"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A far file that could not be used as it arrived.

    file : its path on the far side
    bytes_at : what arrived of it; None when nothing did
    """

    source: str
    batch: str
    file: str
    reason: str
    bytes_at: Path | None


def set_aside(store: Store, source: str, batch: str) -> list[SetAside]:
    """The files of a batch that are set aside, by path; without those that are mended since."""
    mended = _mended(store, source, batch)
    return [entry for entry in _noted(store, source, batch) if entry.file not in mended]


def set_aside_of_night(store: Store, night: str) -> list[SetAside]:
    """As `set_aside`, for all sessions and calibration sets of a night."""
    folders = sorted(store.root.glob(f"quarantine/*/{night}_*"))
    return [
        entry for folder in folders for entry in set_aside(store, folder.parent.name, folder.name)
    ]


def as_rows(entries: list[SetAside]) -> "pd.DataFrame | None":
    """As a table for the web UI; None when there is nothing to show."""
    import pandas as pd

    rows = [
        {"quarantined": e.file, "reason": e.reason, "bytes": str(e.bytes_at or "none arrived")}
        for e in entries
    ]
    return pd.DataFrame(rows) if rows else None


def notes_by_night(store: Store) -> dict[str, list[str]]:
    """For each night, the names of the notes in its quarantine: they change when it does."""
    notes: dict[str, list[str]] = {}
    for folder in sorted(store.root.glob("quarantine/*/*")):
        night = folder.name.partition("_")[0]
        names = (str(path.relative_to(store.root)) for path in folder.rglob(f"*{REASON_SUFFIX}"))
        notes.setdefault(night, []).extend(sorted(names))
    return {night: names for night, names in notes.items() if names}


def _noted(store: Store, source: str, batch: str) -> Iterator[SetAside]:
    folder = store.quarantine(source) / batch
    for path in sorted(folder.rglob(f"*{REASON_SUFFIX}")):
        kept = path.with_name(path.name.removesuffix(REASON_SUFFIX))
        try:
            notes = json.loads(path.read_text(encoding="utf-8"))
            file, reason = str(notes["path"]), str(notes["reason"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            file, reason = kept.name, f"{path.name} is damaged ({error})"
        yield SetAside(source, batch, file, reason, kept if kept.is_file() else None)


def _mended(store: Store, source: str, batch: str) -> set[str]:
    """Far files whose newest version is published, after an earlier one was set aside."""
    try:
        manifest = Manifest.load(store.raw(source, batch))
    except BrokenFile:
        return set()  # the fetch says so; nothing is hidden because of it
    newest = {record.path: record.status for record in manifest.records} if manifest else {}
    return {path for path, status in newest.items() if status is Status.PUBLISHED}
