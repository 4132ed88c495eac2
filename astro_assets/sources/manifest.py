"""The record of what a batch's files are, and what became of each.

What belongs here: the manifest as data, read and written. What does not: downloading (`fetch`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.frame import FrameKind
from astro_assets.sources.paths import is_fits, is_tiff, spelled
from astro_assets.sources.protocol import RemoteFile
from astro_assets.store import write_json

FILE_NAME = "manifest.json"


class Status(StrEnum):
    """What became of a far file."""

    PUBLISHED = "published"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that a far file gave: itself, or a member of it.

    path : relative to the batch's raw folder, ``/``-separated
    checksum_verified : a checksum inside the file vouches for its data
    """

    path: str
    size_bytes: int
    sha256: str
    checksum_verified: bool


@dataclass(frozen=True, slots=True)
class PublishedFrame:
    """A frame that is here, with what its far side says of it as FITS keywords."""

    file: LocalFile
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one far file.

    path : as the far side spells it
    sha256 : of the bytes as served; None when the far side did not hand them over
    reason : why it is quarantined
    """

    path: str
    size_bytes: int | None
    modified_utc: datetime | None
    sha256: str | None
    status: Status
    reason: str = ""
    files: tuple[LocalFile, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    def is_of(self, file: RemoteFile) -> bool:
        """Whether this version is what the far file, of the same path, is now."""
        if file.sha256 is not None:
            return self.sha256 == file.sha256
        return self.size_bytes == file.size_bytes and same_time(
            self.modified_utc, file.modified_utc
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """All versions of all files of a batch. Immutable: `with_record` gives a new one.

    folder : the batch's raw folder, which the files' paths start from
    """

    folder: Path
    source: str
    batch: str
    kind: FrameKind
    records: tuple[Record, ...] = ()

    def known(self, file: RemoteFile) -> Record | None:
        """The record of the file as listed, if that version is the last that was fetched."""
        path = spelled(file.path)
        versions = [r for r in self.records if r.path == path and r.sha256 is not None]
        return versions[-1] if versions and versions[-1].is_of(file) else None

    def with_record(self, record: Record) -> "Manifest":
        """Add a version; one of the same file with the same bytes is replaced."""
        kept = [
            other
            for other in self.records
            if other.path != record.path or other.sha256 not in (record.sha256, None)
        ]
        # Stable: the versions of one file stay in the order in which they were found.
        return replace(self, records=tuple(sorted([*kept, record], key=lambda r: r.path)))

    def frames(self) -> Iterator[PublishedFrame]:
        """Every published frame, each far file in its newest version."""
        for record in self._current():
            for file in record.files:
                if is_fits(file.path) or is_tiff(file.path):
                    yield PublishedFrame(file, record.facts)

    @property
    def quarantined(self) -> tuple[Record, ...]:
        """The files that were set aside, each with its reason."""
        return tuple(r for r in self.records if r.status is Status.QUARANTINED)

    @property
    def size_bytes(self) -> int:
        """Bytes of all published files."""
        return sum(file.size_bytes for record in self._current() for file in record.files)

    @property
    def digest(self) -> str:
        """Changes whenever the bytes of the frames do: their data version."""
        hashes = sorted(file.sha256 for record in self._current() for file in record.files)
        return hashlib.sha256("".join(hashes).encode()).hexdigest()

    def _current(self) -> list[Record]:
        newest = {r.path: r for r in self.records if r.status is Status.PUBLISHED}
        return [newest[path] for path in sorted(newest)]

    def save(self) -> None:
        """Write it into its folder, whole or not at all."""
        content = {
            "source": self.source,
            "batch": self.batch,
            "kind": self.kind.value,
            "records": [_as_json(record) for record in self.records],
        }
        write_json(self.folder / FILE_NAME, content)

    @classmethod
    def load(cls, folder: Path) -> "Manifest | None":
        """The manifest in ``folder``; None when there is none yet. Raises `BrokenFile`."""
        path = folder / FILE_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                folder=folder,
                source=content["source"],
                batch=content["batch"],
                kind=FrameKind(content["kind"]),
                records=tuple(_from_json(entry) for entry in content["records"]),
            )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenFile(
                f"{path} is damaged ({error}): move it away, and the next fetch writes it anew"
            ) from error


def same_time(one: datetime | None, other: datetime | None) -> bool:
    """Whether two listings may speak of the same modification.

    Servers without exact times tell the minute of a young file and only the day of an old one;
    a file must not look changed because it has aged.
    """
    if one is None or other is None or one == other:
        return True
    if time(0) in (one.time(), other.time()):
        return abs(one - other) < timedelta(days=1) and one.date() == other.date()
    return False


def _as_json(record: Record) -> dict[str, Any]:
    content = asdict(record)
    content["status"] = record.status.value
    content["facts"] = dict(record.facts)
    content["modified_utc"] = record.modified_utc and record.modified_utc.isoformat()
    return content


def _from_json(entry: dict[str, Any]) -> Record:
    modified = entry["modified_utc"]
    return Record(
        path=entry["path"],
        size_bytes=entry["size_bytes"],
        modified_utc=None if modified is None else datetime.fromisoformat(modified),
        sha256=entry["sha256"],
        status=Status(entry["status"]),
        reason=entry["reason"],
        files=tuple(LocalFile(**file) for file in entry["files"]),
        facts=entry["facts"],
    )
