"""What the far side may let go of, once it is surely here: deleted by us, or confirmed to it.

What belongs here: the rule. What does not: how a server deletes or takes confirmations
(transports), and whether anybody wants that (settings).

A file is deleted only if all of this holds; whatever cannot be found out counts against it:

- the server told its length; that many bytes were published, and are intact on our disk
- a second download, on another connection, gives the same bytes
- the server tells the file's size and time; they are those that were fetched, before that second
  download as well as right before the deletion
- the whole batch is listed as it was before the fetch: nothing of it is still being written
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from astro_assets.errors import BrokenFile
from astro_assets.sources.batches import Batch
from astro_assets.sources.journal import Journal
from astro_assets.sources.landing import landing, storage_failures
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import (
    Confirmed,
    Confirming,
    Deleting,
    RemoteFile,
    Statting,
    Transport,
)
from astro_assets.sources.records import LocalFile, Record, Status, same_time
from astro_assets.sources.throttle import Throttle
from astro_assets.store import Store, sha256_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Released:
    """What came of it.

    notes : a sentence for each file that stays on the far side against our wish
    """

    confirmed: int = 0
    deleted: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A listed file, and the record of this very version of it, which is published."""

    file: RemoteFile
    record: Record


def confirm_batch(connect: Callable[[], Transport], batch: Batch, store: Store) -> Released:
    """Tell a far side that takes confirmations which of its files are here, by their hashes.

    What was confirmed before is confirmed again: the far side may have lost it.

    Raises
    ------
    SourceUnreachable, LoginRefused, IdentityRefused, StorageFailed
    """
    transport = connect()
    if not isinstance(transport, Confirming):
        return Released()
    with _published(batch, store) as (manifest, published):
        ours = [held for held in published if _has_far_hash(held)]
        sure = [
            held
            for held in ours
            if all(_intact(manifest.folder, f, held.record.confirmed) for f in held.record.files)
        ]
        if sure:
            with transport:
                transport.confirm([_confirmed(held) for held in sure])
            _write_down(
                manifest,
                [replace(h.record, confirmed=True) for h in sure if not h.record.confirmed],
            )
    broken = [f"{_damaged(held)}; it is not confirmed" for held in ours if held not in sure]
    return Released(confirmed=len(sure), notes=tuple(broken))


def delete_batch(
    connect: Callable[[], Transport],
    batch: Batch,
    store: Store,
    look_again: Callable[[], Batch | None],
    max_megabytes_per_s: float | None = None,
) -> Released:
    """Delete on the far side what is surely here, by the rule above.

    Parameters
    ----------
    look_again : the batch as the source lists it now

    Raises
    ------
    SourceUnreachable, ListingFailed, TransferCut, LoginRefused, IdentityRefused, StorageFailed :
        what was deleted until then is recorded
    """
    transport = connect()
    if not (isinstance(transport, Statting) and isinstance(transport, Deleting)):
        return Released(notes=(f"{batch.source} deletes no files: switch delete_after_fetch off",))
    with _published(batch, store) as (manifest, published):
        if not published:
            return Released()
        deletion = _Deletion(
            transport, manifest.folder, Throttle(_bytes_per_s(max_megabytes_per_s))
        )
        with transport:
            for held in published:
                deletion.compare(held)
            now = look_again()
            if now is None or now.digest != batch.digest:
                return Released(notes=(f"{batch.key} still changes: nothing of it is deleted",))
            with Journal(manifest.folder, manifest.about) as journal:
                try:
                    deletion.delete(journal)
                finally:
                    _write_down(manifest, deletion.released)
    return Released(deleted=len(deletion.released), notes=tuple(deletion.notes))


class _Far(Transport, Statting, Deleting, Protocol):
    """A transport with all that a deletion takes."""


class _Deletion:
    """Compares first, then deletes; notes what stays, and why."""

    def __init__(self, far: _Far, folder: Path, throttle: Throttle) -> None:
        self._far = far
        self._folder = folder
        self._throttle = throttle
        self._sure: list[tuple[_Held, RemoteFile]] = []
        self.notes: list[str] = []
        self.released: list[Record] = []

    def compare(self, held: _Held) -> None:
        """Download a file once more, and remember how it looked before, if all agrees."""
        name = spelled(held.file.path)
        seen = self._far.stat(held.file)
        if seen is None:
            return
        if not _as_fetched(seen, held.record):
            self._stays(f"{name} does not show the size and time that it was fetched with")
        elif not all(_intact(self._folder, file) for file in held.record.files):
            self._stays(_damaged(held))
        elif (reason := self._differs(held)) is not None:
            self._stays(reason)
        else:
            self._sure.append((held, seen))

    def _differs(self, held: _Held) -> str | None:
        second = _Second(self._throttle)
        try:
            self._far.download(held.file, second)
        except BrokenFile as error:
            return str(error)
        if second.sha256 == held.record.sha256 and second.received == held.record.size_bytes:
            return None
        return f"{spelled(held.file.path)} came with other bytes when it was downloaded once more"

    def delete(self, journal: Journal) -> None:
        """Delete what agreed and still looks as it did."""
        for held, before in self._sure:
            seen = self._far.stat(held.file)
            if seen is None:
                continue
            if _look(seen) != _look(before):
                self._stays(f"{spelled(held.file.path)} has changed since it was fetched")
                continue
            try:
                self._far.delete(held.file)
            except BrokenFile as error:
                self._stays(str(error))
                continue
            record = replace(held.record, released_utc=datetime.now(UTC))
            self.released.append(record)
            journal.append([record])

    def _stays(self, reason: str) -> None:
        self.notes.append(f"{reason}; it is not deleted at its source")
        log.warning("%s", self.notes[-1])


class _Second:
    """A sink that keeps the hash alone."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._hash = hashlib.sha256()
        self.received = 0

    def begin(self, version: str) -> int:
        """Nothing is here of it: a second opinion begins at the start."""
        del version
        self._hash = hashlib.sha256()
        self.received = 0
        return 0

    def write(self, chunk: bytes | memoryview) -> int:
        self._hash.update(chunk)
        self.received += len(chunk)
        self._throttle.take(len(chunk))
        return len(chunk)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def _published(batch: Batch, store: Store) -> Iterator[tuple[Manifest, list[_Held]]]:
    """Hold the batch, and yield which of its listed files are published as they are listed."""
    folder = store.raw(batch.source, batch.key)
    with landing(folder, store.quarantine(batch.source) / batch.key):
        manifest = Manifest.load(folder) or Manifest(folder, batch.source, batch.key, batch.kind)
        fetched = manifest.fetched()
        known = ((file, fetched.get(spelled(file.path))) for file in batch.files)
        yield (
            manifest,
            [
                _Held(file, record)
                for file, record in known
                if record is not None and record.status is Status.PUBLISHED and record.is_of(file)
            ],
        )


def _write_down(manifest: Manifest, records: Sequence[Record]) -> None:
    if records:
        with storage_failures(manifest.folder):
            manifest.with_records(records).save()


def _has_far_hash(held: _Held) -> bool:
    """Whether the published file itself, not only what it came in, has the far side's hash."""
    return [file.sha256 for file in held.record.files] == [held.file.sha256]


def _confirmed(held: _Held) -> Confirmed:
    (file,) = held.record.files
    return Confirmed(held.file.path, file.size_bytes, file.sha256)


def _intact(folder: Path, file: LocalFile, hashed_before: bool = False) -> bool:
    """Whether a published file is on our disk as it was published."""
    path = folder / file.path
    with storage_failures(path):
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            return False
        return hashed_before or sha256_of(path) == file.sha256


def _damaged(held: _Held) -> str:
    return f"{held.record.path} is not here any more as it was published: look at it"


def _as_fetched(seen: RemoteFile, record: Record) -> bool:
    """Whether size and time are told, and are those that were listed when the file was fetched.

    Some listings tell no seconds, where a look at one file does.
    """
    listed = record.modified_utc
    if None in (seen.size_bytes, seen.modified_utc, record.size_bytes, listed):
        return False
    whole_minute = listed is not None and listed.second == listed.microsecond == 0
    told = seen.modified_utc
    if whole_minute and told is not None:
        told = told.replace(second=0, microsecond=0)
    return seen.size_bytes == record.size_bytes and same_time(told, listed)


def _look(file: RemoteFile) -> tuple[int | None, datetime | None]:
    return file.size_bytes, file.modified_utc


def _bytes_per_s(megabytes_per_s: float | None) -> float | None:
    return None if megabytes_per_s is None else megabytes_per_s * 1e6
