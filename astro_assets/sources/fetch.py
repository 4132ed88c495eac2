"""One fetch for all sources: what is new arrives whole, is checked, and is published once.

What belongs here: the order of the steps and what is tried again. What does not: protocols
(transports), names (kinds), checks (`verify`, `unzip`), files appearing (`landing`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from astro_assets.errors import (
    BrokenFile,
    NotReady,
    SourceUnreachable,
    StorageFailed,
    TransferCut,
    Transient,
    UnsafeName,
    Unusable,
)
from astro_assets.sources.batches import Batch
from astro_assets.sources.download import Download, Line, Meter, Progress, download
from astro_assets.sources.landing import landing, publish_version, set_aside, storage_failures
from astro_assets.sources.manifest import LocalFile, Manifest, Record, Status
from astro_assets.sources.paths import is_fits, is_tiff, safe_path, spelled, stem
from astro_assets.sources.protocol import RemoteFile, Transport
from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets.store import Store, sha256_of

__all__ = ["Progress", "fetch_batch"]

log = logging.getLogger(__name__)

TRIES = 3


def fetch_batch(
    connect: Callable[[], Transport],
    batch: Batch,
    store: Store,
    on_progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Download what the batch's folder does not hold yet.

    A broken file is asked for twice and then quarantined; the others go on. A fault of the
    connection is tried again on a new one. Two processes may fetch the same batch.

    Parameters
    ----------
    connect : a transport, not opened yet; called only if there is something to download

    Raises
    ------
    SourceUnreachable, TransferCut : some files did not arrive; the others have landed
    LoginRefused, IdentityRefused : at once
    StorageFailed : our own disk does not take files
    BrokenFile : the manifest on disk is damaged
    """
    folder = store.raw(batch.source, batch.key)
    quarantine = store.quarantine(batch.source) / batch.key
    with landing(folder, quarantine) as incoming, Line(connect) as line:
        manifest = Manifest.load(folder) or Manifest(folder, batch.source, batch.key, batch.kind)
        new = [file for file in batch.files if manifest.known(file) is None]
        fetch = _Fetch(line, batch, folder, quarantine, incoming, Meter(new, on_progress))
        failures: list[Transient] = []
        for file in new:
            try:
                record = fetch.one(file)
            except StorageFailed:
                raise
            except Transient as error:
                failures.append(error)
                log.warning("%s: %s", batch.key, error)
                if line.dead:
                    break
                continue
            manifest = manifest.with_record(record)
            with storage_failures(folder):
                manifest.save()
    if failures:
        raise _summary(batch, failures)
    return manifest


def _summary(batch: Batch, failures: list[Transient]) -> Transient:
    unreachable = any(isinstance(failure, SourceUnreachable) for failure in failures)
    more = f" ({len(failures) - 1} more files of {batch.key} likewise)" if failures[1:] else ""
    return (SourceUnreachable if unreachable else TransferCut)(f"{failures[0]}{more}")


@dataclass(frozen=True, slots=True)
class _Fetch:
    """Downloads the files of one batch."""

    line: Line
    batch: Batch
    folder: Path
    quarantine: Path
    incoming: Path
    meter: Meter

    def one(self, file: RemoteFile) -> Record:
        """Publish or quarantine one file. Raises `Transient` when it did not arrive."""
        received = self._received(file)
        try:
            return self._published(received)
        except UnsafeName as error:
            return self._quarantined(received, error)
        except BrokenFile as error:
            # It may have been the transfer's doing.
            log.info("%s; asking for it once more", error)
        received = self._received(file)
        try:
            return self._published(received)
        except Unusable as error:
            return self._quarantined(received, error)

    def _received(self, file: RemoteFile) -> Download:
        """The bytes, tried again on a new connection after a transient fault."""
        retry = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=0.5, max=8),
            retry=retry_if_exception_type(Transient)
            & retry_if_not_exception_type((StorageFailed, NotReady)),
            reraise=True,
        )
        return retry(download, self.line, file, self.incoming / "download.part", self.meter)

    def _published(self, received: Download) -> Record:
        """Check everything that a download gave, then let it appear. Raises `Unusable`."""
        received.checked()
        parts = self._unpacked(received)
        whole = [(path, part, verify(part, str(path))) for path, part in parts]
        files = tuple(self._appear(path, part, vouched) for path, part, vouched in whole)
        self.meter.finished(received.file, received.received)
        return self._record(received, Status.PUBLISHED, files=files)

    def _unpacked(self, received: Download) -> list[tuple[PurePosixPath, Path]]:
        """Names and bytes of the files that a download gave."""
        name = spelled(received.file.path)
        path = safe_path(received.file.path)
        if received.received == 0:
            raise BrokenFile(f"{name} is empty: ask the source for it again")
        if not name.lower().endswith(".zip"):
            return [(path, received.part)]
        members = unzip(received.part, self.incoming, name)
        if not any(is_fits(member.name) or is_tiff(member.name) for member in members):
            raise BrokenFile(f"{name} holds no FITS file: look at it")
        home = _home_of_members(path, list(members))
        return [(home / member, part) for member, part in members.items()]

    def _appear(self, path: PurePosixPath, part: Path, vouched: bool) -> LocalFile:
        sha256 = sha256_of(part)
        size_bytes = part.stat().st_size
        published = publish_version(part, self.folder, path, sha256)
        return LocalFile(str(published), size_bytes, sha256, vouched)

    def _quarantined(self, received: Download, reason: Unusable) -> Record:
        record = self._record(received, Status.QUARANTINED, reason=str(reason))
        notes: dict[str, object] = {
            "source": self.batch.source,
            "batch": self.batch.key,
            "path": record.path,
            "size_bytes": record.size_bytes,
            "modified_utc": record.modified_utc and record.modified_utc.isoformat(),
            "sha256": record.sha256,
            "reason": record.reason,
        }
        part = received.part if received.arrived else None
        set_aside(part, self.quarantine, received.file.path, record.sha256, notes)
        log.warning("%s: quarantined: %s", self.batch.key, reason)
        self.meter.finished(received.file, received.received)
        return record

    def _record(
        self,
        received: Download,
        status: Status,
        reason: str = "",
        files: tuple[LocalFile, ...] = (),
    ) -> Record:
        return Record(
            path=spelled(received.file.path),
            size_bytes=received.file.size_bytes,
            modified_utc=received.file.modified_utc,
            sha256=received.sha256 if received.arrived else None,
            status=status,
            reason=reason,
            files=files,
            facts=dict(received.file.facts),
        )


def _home_of_members(archive: PurePosixPath, members: list[PurePosixPath]) -> PurePosixPath:
    """A lone member of the archive's own name lies in its place, others in a folder of its name.

    So members of equal names from two archives of one folder do not meet.
    """
    name = stem(archive.name)
    if len(members) == 1 and stem(members[0].name) == stem(name):
        return archive.parent
    return archive.parent / name
