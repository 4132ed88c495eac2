"""Files on the Pi that grow, change, come late or under a wrong clock; very many of them."""

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import Transient
from astro_assets.sources import fetch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.protocol import Confirmed, Confirming, Deleting
from astro_assets.sources.release import confirm_batch
from astro_assets_tests.faults.far import NIGHT, Far, PiFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.faults.test_ftp_listing import _CHILD
from astro_assets_tests.faults.test_ftp_transfer import large_frame
from astro_assets_tests.faults.test_sftp_transfer import bytes_until_download
from astro_assets_tests.sources.conftest import frame, put, sha256

CLOCKS = ["1970-01-01", "2036-02-08"]
ZONES = [timedelta(0), timedelta(hours=14), timedelta(hours=-14)]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "wait_exponential", lambda **_: lambda _: 0)


def bare(far: Far) -> Far:
    """A Pi without our program: what lies there counts."""
    far.options["manifest"] = False
    return far


def inodes(far: Far) -> dict[str, int]:
    raw = far.root / "raw"
    return {str(path): path.stat().st_ino for path in raw.rglob("*.fit*")}


@cells(17, "S", "D until it rests")
def test_a_file_that_grows(far: Far, cell: Cell) -> None:
    before = bytes_until_download(far)
    bare(far)
    whole = large_frame(1)
    path = far.put("1.fit", whole[:300_000])
    batches = far.look()
    put(far.file("1.fit"), whole[:600_000])
    (failure,) = far.fetch_batches(batches).failures
    assert isinstance(failure, Transient)
    assert "has changed since the look" in str(failure)
    put(far.file("1.fit"), whole[:900_000])
    batches = far.look()

    def grow() -> None:
        put(far.file("1.fit"), whole)

    far.proxy.faults.append(Fault("no-control", before + 100_000, then=grow))
    outcome = far.fetch_batches(batches)
    assert path not in {**outcome.published, **outcome.quarantined}
    assert outcome.failures
    assert far.fetch().published[path] == whole
    cell.saw("other than at the look, other than before the transfer: left; at rest it landed")


@cells(17, "S", "D until it rests")
def test_a_frame_that_the_manifest_does_not_have_yet(far: Far, cell: Cell) -> None:
    put(far.file("1.fit"), frame(1)[:4000])
    assert far.look() == []
    path = far.put("1.fit", frame(1))
    assert far.fetch().published == {path: frame(1)}
    cell.saw("not in the manifest: not there; once it is, it landed")


@cells(18, "S", "K")
@pytest.mark.parametrize("manifest", [True, False])
def test_a_writer_that_goes_on(far: Far, cell: Cell, manifest: bool) -> None:
    far.options["manifest"] = manifest
    short, long = large_frame(1), large_frame(1) + extension(2)
    path = far.put("1.fit", short)
    assert far.fetch().published == {path: short}
    assert far.put("1.fit", long) == path
    expected = {path: short, path.replace(".fit", "~2.fit"): long}
    for _ in range(2):
        outcome = far.fetch()
        assert (outcome.published, outcome.quarantined, outcome.failures) == (expected, {}, [])
    cell.saw(f"manifest = {manifest}: the longer one is a second version, the first one stays")


def extension(seed: int) -> bytes:
    """A further HDU, such as a slow writer adds."""
    pixels = np.random.default_rng(seed).integers(0, 30000, (40, 60), dtype=np.int16)
    written = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels)]).writeto(written)
    return written.getvalue()[2880:]


@cells(19, "S", "K by the manifest's hash")
def test_other_bytes_of_the_same_size_and_time(far: Far, cell: Cell) -> None:
    path = far.put("1.fit", frame(1))
    os.utime(far.file("1.fit"), (1e9, 1e9))
    assert far.fetch().published == {path: frame(1)}
    assert len(frame(2)) == len(frame(1))
    far.put("1.fit", frame(2))
    os.utime(far.file("1.fit"), (1e9, 1e9))
    expected = {path: frame(1), path.replace(".fit", "~2.fit"): frame(2)}
    assert far.fetch().published == expected
    cell.saw("another hash in the manifest: a second version beside the first")


@cells(22, "S", "<= 5 s, <= 300 MB")
@pytest.mark.parametrize("manifest", [True, False])
def test_a_hundred_thousand_entries(far: Far, cell: Cell, manifest: bool) -> None:
    far.options["manifest"] = manifest
    folder = far.served / NIGHT
    facts = {
        "IMAGETYP": "Light Frame", "OBJECT": "M 31", "INSTRUME": "ZWO ASI294MC", "EXPTIME": "10.0",
        "GAIN": "120", "OFFSET": "30", "CCD-TEMP": "-10.0", "XBINNING": "1", "YBINNING": "1",
    }  # fmt: skip
    begin = datetime(2026, 11, 20, 18, tzinfo=UTC)
    with (folder / "manifest.jsonl").open("w") as lines:
        for number in range(100_000):
            name = f"light-20261120T180000Z-{number:06d}.cr2"
            if manifest:
                moment = (begin + timedelta(seconds=number / 3)).isoformat()
                line = {
                    "file": name, "size": 8_000_000 + number, "sha256": f"{number:064x}",
                    "time": moment, "facts": {**facts, "DATE-OBS": moment},
                }  # fmt: skip
                lines.write(json.dumps(line) + "\n")
            else:
                os.close(os.open(folder / name, os.O_CREAT))
    assert far.settings.sources
    command = [sys.executable, "-c", _CHILD, str(far.settings.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    files, wall_s, used_s, peak_mb = json.loads(done.stdout)
    assert files == 100_000
    # The time of its own, which does not depend on what else the machine does.
    assert used_s <= 5
    assert peak_mb <= 300
    cell.saw(
        f"{files} {'lines' if manifest else 'files'} in {wall_s:.1f} s ({used_s:.1f} s of them "
        f"ours), {peak_mb:.0f} MB"
    )


@cells(25, "S", "nothing skipped")
@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("night", CLOCKS)
def test_a_clock_that_is_wrong(far: Far, cell: Cell, night: str, manifest: bool) -> None:
    assert isinstance(far, PiFar)
    far.options["manifest"] = manifest
    far.home = night
    moment = datetime.fromisoformat(f"{night}T00:00:00+00:00")
    expected: dict[str, bytes] = {}

    def add(name: str, seed: int, when: datetime) -> None:
        put(far.served / NIGHT / "empty", b"")
        path = put(far.served / night / name, frame(seed))
        os.utime(path, (when.timestamp(), when.timestamp()))
        line = {
            "file": name, "size": len(frame(seed)), "sha256": sha256(frame(seed)),
            "time": when.isoformat(), "facts": {"OBJECT": "M 31"},
        }  # fmt: skip
        with (far.served / night / "manifest.jsonl").open("a") as lines:
            lines.write(json.dumps(line) + "\n")
        expected[f"{night}/{name}"] = frame(seed)

    for number in range(3):
        add(f"{number}.fit", number, moment + timedelta(seconds=number))
    outcome = far.fetch()
    assert (outcome.published, outcome.failures) == (expected, [])
    before = inodes(far)
    add("late.fit", 9, moment)
    assert far.fetch().published == expected
    assert before.items() <= inodes(far).items(), "nothing is published again"
    cell.saw(
        f"all of {night}, and a later one of an earlier time, manifest = {manifest}: landed, once"
    )


@cells(25, "S", "nothing skipped")
@pytest.mark.parametrize("off", ZONES)
def test_a_zone_far_away(far: Far, cell: Cell, off: timedelta) -> None:
    assert isinstance(far, PiFar)
    hours = int(off / timedelta(hours=1))
    expected = {}
    for number in range(3):
        when = f"{NIGHT}T{number:02d}:00:00{hours:+03d}:00"
        expected[far.put(f"{number}.fit", frame(number), time=when)] = frame(number)
    assert far.fetch().published == expected
    before = inodes(far)
    expected[far.put("naive.fit", frame(8), time=f"{NIGHT}T00:00:00")] = frame(8)
    expected[far.put("none.fit", frame(9), time="")] = frame(9)
    assert far.fetch().published == expected
    assert before.items() <= inodes(far).items(), "nothing is published again"
    cell.saw(f"times {hours:+d} h off, without a zone, without a time: all landed, once")


@cells(26, "S", "picked up")
@pytest.mark.parametrize("manifest", [True, False])
def test_late_in_the_same_second(far: Far, cell: Cell, manifest: bool) -> None:
    far.options["manifest"] = manifest
    expected = {}
    for number in range(3):
        expected[far.put(f"{number}.fit", frame(number))] = frame(number)
        os.utime(far.file(f"{number}.fit"), (1e9, 1e9))
        assert far.fetch().published == expected
    cell.saw(f"manifest = {manifest}: files of one second that come one by one are all picked up")


def confirmations(far: Far) -> set[str]:
    file = far.served / NIGHT / "confirmed.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return {json.loads(line)["file"] for line in lines}


@cells(52, "S", "not deleted")
@pytest.mark.parametrize("change", ["bytes", "longer", "manifest", "gone", "replaced"])
def test_a_change_before_the_confirmation(far: Far, cell: Cell, change: str) -> None:
    """The Pi deletes by itself, and only what is confirmed: so nothing changed is confirmed."""
    assert isinstance(far, PiFar)
    for number in (1, 2):
        far.put(f"{number}.fit", frame(number))
    (batch,) = far.look()
    fetch_batch(far.connect, batch, far.store)
    assert confirmations(far) == set()
    file = far.file("1.fit")
    if change == "bytes":
        put(file, frame(3))
        os.utime(file, (2e9, 2e9))
    elif change == "longer":
        put(file, frame(1) + b"more")
    elif change == "manifest":
        far.put("1.fit", frame(1), sha256=sha256(frame(3)))
    elif change == "gone":
        file.unlink()
    else:
        put(file.with_name("new"), frame(3)).replace(file)
        os.utime(file, (2e9, 2e9))
    confirm_batch(far.connect, batch, far.store)
    assert confirmations(far) == {"2.fit"}
    assert not isinstance(far.connect(), Deleting)
    cell.saw(f"changed on the Pi ({change}): not confirmed, so it may not prune it; others were")


@cells(52, "S", "not deleted")
def test_a_confirmation_of_other_bytes(far: Far, cell: Cell) -> None:
    """Whatever is asked for: only what the manifest has is confirmed."""
    path = far.put("1.fit", frame(1))
    wrong = Confirmed(path, len(frame(1)), sha256(frame(2)))
    right = Confirmed(path, len(frame(1)), sha256(frame(1)))
    for told, expected in ((wrong, set()), (right, {"1.fit"})):
        with far.connect() as transport:
            assert isinstance(transport, Confirming)
            transport.confirm([told])
        assert confirmations(far) == expected
    cell.saw("another hash than the manifest's is not confirmed")


@cells(52, "S", "not deleted")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_a_connection_that_breaks_while_confirming(far: Far, cell: Cell, share: float) -> None:
    for number in range(5):
        far.put(f"{number}.fit", frame(number))
    (batch,) = far.look()
    fetch_batch(far.connect, batch, far.store)
    proxy = far.proxy
    confirm = partial(confirm_batch, far.connect, batch, far.store)
    file = far.served / NIGHT / "confirmed.jsonl"
    confirm()
    sent = proxy.connections[-1].received_bytes
    file.unlink()
    proxy.faults.append(Fault("reset", int(share * sent)))
    with pytest.raises(Transient):
        confirm()
    assert confirmations(far) in (set(), {f"{number}.fit" for number in range(5)})
    confirm()
    assert confirmations(far) == {f"{number}.fit" for number in range(5)}
    cell.saw(f"reset at {share:.0%} of the confirmation: all or nothing of it, all the next time")
