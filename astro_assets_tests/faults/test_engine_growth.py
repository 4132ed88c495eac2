"""Rows of files that change: growing, paused, fetched again, late by less than a second."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from astropy.io import fits

from astro_assets.errors import Transient
from astro_assets.sources import download, fetch
from astro_assets_tests.faults.far import Far, TelescopeOrgFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.sources.conftest import frame, job, put

THEN_S = 1_795_210_000


def longer(content: bytes) -> bytes:
    """The same file with one more extension: whole before, and whole after."""
    with fits.open(io.BytesIO(content)) as hdus:
        hdus.append(fits.ImageHDU(hdus[0].data, name="MORE"))
        written = io.BytesIO()
        hdus.writeto(written)
    return written.getvalue()


def grow(far: Far, name: str, content: bytes) -> None:
    """The writer goes on, and says so where it says anything."""
    far.put(name, content)
    os.utime(far.file(name), (THEN_S, THEN_S))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TRIES", 2)


@cells(17, "FV", "D until it rests")
@pytest.mark.usefixtures("quick")
def test_a_file_that_has_grown_since_it_was_listed_waits(far: Far, cell: Cell) -> None:
    good = far.put("good.fit", frame(2))
    path = far.put("grows.fit", frame(1))
    batches = far.look()
    with far.file("grows.fit").open("ab") as file:
        file.write(b"half of the next extension")
    outcome = far.fetch_batches(batches)
    assert outcome.published == {good: frame(2)}
    assert outcome.quarantined == {}
    assert [type(error).__mro__[1] for error in outcome.failures] == [Transient]
    cell.saw(str(outcome.failures[0]))
    grow(far, "grows.fit", longer(frame(1)))
    assert far.fetch().published == {good: frame(2), path: longer(frame(1))}
    cell.saw("whole once it rests")


@cells(17, "FV", "D until it rests")
@pytest.mark.usefixtures("quick")
def test_a_file_that_grows_while_it_is_transferred_waits(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = far.put("grows.fit", frame(1))
    (batch,) = far.look()
    write = download.PartFile.write

    def and_grows(self: download.PartFile, chunk: bytes) -> int:
        if far.file("grows.fit").stat().st_size < 2 * len(frame(1)):
            with far.file("grows.fit").open("ab") as file:
                file.write(b"more")
        return write(self, chunk)

    with monkeypatch.context() as patched:
        patched.setattr(download.PartFile, "write", and_grows)
        outcome = far.fetch_batches([batch])
    assert (outcome.published, outcome.quarantined) == ({}, {})
    cell.saw(str(outcome.failures[0]))
    grow(far, "grows.fit", longer(frame(1)))
    assert far.fetch().published == {path: longer(frame(1))}
    cell.saw("whole once it rests")


@cells(17, "S", "D until it rests")
def test_a_frame_that_the_pi_still_writes_waits(far: Far, cell: Cell) -> None:
    path = far.put("grows.fit", frame(1))
    manifest = far.file("manifest.jsonl")
    whole = manifest.read_text()
    for so_far in ("", whole[: len(whole) // 2], whole.rstrip("\n")):
        manifest.write_text(so_far)
        far.file("grows.fit").write_bytes(frame(1)[:4000])
        assert far.fetch().published == {}
        assert far.fetch().quarantined == {}
    cell.saw("not fetched before the Pi's manifest has its whole line")
    manifest.write_text(whole)
    far.file("grows.fit").write_bytes(frame(1))
    assert far.fetch().published == {path: frame(1)}


@cells(17, "H", "D until it rests")
def test_a_job_that_is_still_under_way_waits(far: Far, cell: Cell) -> None:
    assert isinstance(far, TelescopeOrgFar)
    far._entry |= {"status": 4, "completed_utc": None}
    path = far.put("B.fit", frame(1))
    assert far.look() == []
    cell.saw("a request in progress is no session yet")
    far._entry |= {"status": 8, "completed_utc": "2026-11-20T23:10:00+00:00"}
    far.put("V.fit", frame(2))
    assert far.fetch().published == {path: frame(1), far.path("V.fit"): frame(2)}


@cells(18, "VS", "K")
def test_a_writer_that_paused_gives_a_new_version(far: Far, cell: Cell) -> None:
    path = far.put("pauses.fit", frame(1))
    assert far.fetch().published == {path: frame(1)}
    grow(far, "pauses.fit", longer(frame(1)))
    outcome = far.fetch()
    second = path.replace(".fit", "~2.fit")
    assert outcome.published == {path: frame(1), second: longer(frame(1))}
    (manifest,) = outcome.manifests
    assert [frame.file.path for frame in manifest.frames()] == [second]
    cell.saw(f"{Path(path).name} and {Path(second).name}; the newest is reduced")


@cells(14, "FVHS", "the copy is intact")
@pytest.mark.usefixtures("quick")
def test_a_fetch_that_fails_leaves_the_good_copy(far: Far, cell: Cell) -> None:
    proxy = far.proxy
    path = far.put("a.fit", frame(1))
    assert far.fetch().published == {path: frame(1)}
    if isinstance(far, TelescopeOrgFar):
        # A finished job does not change; if it did, this is where one would see it.
        far._entry["completed_utc"] = "2026-11-20T23:59:00+00:00"
        shutil.rmtree(far.store.remembered(far.name))
    grow(far, "a.fit", longer(frame(1)))
    batches = far.look()
    faults = proxy.faults if proxy.host == "127.0.0.1" else proxy.data_faults
    faults.extend([Fault("reset", 3000)] * 9)
    outcome = far.fetch_batches(batches)
    assert outcome.published == {path: frame(1)}
    assert outcome.failures
    cell.saw(f"{outcome.failures[0]}; the old copy is as it was")
    faults.clear()
    outcome = far.fetch()
    assert outcome.published == {path: frame(1), path.replace(".fit", "~2.fit"): longer(frame(1))}


@cells(26, "HS", "picked up")
def test_a_late_file_of_the_very_same_second(far: Far, cell: Cell) -> None:
    first = far.put("first.fit", frame(1))
    os.utime(far.file("first.fit"), (THEN_S, THEN_S))
    assert far.fetch().published == {first: frame(1)}
    if isinstance(far, TelescopeOrgFar):
        number = far.jid + 500_000
        other = job(number, number) | {"completed_utc": far._entry["completed_utc"]}
        late = f"{number}/late.fit"
        put(far.served / late, frame(2))
        put(far.served / "jobs.json", json.dumps([far._entry, other]))
    else:
        late = far.put("late.fit", frame(2))
        os.utime(far.file("late.fit"), (THEN_S, THEN_S))
    assert far.fetch().published == {first: frame(1), late: frame(2)}
    cell.saw("there is no cursor by time: what is not on record is fetched")
