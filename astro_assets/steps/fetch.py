"""Raw frames: what a source holds of one batch, brought here whole; and let go of over there."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from astro_assets.errors import AstroAssetsError, NothingToDo
from astro_assets.settings import Settings, SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import Progress, fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.release import Released, confirm_batch, delete_batch
from astro_assets.steps.quarantine import as_rows, set_aside
from astro_assets.steps.summary import Summary
from astro_assets.store import Store

TELL_EVERY_S = 5.0
"""A line in the log, at most; and one at the end."""


@runtime_checkable
class MayDelete(Protocol):
    """Settings of a source that can be told to delete what was fetched."""

    @property
    def delete_after_fetch(self) -> bool: ...


Watch = Callable[[Progress], None]
"""shows how far a fetch is"""


def fetch_raw(
    settings: Settings,
    source: SourceSettings,
    key: str,
    log: Callable[[str], None],
    watch: Watch | None = None,
) -> Summary:
    """Fetch what is new of the batch ``key``; what is here already is left alone.

    watch : told a few times a second, for a terminal; ``log`` gets some lines of the same figures

    Raises
    ------
    NothingToDo : the source holds no such batch, and neither do we
    Transient, Permanent : as the transport says; what had arrived is kept
    """
    store = Store(settings.root)
    folder = store.raw(source.name, key)
    batch = _listed(settings, source, key)
    released = Released()
    if batch is not None:
        manifest: Manifest | None = fetch_batch(
            partial(connect, source, settings.secrets),
            batch,
            store,
            _both(teller(log), watch),
            max_connections=source.max_connections,
            max_megabytes_per_s=source.max_megabytes_per_s,
        )
        released = _released(settings, source, batch, store)
    else:
        manifest = Manifest.load(folder)
    if manifest is None:
        raise NothingToDo(
            f"{source.name} holds no files for {key} any more, and none were fetched before"
        )
    kept = set_aside(store, source.name, key)
    return replace(_summary(manifest, folder, batch, released), rows=as_rows(kept))


def _both(tell: Watch, watch: Watch | None) -> Watch:
    def both(progress: Progress) -> None:
        tell(progress)
        if watch is not None:
            watch(progress)

    return both


def _listed(settings: Settings, source: SourceSettings, key: str) -> Batch | None:
    return next((batch for batch in look(source, settings) if batch.key == key), None)


def _released(settings: Settings, source: SourceSettings, batch: Batch, store: Store) -> Released:
    """Confirm, or delete if that is wished for. The fetch has succeeded, whatever comes of it."""
    link = partial(connect, source, settings.secrets)
    try:
        if isinstance(source, MayDelete) and source.delete_after_fetch:
            again = partial(_listed, settings, source, batch.key)
            return delete_batch(link, batch, store, again, source.max_megabytes_per_s)
        return confirm_batch(link, batch, store)
    except AstroAssetsError as error:
        return Released(notes=(f"{error}; {source.name} keeps what it has for now",))


def teller(
    log: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Callable[[Progress], None]:
    """Make a few lines of a fetch's many reports."""
    told_at, told_all = clock(), False

    def tell(progress: Progress) -> None:
        nonlocal told_at, told_all
        over = progress.files_done == progress.files
        if (over and not told_all) or (not over and clock() - told_at >= TELL_EVERY_S):
            told_at, told_all = clock(), over
            log(sentence(progress))

    return tell


def sentence(progress: Progress) -> str:
    """``3 of 10 files, 12.3 of 45.0 MB, 8.1 MB/s, 0:04 left: name``."""
    parts = [
        f"{progress.files_done} of {progress.files} files",
        f"{progress.bytes_done / 1e6:.1f} of {progress.bytes_total / 1e6:.1f} MB",
        f"{progress.bytes_per_s / 1e6:.1f} MB/s",
    ]
    if progress.left_s:
        minutes, seconds = divmod(round(progress.left_s), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    return f"{', '.join(parts)}: {progress.current}"


def _summary(manifest: Manifest, folder: Path, batch: Batch | None, released: Released) -> Summary:
    frames = list(manifest.frames())
    quarantined = manifest.quarantined
    return Summary(
        figures={
            "frames": len(frames),
            "listed": len(batch.files) if batch else 0,
            "quarantined": len(quarantined),
            "size_mb": round(manifest.size_bytes / 1e6, 1),
            "reasons": "; ".join(f"{r.path}: {r.reason}" for r in quarantined) or "none",
            "confirmed": released.confirmed,
            "deleted_at_source": released.deleted,
        },
        digest=manifest.digest,
        path=folder,
        unusable=tuple(r.reason for r in quarantined),
        remarks=released.notes,
    )
