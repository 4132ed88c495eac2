"""What became of one far file, as data.

What belongs here: records and their JSON. What does not: all records of a batch (`manifest`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any

from astro_assets.sources.protocol import RemoteFile


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
class Record:
    """One version of one far file.

    path : as the far side spells it
    sha256 : of the bytes as served; None when the far side did not hand them over
    reason : why it is quarantined
    files : what is published of it; of a quarantined archive, its good members
    confirmed : the far side was told that this version is here
    released_utc : when we deleted it on the far side
    listed_sha256 : what the far side said that the bytes are
    """

    path: str
    size_bytes: int | None
    modified_utc: datetime | None
    sha256: str | None
    status: Status
    reason: str = ""
    files: tuple[LocalFile, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    confirmed: bool = False
    released_utc: datetime | None = None
    listed_sha256: str | None = None

    def is_of(self, file: RemoteFile) -> bool:
        """Whether this version is what the far file, of the same path, is now.

        Bytes that were set aside because they were not what was listed get another chance once
        they are.
        """
        if file.sha256 is not None:
            as_listed = (self.size_bytes, self.listed_sha256) == (file.size_bytes, file.sha256)
            excused = self.status is Status.QUARANTINED and self.listed_sha256 and not as_listed
            return self.sha256 == file.sha256 and not excused
        return self.size_bytes == file.size_bytes and same_time(
            self.modified_utc, file.modified_utc
        )

    def as_json(self) -> dict[str, Any]:
        content = asdict(self)
        content["status"] = self.status.value
        content["facts"] = dict(self.facts)
        for key in ("modified_utc", "released_utc"):
            content[key] = content[key] and content[key].isoformat()
        return content

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Record":
        """The inverse of `as_json`. Raises `ValueError`, `KeyError` or `TypeError`."""
        return cls(
            path=entry["path"],
            size_bytes=entry["size_bytes"],
            modified_utc=_moment(entry["modified_utc"]),
            sha256=entry["sha256"],
            status=Status(entry["status"]),
            reason=entry["reason"],
            files=tuple(LocalFile(**file) for file in entry["files"]),
            facts=entry["facts"],
            confirmed=entry.get("confirmed", False),
            released_utc=_moment(entry.get("released_utc")),
            listed_sha256=entry.get("listed_sha256"),
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


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
