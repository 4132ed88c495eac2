"""FTP downloads that are cut, stall, are refused, or change on the way."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import LoginRefused, SourceUnreachable, Transient
from astro_assets.sources import fetch, ftp_client
from astro_assets_tests.faults.far import Far, Outcome
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.faults.scripted import TITLE, Scripted, scripted
from astro_assets_tests.sources.conftest import frame


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "wait_exponential", lambda **_: lambda _: 0)


@pytest.fixture
def script(where: str, cell: Cell, tmp_path: Path) -> Iterator[Scripted]:
    """A scripted server with two frames."""
    cell.server = TITLE
    with scripted(where, tmp_path) as made:
        made.put("1.fit", frame(1))
        made.put("2.fit", frame(2))
        yield made


def large_frame(seed: int) -> bytes:
    """Many TLS records long: 960 KB."""
    pixels = np.random.default_rng(seed).integers(0, 65535, (600, 800), dtype=np.uint16)
    hdu = fits.PrimaryHDU(pixels)
    return hdu.header.tostring().encode() + _padded(hdu)


def _padded(hdu: fits.PrimaryHDU) -> bytes:
    raw = (hdu.data.astype(np.int32) - 32768).astype(">i2").tobytes()
    return raw + bytes(-len(raw) % 2880)


def both(far: Far) -> dict[str, bytes]:
    return {far.path("1.fit"): frame(1), far.path("2.fit"): frame(2)}


def whole(outcome: Outcome, far: Far) -> bool:
    """Whether both frames arrived, and nothing else happened."""
    return (outcome.published, outcome.quarantined, outcome.failures) == (both(far), {}, [])


@cells(1, "FV", "R")
@pytest.mark.parametrize("fault", ["short", "half"])
def test_short_with_226(script: Scripted, cell: Cell, fault: str) -> None:
    script.script.faults[script.absolute("1.fit")] = [fault]
    assert whole(script.far.fetch(), script.far)
    assert script.script.retrieved[script.absolute("1.fit")] == 2
    cell.saw(f"{fault} body and 226: asked again, exact bytes")


@cells(2, "F", "R")
def test_end_without_goodbye(far: Far, cell: Cell) -> None:
    content = large_frame(1)
    far.put("1.fit", content)
    proxy = far.proxy
    (batch,) = far.look()
    # The very end of the stream: all data, but not the good-bye of TLS after them.
    proxy.data_faults.append(Fault("close", len(content) // 2))
    outcome = far.fetch_batches([batch])
    assert (outcome.published, outcome.failures) == ({far.path("1.fit"): content}, [])
    cell.saw("end of the connection in the middle: a cut, asked again, exact bytes")


@cells(2, "F", "R")
def test_no_size_and_no_goodbye(script: Scripted, cell: Cell) -> None:
    """Where no length is told, nothing but the missing good-bye tells of the missing half."""
    (batch,) = script.far.look()
    unknown = replace(batch, files=tuple(replace(f, size_bytes=None) for f in batch.files))
    # Twice: what is broken by itself would be quarantined by then.
    script.script.faults[script.absolute("1.fit")] = ["no-goodbye"] * 2
    assert whole(script.far.fetch_batches([unknown]), script.far)
    assert script.script.retrieved[script.absolute("1.fit")] == 3
    cell.saw("half of a file of unknown length, no good-bye: asked again, exact bytes")


@cells(3, "FV", "R")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_reset(far: Far, cell: Cell, share: float) -> None:
    content = large_frame(1)
    far.put("1.fit", content)
    proxy = far.proxy
    batches = far.look()
    proxy.data_faults.append(Fault("reset", int(share * len(content))))
    outcome = far.fetch_batches(batches)
    assert (outcome.published, outcome.failures) == ({far.path("1.fit"): content}, [])
    assert sum(seen.fault.what == "reset" for seen in proxy.connections) == 1
    cell.saw(f"reset at {share:.0%}: went on on a new connection, exact bytes")


@cells(4, "FV", "time-out <= 60 s, R")
@pytest.mark.parametrize("silent", ["data", "listing", "greeting"])
def test_silence(far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch, silent: str) -> None:
    assert max(ftp_client.DATA_TIMEOUT_S, ftp_client.LISTING_TIMEOUT_S) <= 60
    content = large_frame(1)
    far.put("1.fit", content)
    proxy = far.proxy
    batches = far.look()
    monkeypatch.setattr(ftp_client, "DATA_TIMEOUT_S", 0.5)
    monkeypatch.setattr(ftp_client, "LISTING_TIMEOUT_S", 0.5)
    if silent == "data":
        proxy.data_faults.append(Fault("stall", len(content) // 2))
    else:
        faults = proxy.faults if silent == "greeting" else proxy.data_faults
        faults.append(Fault("stall", 10))
        (failure,) = far.fetch().failures
        assert "in time" in str(failure)
        assert isinstance(failure, Transient)
    outcome = far.fetch_batches(batches)
    assert (outcome.published, outcome.failures) == ({far.path("1.fit"): content}, [])
    seconds = ftp_client.DATA_TIMEOUT_S if silent == "data" else ftp_client.LISTING_TIMEOUT_S
    cell.saw(f"silence of the {silent}: time-out, here after {seconds} s, then exact bytes")


@cells(5, "FV", "R")
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_control_dies_and_data_live(far: Far, cell: Cell, share: float) -> None:
    content = large_frame(1)
    far.put("1.fit", content)
    proxy = far.proxy
    batches = far.look()
    logins = sum(seen.port == proxy.target for seen in proxy.connections)
    proxy.data_faults.append(Fault("no-control", int(share * len(content)) or 1))
    outcome = far.fetch_batches(batches)
    assert (outcome.published, outcome.failures) == ({far.path("1.fit"): content}, [])
    assert sum(seen.port == proxy.target for seen in proxy.connections) == logins + 2
    cell.saw(f"control reset at {share:.0%} of the data: a new log-in, exact bytes")


@cells(5, "FV", "R")
def test_no_226(script: Scripted, cell: Cell) -> None:
    script.script.faults[script.absolute("1.fit")] = ["no-226"]
    assert whole(script.far.fetch(), script.far)
    assert script.count(b"PASS") == 3, "one for the look, two for the files"
    cell.saw("all the data, then no reply: a new log-in, exact bytes")


@cells(6, "FV", "R")
@pytest.mark.parametrize(
    "reply",
    ["421 good-bye", "425 no data connection", "426 cut", "450 busy", "522 no session", "530 who?"],
)
def test_replies_that_pass(script: Scripted, cell: Cell, reply: str) -> None:
    # Twice: a file that is at fault itself would be quarantined by then.
    script.script.faults[script.absolute("1.fit")] = [reply] * 2
    assert whole(script.far.fetch(), script.far)
    cell.saw(f"{reply[:3]} to RETR: asked again on a new connection, exact bytes")


@cells(6, "FV", "Q")
def test_a_file_that_is_refused(script: Scripted, cell: Cell) -> None:
    script.script.faults[script.absolute("1.fit")] = ["550 not for you"] * 2
    outcome = script.far.fetch()
    assert outcome.published == {script.far.path("2.fit"): frame(2)}
    assert "550 not for you" in outcome.quarantined[script.far.path("1.fit")]
    assert outcome.failures == []
    cell.saw("550: noted with the reply, the other one landed")


@cells(6, "FV", "530 asked once")
def test_a_login_that_is_refused(script: Scripted, cell: Cell) -> None:
    script.script.login_reply = "530 who are you?"
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, LoginRefused)
    assert script.count(b"PASS") == 1
    script.script.login_reply = "230 come in"
    batches = script.far.look()
    script.script.login_reply = "530 who are you?"
    (failure,) = script.far.fetch_batches(batches).failures
    assert isinstance(failure, LoginRefused)
    assert script.count(b"PASS") == 3, "one for each look, one for the fetch"
    cell.saw("530: one PASS for the look, one for the fetch")


@cells(6, "FV", "R")
def test_a_login_put_off(script: Scripted, cell: Cell) -> None:
    script.script.login_reply = "421 too many of you"
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, SourceUnreachable)
    script.script.login_reply = "230 come in"
    assert whole(script.far.fetch(), script.far)
    cell.saw("421 at the log-in: unreachable for now, all at the next look")


@cells(12, "FV", "starts at 0")
def test_going_on_with_a_file_that_changed(far: Far, cell: Cell) -> None:
    old, new = large_frame(1), large_frame(2)
    path = far.put("1.fit", old)
    proxy = far.proxy
    batches = far.look()
    half = Fault("reset", len(old) // 2)
    proxy.data_faults.append(half)
    assert far.fetch_batches(batches).published == {path: old}
    assert proxy.connections[-1].received_bytes < 0.6 * len(old), "only the rest was sent"

    changed = far.put("2.fit", old)
    batches = far.look()

    def change() -> None:
        far.put("2.fit", new)
        os.utime(far.file("2.fit"), (2e9, 2e9))

    proxy.data_faults.append(Fault("reset", len(old) // 2, then=change))
    outcome = far.fetch_batches(batches)
    assert outcome.published[changed] == new, "no mixture of both"
    assert proxy.connections[-1].received_bytes >= len(new)
    cell.saw("unchanged: only the rest is sent; changed: all of the new one from its start")


@cells(12, "FV", "starts at 0")
def test_a_server_that_does_not_go_on(script: Scripted, cell: Cell) -> None:
    script.script.rest_reply = "502 no"
    path = script.absolute("1.fit")
    script.script.faults[path] = ["hang-up"]
    assert whole(script.far.fetch(), script.far)
    assert script.count(b"REST") == 1
    assert script.script.sent_bytes[path] == len(frame(1)) // 2 + len(frame(1))
    cell.saw("REST refused: from the start, exact bytes")


@cells(12, "FV", "starts at 0")
def test_a_server_that_tells_no_times(script: Scripted, cell: Cell) -> None:
    script.script.mdtm = False
    script.script.faults[script.absolute("1.fit")] = ["hang-up"]
    assert whole(script.far.fetch(), script.far)
    assert script.count(b"REST") == 0
    cell.saw("no MDTM, so no telling whether it changed: from the start, exact bytes")


@cells(15, "FV", "no empty file")
def test_listed_but_unreadable(far: Far, cell: Cell) -> None:
    far.put("1.fit", frame(1))
    far.put("2.fit", frame(2))
    far.file("1.fit").chmod(0)
    outcome = far.fetch()
    assert outcome.published == {far.path("2.fit"): frame(2)}
    assert "is not handed over" in outcome.quarantined[far.path("1.fit")]
    assert (outcome.failures, far.kept()) == ([], [])
    far.file("1.fit").chmod(0o644)
    assert whole(far.fetch(), far)
    cell.saw("noted with the server's reply, no file; once it may be read it landed")


@cells(15, "FV", "no empty file")
@pytest.mark.parametrize("mode", [0o000, 0o711], ids=["closed", "not to be read"])
def test_a_folder_that_is_closed(
    far: Far, cell: Cell, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = far.put("1.fit", frame(1))
    closed = far.file("1.fit").parent.parent / "closed"
    closed.mkdir()
    closed.chmod(mode)
    outcome = far.fetch()
    closed.chmod(0o755)
    assert (outcome.published, outcome.failures) == ({path: frame(1)}, [])
    assert "closed' is closed to us and left out" in caplog.text
    cell.saw(f"a folder of mode {mode:03o}: told in the log, the others landed")


@cells(20, "FV", "noted, the others land")
def test_gone_after_the_listing(far: Far, cell: Cell) -> None:
    far.put("1.fit", frame(1))
    far.put("2.fit", frame(2))
    batches = far.look()
    far.file("1.fit").unlink()
    outcome = far.fetch_batches(batches)
    assert outcome.published == {far.path("2.fit"): frame(2)}
    assert outcome.failures == []
    reason = outcome.quarantined[far.path("1.fit")]
    assert "is not handed over" in reason
    far.put("1.fit", frame(1))
    assert whole(far.fetch(), far)
    cell.saw("noted with the server's reply, the other one landed; when back, it landed too")
