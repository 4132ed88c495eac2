"""One fetch for all sources: what is new arrives whole, is checked, and is published once.

What belongs here: the order of the steps and what is tried again. What does not: protocols
(transports), names (kinds), what a download holds (`contents`), files appearing (`landing`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    Unusable,
)
from astro_assets.sources.batches import Batch
from astro_assets.sources.contents import Findings, Whole, checked
from astro_assets.sources.crew import Crew, Missed
from astro_assets.sources.download import Download, Flow, PartFile, download
from astro_assets.sources.halt import Halt
from astro_assets.sources.journal import Journal, is_there
from astro_assets.sources.landing import landing, publish_version, set_aside, storage_failures
from astro_assets.sources.lines import Line
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.paths import spelled
from astro_assets.sources.progress import Meter, Progress
from astro_assets.sources.protocol import RemoteFile, Transport
from astro_assets.sources.records import LocalFile, Record, Status
from astro_assets.sources.throttle import Throttle
from astro_assets.store import Store, sha256_of

__all__ = ["Progress", "fetch_batch"]

log = logging.getLogger(__name__)

TRIES = 3


def fetch_batch(
    connect: Callable[[], Transport],
    batch: Batch,
    store: Store,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    max_connections: int = 1,
    max_megabytes_per_s: float | None = None,
) -> Manifest:
    """Download what the batch's folder does not hold yet.

    A broken file is asked for again: with the same bytes it is quarantined and the others go on;
    with other bytes each time it is the transfer's doing. A fault of the connection is tried again
    on a new one, from where it broke off. Two processes may fetch the same batch.

    Parameters
    ----------
    connect : a transport, not opened yet; called only if there is something to download
    on_progress : called in the caller's thread, a few times a second and at the end
    max_connections : at once; a server that takes fewer gets fewer
    max_megabytes_per_s : of all connections together

    Raises
    ------
    SourceUnreachable, TransferCut : some files did not arrive; the others have landed
    LoginRefused, IdentityRefused : at once
    StorageFailed : our own disk does not take files
    BrokenFile : the manifest on disk is damaged
    """
    folder = store.raw(batch.source, batch.key)
    quarantine = store.quarantine(batch.source) / batch.key
    with landing(folder, quarantine) as incoming:
        manifest = Manifest.load(folder) or Manifest(folder, batch.source, batch.key, batch.kind)
        if is_there(folder):
            with storage_failures(folder):
                manifest.save()
        new = manifest.missing(batch.files)
        halt, meter = Halt(), Meter(new)
        rate = None if max_megabytes_per_s is None else max_megabytes_per_s * 1e6
        flow = Flow(meter, Throttle(rate, halt.sleep), halt)
        work = _Fetch(flow, batch, folder, quarantine, incoming).one
        crew = Crew(connect, new, max_connections, work, halt)

        def tell() -> None:
            if on_progress is not None:
                on_progress(meter.progress())

        manifest, missed = _written_down(crew, manifest, tell)
    if missed:
        raise _summary(batch, missed)
    return manifest


def _written_down(
    crew: Crew, manifest: Manifest, tell: Callable[[], None]
) -> tuple[Manifest, list[Transient]]:
    """What the crew brings, and misses; also when it is broken off, all that came is recorded."""
    with Journal(manifest.folder, manifest.about) as journal:
        try:
            for news in crew.news():
                journal.append([item for item in news if isinstance(item, Record)])
                tell()
        finally:
            news = crew.stopped()
            records = [item for item in news if isinstance(item, Record)]
            if records:
                manifest = manifest.with_records(records)
                with storage_failures(manifest.folder):
                    manifest.save()
    return manifest, [item.error for item in news if isinstance(item, Missed)]


def _summary(batch: Batch, failures: list[Transient]) -> Transient:
    unreachable = any(isinstance(failure, SourceUnreachable) for failure in failures)
    more = f" ({len(failures) - 1} more files of {batch.key} likewise)" if failures[1:] else ""
    return (SourceUnreachable if unreachable else TransferCut)(f"{failures[0]}{more}")


@dataclass(frozen=True, slots=True)
class _Fetch:
    """Downloads the files of one batch."""

    flow: Flow
    batch: Batch
    folder: Path
    quarantine: Path
    incoming: Path

    def one(
        self, line: Line, number: int, file: RemoteFile, deliver: Callable[[Record], None]
    ) -> Callable[[], None]:
        """Download and check one file. Raises `Transient` when it did not arrive.

        What is returned publishes or quarantines it.

        number : of a folder for what is unfinished, in which no other thread has anything
        """
        scratch = self.incoming / str(number)
        with storage_failures(scratch):
            scratch.mkdir(exist_ok=True)
        broken: set[str] = set()
        for _ in range(TRIES):
            received = self._received(line, file, scratch / "download.part")
            found = checked(received)
            if not isinstance(found.fault, BrokenFile) or found.bytes_are in broken:
                return lambda: self._land(received, found, deliver)
            broken.add(found.bytes_are)
            log.info("%s; asking for it once more, it may be the transfer's doing", found.fault)
        raise TransferCut(
            f"{spelled(file.path)} arrived broken {TRIES} times, each time with other bytes: "
            "the connection damages it, or it is still being written"
        )

    def _land(self, received: Download, found: Findings, deliver: Callable[[Record], None]) -> None:
        deliver(self._landed(received, found.whole, found.fault))
        self.flow.meter.finished(received.file, received.received)

    def _received(self, line: Line, file: RemoteFile, path: Path) -> Download:
        """The bytes; after a transient fault the rest of them, on a new connection."""
        retry = Retrying(
            stop=stop_after_attempt(TRIES),
            wait=wait_exponential(multiplier=0.5, max=8),
            retry=retry_if_exception_type(Transient)
            & retry_if_not_exception_type((StorageFailed, NotReady)),
            sleep=self.flow.halt.sleep,
            reraise=True,
        )
        with PartFile(path, file, self.flow) as part:
            return retry(download, line, part)

    def _landed(self, received: Download, whole: list[Whole], fault: Unusable | None) -> Record:
        """Let the good files of a download appear; quarantine it if not all of it is good."""
        files = tuple(self._appear(received, file) for file in whole)
        if fault is None:
            return self._record(received, Status.PUBLISHED, files=files)
        return self._quarantined(received, fault, files)

    def _appear(self, received: Download, file: Whole) -> LocalFile:
        with storage_failures(file.part):
            size_bytes = file.part.stat().st_size
            sha256 = received.sha256 if file.part == received.part else sha256_of(file.part)
        published = publish_version(file.part, self.folder, file.path, sha256)
        return LocalFile(str(published), size_bytes, sha256, file.vouched)

    def _quarantined(
        self, received: Download, reason: Unusable, files: tuple[LocalFile, ...]
    ) -> Record:
        record = self._record(received, Status.QUARANTINED, str(reason), files)
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
            listed_sha256=received.file.sha256,
        )
