"""The record of what a batch's files are, and what became of each.

What belongs here: all records of a batch, read and written. What does not: one record
(`records`), the file that grows while a fetch is under way (`journal`), downloading (`fetch`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.frame import FrameKind
from astro_assets.sources import journal
from astro_assets.sources.paths import is_fits, is_frame, is_tiff, spelled, stem
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.records import LocalFile, Record, Status, same_time
from astro_assets.store import write_json

__all__ = ["LocalFile", "Manifest", "PublishedFrame", "Record", "Status", "same_time"]

FILE_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class PublishedFrame:
    """A frame that is here, with what its far side says of it as FITS keywords."""

    file: LocalFile
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All versions of all files of a batch. Immutable: `with_records` gives a new one.

    folder : the batch's raw folder, which the files' paths start from
    """

    folder: Path
    source: str
    batch: str
    kind: FrameKind
    records: tuple[Record, ...] = ()

    def fetched(self) -> dict[str, Record]:
        """By far path: the version that was fetched last."""
        return {r.path: r for r in self.records if r.sha256 is not None}

    def missing(self, files: Iterable[RemoteFile]) -> list[RemoteFile]:
        """Those listed files whose version, as listed, is not the last that was fetched.

        A picture of a frame that is here stays one when the frame itself is not listed any more,
        for it may have been deleted there.
        """
        fetched = self.fetched()
        frames = {stem(path).lower() for path, r in fetched.items() if is_fits(path) and r.files}

        def is_new(file: RemoteFile) -> bool:
            record = fetched.get(spelled(file.path))
            if record is not None:
                return not record.is_of(file)
            return not (is_tiff(file.path) and stem(spelled(file.path)).lower() in frames)

        return [file for file in files if is_new(file)]

    def with_records(self, records: Iterable[Record]) -> "Manifest":
        """Add versions; one of the same file with the same bytes is replaced."""
        versions: dict[str, list[Record]] = {}
        for record in (*self.records, *records):
            others = versions.get(record.path, [])
            kept = [other for other in others if other.sha256 not in (record.sha256, None)]
            versions[record.path] = [*kept, record]
        # The versions of one file stay in the order in which they were found.
        return replace(self, records=tuple(r for path in sorted(versions) for r in versions[path]))

    def frames(self) -> Iterator[PublishedFrame]:
        """Every published frame, each far file in its newest version."""
        for record in self._current():
            for file in record.files:
                if is_frame(file.path):
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
        newest = {r.path: r for r in self.records if r.files}
        return [newest[path] for path in sorted(newest)]

    @property
    def about(self) -> dict[str, str]:
        """Which batch this is."""
        return {"source": self.source, "batch": self.batch, "kind": self.kind.value}

    def save(self) -> None:
        """Write it into its folder, whole or not at all, and drop the journal that is in it."""
        records = [record.as_json() for record in self.records]
        write_json(self.folder / FILE_NAME, {**self.about, "records": records})
        journal.remove(self.folder)

    @classmethod
    def load(cls, folder: Path) -> "Manifest | None":
        """What is known of the batch in ``folder``; None when nothing is. Raises `BrokenFile`.

        The records of a fetch that is under way, or was killed, are among them.
        """
        growing = journal.read(folder)  # first, for it vanishes once the manifest has its records
        path = folder / FILE_NAME
        try:
            content = _content(path)
            if content is None and growing is not None:
                content = {**growing[0], "records": []}
            if content is None:
                return None
            manifest = cls(
                folder=folder,
                source=content["source"],
                batch=content["batch"],
                kind=FrameKind(content["kind"]),
                records=tuple(Record.from_json(entry) for entry in content["records"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenFile(
                f"{path} is damaged ({error}): move it away, and the next fetch writes it anew"
            ) from error
        return manifest.with_records(growing[1]) if growing else manifest


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return content
