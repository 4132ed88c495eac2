"""Raw frames: what a source holds of one batch, brought here whole."""

from collections.abc import Callable
from pathlib import Path

from astro_assets.errors import NothingToDo
from astro_assets.settings import Settings, SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.fetch import Progress, fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.sources.manifest import Manifest
from astro_assets.steps.summary import Summary
from astro_assets.store import Store


def fetch_raw(
    settings: Settings, source: SourceSettings, key: str, log: Callable[[str], None]
) -> Summary:
    """Fetch what is new of the batch ``key``; what is here already is left alone.

    Raises
    ------
    NothingToDo : the source holds no such batch, and neither do we
    Transient, Permanent : as the transport says; what had arrived is kept
    """
    store = Store(settings.root)
    batch = next((b for b in look(source, settings) if b.key == key), None)
    if batch is not None:
        manifest = fetch_batch(
            lambda: connect(source, settings.secrets), batch, store, _teller(log)
        )
    else:
        known = Manifest.load(store.raw(source.name, key))
        if known is None:
            raise NothingToDo(
                f"{source.name} holds no files for {key} any more, and none were fetched before"
            )
        manifest = known
    return _summary(manifest, store.raw(source.name, key), batch)


def _teller(log: Callable[[str], None]) -> Callable[[Progress], None]:
    told = 0

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.files_done == told:
            return
        told = progress.files_done
        log(
            f"{progress.files_done} of {progress.files} files, "
            f"{progress.bytes_done / 1e6:.1f} MB: {progress.current}"
        )

    return tell


def _summary(manifest: Manifest, folder: Path, batch: Batch | None) -> Summary:
    frames = list(manifest.frames())
    quarantined = manifest.quarantined
    return Summary(
        figures={
            "frames": len(frames),
            "listed": len(batch.files) if batch else 0,
            "quarantined": len(quarantined),
            "size_mb": round(manifest.size_bytes / 1e6, 1),
            "reasons": "; ".join(f"{r.path}: {r.reason}" for r in quarantined) or "none",
        },
        digest=manifest.digest,
        path=folder,
        unusable=tuple(r.reason for r in quarantined),
    )
