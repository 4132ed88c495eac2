"""Rows of neighbours and of deletion: what is broken or gone harms nobody else, and what changed
at its source stays there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from astro_assets.sources.batches import Batch
from astro_assets.sources.release import Released, confirm_batch, delete_batch
from astro_assets_tests.faults.far import Far, TelescopeOrgFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame


@cells(16, "FVHS", "99 land")
def test_one_poisoned_among_a_hundred(far: Far, cell: Cell) -> None:
    good = {far.put(f"{n:02d}.fit", frame(n)): frame(n) for n in range(100) if n != 42}
    bad = far.put("42.fit", frame(42)[:5000])
    outcome = far.fetch()
    assert outcome.published == good
    assert far.kept() != []
    (where,) = outcome.quarantined
    assert where == (far.job if isinstance(far, TelescopeOrgFar) else bad)
    assert outcome.failures == []
    cell.saw(f"99 published, quarantined: {outcome.quarantined[where]}")


@cells(20, "S", "noted, the others land")
def test_a_file_that_is_gone_after_the_listing(far: Far, cell: Cell) -> None:
    good = far.put("good.fit", frame(1))
    gone = far.put("gone.fit", frame(2))
    batches = far.look()
    far.file("gone.fit").unlink()
    outcome = far.fetch_batches(batches)
    assert outcome.published == {good: frame(1)}
    assert far.kept() == [], "no empty file in its place"
    cell.saw(outcome.quarantined[gone])


def listed(far: Far) -> Batch:
    (batch,) = far.look()
    return batch


def deleted(far: Far, batch: Batch, look: Callable[[], Batch | None]) -> Released:
    return delete_batch(far.connect, batch, far.store, look)


def rewritten(file: Path) -> None:
    file.write_bytes(frame(98))
    os.utime(file, (1, 1))


def grown(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")


def as_if_untouched(file: Path) -> None:
    """Other bytes with the size and time of the old."""
    status = file.stat()
    file.write_bytes(frame(98))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@cells(52, "V", "not deleted")
@pytest.mark.parametrize("change", [rewritten, grown, as_if_untouched])
def test_what_changed_after_the_fetch_is_not_deleted(
    far: Far, cell: Cell, change: Callable[[Path], None]
) -> None:
    far.put("stays.fit", frame(1))
    far.put("goes.fit", frame(2))
    batch = listed(far)
    far.fetch_batches([batch])
    change(far.file("stays.fit"))
    changed = far.file("stays.fit").read_bytes()
    released = deleted(far, batch, lambda: batch)
    assert far.file("stays.fit").read_bytes() == changed
    assert not far.file("goes.fit").exists()
    assert released.deleted == 1
    cell.saw(released.notes[0])


@cells(52, "V", "not deleted")
@pytest.mark.parametrize("change", [rewritten, grown])
def test_what_changes_after_the_second_download_is_not_deleted(
    far: Far, cell: Cell, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look right before the deletion sees it."""
    far.put("stays.fit", frame(1))
    batch = listed(far)
    far.fetch_batches([batch])

    def look() -> Batch:
        change(far.file("stays.fit"))
        return batch

    released = deleted(far, batch, look)
    assert released.deleted == 0
    assert far.file("stays.fit").exists()
    cell.saw(released.notes[0])


@cells(52, "V", "not deleted")
def test_a_session_that_goes_on_is_not_deleted(far: Far, cell: Cell) -> None:
    far.put("1.fit", frame(1))
    batch = listed(far)
    far.fetch_batches([batch])
    far.put("2.fit", frame(2))
    released = deleted(far, batch, lambda: listed(far))
    assert far.file("1.fit").exists()
    cell.saw(released.notes[0])
    batch = listed(far)
    far.fetch_batches([batch])
    assert deleted(far, batch, lambda: listed(far)) == Released(deleted=2)
    assert far.look() == []
    assert far.outcome().published.keys() == {far.path("1.fit"), far.path("2.fit")}
    (manifest,) = far.outcome().manifests
    assert all(record.released_utc is not None for record in manifest.records)
    cell.saw("once it rests, both go, and that is recorded")


def confirmed(far: Far) -> list[str]:
    file = far.file("confirmed.jsonl")
    lines = file.read_text().splitlines() if file.exists() else []
    return sorted(json.loads(line)["file"] for line in lines)


@cells(52, "S", "not deleted")
def test_what_changed_on_the_pi_is_not_confirmed(far: Far, cell: Cell) -> None:
    """The Pi prunes what is confirmed, and nothing else."""
    for number in range(4):
        far.put(f"{number}.fit", frame(number))
    batch = listed(far)
    far.fetch_batches([batch])
    as_if_untouched(far.store.raw(far.name, batch.key) / far.path("0.fit"))
    grown(far.file("1.fit"))
    far.put("2.fit", frame(97))
    released = confirm_batch(far.connect, batch, far.store)
    assert confirmed(far) == ["3.fit"]
    cell.saw(f"confirmed: 1 of 4; {released.notes[0]}")


@cells(52, "S", "not deleted")
def test_what_is_quarantined_is_not_confirmed(far: Far, cell: Cell) -> None:
    far.put("0.fit", frame(0))
    far.put("1.fit", frame(1)[:4000])
    batch = listed(far)
    outcome = far.fetch_batches([batch])
    confirm_batch(far.connect, batch, far.store)
    assert outcome.quarantined
    assert confirmed(far) == ["0.fit"]
    cell.saw("nor what is quarantined")
