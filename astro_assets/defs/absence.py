"""A listing that lost most of what it had: told, never acted on.

What belongs here: how much each source listed, remembered in the instance for sensors and `sync`
alike. Nothing is inferred from absence; it may be a server's fault, and somebody should know.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from dagster import DagsterInstance

from astro_assets.settings import SourceSettings
from astro_assets.sources.batches import Batch
from astro_assets.steps.fetch import MayDelete
from astro_assets.store import Store

NEW_NORMAL = timedelta(days=1)
"""for so long it is told; then what is listed counts as what there is"""


def absence(
    source: SourceSettings,
    batches: Sequence[Batch],
    store: Store,
    instance: DagsterInstance,
    now_utc: datetime,
) -> str | None:
    """A sentence when a listing is empty, or less than half of the last good one, while we hold
    frames of its source; None when all is as usual.
    """
    files = sum(len(batch.files) for batch in batches)
    before, since = _remembered(source, instance)
    if before is None:
        before = 1 if _holds_batches(source, store) else 0
    emptied_by_us = isinstance(source, MayDelete) and source.delete_after_fetch
    usual = emptied_by_us or 2 * files >= before
    if usual or (since is not None and now_utc - since >= NEW_NORMAL):
        _remember(source, instance, files, None)
        return None
    if not _holds_batches(source, store):
        return None
    _remember(source, instance, before, since or now_utc)
    there = f"{files} files" if files else "nothing"
    return (
        f"{source.name} lists {there} where it listed {before} or more before, and frames of it "
        "are here: nothing is taken for deleted; if they should be there, look at the source"
    )


def _holds_batches(source: SourceSettings, store: Store) -> bool:
    return any((store.root / "raw" / source.name).glob("*/manifest.json"))


def _key(source: SourceSettings) -> str:
    return f"astro_assets/listed/{source.name}"


def _remembered(
    source: SourceSettings, instance: DagsterInstance
) -> tuple[int | None, datetime | None]:
    """How many files the last usual listing had, and since when there are fewer."""
    key = _key(source)
    text = instance.daemon_cursor_storage.get_cursor_values({key}).get(key)
    if text is None:
        return None, None
    content = json.loads(text)
    since = content["fewer_since"]
    return content["files"], datetime.fromisoformat(since) if since else None


def _remember(
    source: SourceSettings, instance: DagsterInstance, files: int, since: datetime | None
) -> None:
    if _remembered(source, instance) == (files, since):
        return
    text = json.dumps({"files": files, "fewer_since": since and since.isoformat()})
    instance.daemon_cursor_storage.set_cursor_values({_key(source): text})
