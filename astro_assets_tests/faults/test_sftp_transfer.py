"""SFTP downloads that are cut, stall, are refused, or change on the way."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import paramiko
import pytest

from astro_assets.errors import IdentityRefused, Transient
from astro_assets.settings import PiSource
from astro_assets.sources import fetch, sftp, ssh, ssh_transport
from astro_assets.sources.known_hosts import trust
from astro_assets_tests.faults.far import NIGHT, Far, PiFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.proxy import Fault
from astro_assets_tests.faults.scripted_sftp import TITLE, scripted_pi
from astro_assets_tests.faults.servers.process import HOST, IS_ROOT, Running, version
from astro_assets_tests.faults.test_ftp_transfer import both, large_frame, whole
from astro_assets_tests.sources.conftest import frame, put
from astro_assets_tests.sources.sshd import Sshd, sshd


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "wait_exponential", lambda **_: lambda _: 0)


def as_far(server: Sshd, folder: Path) -> PiFar:
    """A far side on a server of the test's own."""
    more = {
        "user": server.user,
        "key_file": str(server.folder / "user_key"),
        "host_key": server.public(),
    }
    title = f"OpenSSH {version([server.program, '-V'], r'OpenSSH_([0-9.p]+)')}"
    return PiFar(Running(title, HOST, server.port, server.root, more=more), folder)


def bytes_until_download(far: Far) -> int:
    """How much the server sends before the first byte of a file: keys, log-in, status."""
    far.put("small.fit", frame(7))
    proxy = far.proxy
    batches = far.look()
    assert far.fetch_batches(batches).failures == []
    return proxy.connections[-1].received_bytes - len(frame(7))


@cells(3, "S", "R")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_reset(far: Far, cell: Cell, share: float) -> None:
    before = bytes_until_download(far)
    content = large_frame(1)
    path = far.put("1.fit", content)
    proxy = far.proxy
    batches = far.look()
    looked = len(proxy.connections)
    proxy.faults.append(Fault("reset", int(before + share * len(content)) if share else 0))
    outcome = far.fetch_batches(batches)
    assert (outcome.published[path], outcome.failures) == (content, [])
    broken, again = proxy.connections[looked:]
    assert broken.fault.what == "reset"
    if share > 0.1:
        # What is not whole of an answer is asked for again.
        rest = (1 - share) * len(content) + 255 * 1024
        assert again.received_bytes < before + rest + 10_000, "only the rest"
    cell.saw(f"reset at {share:.0%}: went on on a new connection, exact bytes")


def hurried(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    limits: list[tuple[ModuleType, str]] = [
        (sftp, "DATA_TIMEOUT_S"), (sftp, "LISTING_TIMEOUT_S"), (sftp, "CONNECT_TIMEOUT_S"),
        (ssh, "CONNECT_TIMEOUT_S"), (ssh_transport, "CONNECT_TIMEOUT_S"),
    ]  # fmt: skip
    for module, name in limits:
        assert getattr(module, name) <= 60
        monkeypatch.setattr(module, name, seconds)


@cells(4, "S", "time-out <= 60 s, R")
def test_silence_in_the_middle_of_a_file(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bytes_until_download(far)
    content = large_frame(1)
    path = far.put("1.fit", content)
    batches = far.look()
    monkeypatch.setattr(sftp, "DATA_TIMEOUT_S", 0.5)
    far.proxy.faults.append(Fault("stall", before + len(content) // 2))
    outcome = far.fetch_batches(batches)
    assert (outcome.published[path], outcome.failures) == (content, [])
    cell.saw("silence in the middle of a file: time-out, here after 0.5 s, then exact bytes")


@cells(4, "S", "time-out <= 60 s, R")
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99])
def test_silence_anywhere_in_a_look(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """From the first byte of the dialogue to the last: keys, log-in, channel, listing."""
    path = far.put("1.fit", frame(1))
    proxy = far.proxy
    assert far.look()
    sent = proxy.connections[-1].received_bytes
    with monkeypatch.context() as patched:
        hurried(patched, 1)
        proxy.faults.append(Fault("stall", int(share * sent)))
        (failure,) = far.fetch().failures
    assert isinstance(failure, Transient)
    assert far.fetch().published == {path: frame(1)}
    cell.saw(f"silence after {share:.0%} of a look: an error, not an empty listing; then all")


@cells(4, "S", "time-out <= 60 s, R")
def test_silence_when_files_are_asked_for(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right before the one answer that `paramiko` itself awaits for ever."""
    path = far.put("1.fit", frame(1))
    proxy = far.proxy
    invoke = paramiko.Channel.invoke_subsystem
    sent = []

    def noted(channel: paramiko.Channel, subsystem: str) -> None:
        time.sleep(0.1)  # until the proxy has counted
        sent.append(proxy.connections[-1].received_bytes)
        invoke(channel, subsystem)

    with monkeypatch.context() as patched:
        patched.setattr(paramiko.Channel, "invoke_subsystem", noted)
        assert far.look()
    with monkeypatch.context() as patched:
        hurried(patched, 1)
        proxy.faults.append(Fault("stall", sent[0]))
        (failure,) = far.fetch().failures
    assert isinstance(failure, Transient)
    assert far.fetch().published == {path: frame(1)}
    cell.saw("silence as files are asked for: time-out, told; then all")


@cells(7, "S", "Q")
def test_more_than_the_manifest_says(far: Far, cell: Cell) -> None:
    assert isinstance(far, PiFar)
    path = far.put("1.fit", frame(1), size=len(frame(1)) - 1)
    good = far.put("2.fit", frame(2))
    outcome = far.fetch()
    assert outcome.published == {good: frame(2)}
    assert f"sends {len(frame(1))} bytes where" in outcome.quarantined[path]
    assert far.kept() == [frame(1)]
    cell.saw(f"quarantined with its bytes: {outcome.quarantined[path].split(': ')[0]}")
    far.put("1.fit", frame(1))
    assert far.fetch().published == {good: frame(2), path: frame(1)}
    cell.saw("once the manifest was right it landed")


@cells(12, "S", "starts at 0")
@pytest.mark.parametrize("manifest", [True, False])
def test_going_on_with_a_file_that_changed(far: Far, cell: Cell, manifest: bool) -> None:
    before = bytes_until_download(far)
    far.options["manifest"] = manifest
    old, new = large_frame(1), large_frame(2)
    path = far.put("1.fit", old)
    os.utime(far.file("1.fit"), (1e9, 1e9))
    batches = far.look()

    def change() -> None:
        far.put("1.fit", new)  # of the same length
        os.utime(far.file("1.fit"), (2e9, 2e9))

    far.proxy.faults.append(Fault("reset", before + len(old) // 2, then=change))
    outcome = far.fetch_batches(batches)
    if manifest:
        # Whole, but not what the manifest said when it was read.
        assert "SHA-256 differs" in outcome.quarantined[path]
        assert far.kept() == [new], "no mixture of both"
        assert far.fetch().published[path] == new
    else:
        assert outcome.published[path] == new, "no mixture of both"
    assert far.proxy.connections[-1].received_bytes >= len(new)
    cell.saw(f"changed, manifest = {manifest}: all of the new one from its start, no mixture")


@cells(13, "S", "time-out, Q")
@pytest.mark.parametrize("more", [5000, -5000])
def test_a_status_that_lies(cell: Cell, tmp_path: Path, where: str, more: int) -> None:
    """The manifest agrees with the lie, for the first file; with the bytes, for the second."""
    cell.server = TITLE
    with scripted_pi(tmp_path) as (far, lies):
        lies.sizes = {"1.fit": more, "2.fit": more}
        wrong = far.put("1.fit", frame(1), size=len(frame(1)) + more)
        right = far.put("2.fit", frame(2))
        outcome = far.fetch()
        assert outcome.failures == []
        assert outcome.published == {right: frame(2)}
        assert f"{len(frame(1))} bytes where" in outcome.quarantined[wrong]
        assert far.kept() == [frame(1)]
    cell.saw(
        f"{more:+d} bytes: read to the real end, no hang; quarantined where the manifest has the "
        "same size, published where manifest and hash have the real one"
    )


@cells(13, "S", "time-out, Q")
def test_silence_behind_the_real_end(
    cell: Cell, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell.server = TITLE
    with scripted_pi(tmp_path) as (far, lies):
        lies.sizes, lies.silent = {"1.fit": 5000}, {"1.fit"}
        path = far.put("1.fit", frame(1), size=len(frame(1)) + 5000)
        good = far.put("2.fit", frame(2))
        batches = far.look()
        monkeypatch.setattr(sftp, "DATA_TIMEOUT_S", 0.3)
        outcome = far.fetch_batches(batches)
        assert outcome.published == {good: frame(2)}
        (failure,) = outcome.failures
        assert "does not answer in time" in str(failure)
        lies.silent.clear()
        assert "bytes where" in far.fetch().quarantined[path]
    cell.saw("silent behind the real end: time-outs, told, the other landed; then quarantined")


@cells(15, "S", "no empty file")
def test_listed_but_unreadable(cell: Cell, tmp_path: Path, where: str) -> None:
    with sshd("nobody" if IS_ROOT else None) as server:
        far = as_far(server, tmp_path)
        cell.server = far.server
        far.put("1.fit", frame(1))
        far.put("2.fit", frame(2))
        far.file("1.fit").chmod(0)
        outcome = far.fetch()
        assert outcome.published == {far.path("2.fit"): frame(2)}
        assert "is not handed over (Permission denied)" in outcome.quarantined[far.path("1.fit")]
        assert (outcome.failures, far.kept()) == ([], [])
        far.file("1.fit").chmod(0o644)
        assert whole(far.fetch(), far)
    cell.saw("noted with the reason, no file; once it may be read it landed")


@cells(20, "S", "noted, the others land")
def test_gone_after_the_listing(far: Far, cell: Cell) -> None:
    for number in (1, 2):
        far.put(f"{number}.fit", frame(number))
    batches = far.look()
    far.file("1.fit").unlink()
    outcome = far.fetch_batches(batches)
    assert outcome.published == {far.path("2.fit"): frame(2)}
    assert outcome.failures == []
    assert "No such file" in outcome.quarantined[far.path("1.fit")]
    put(far.file("1.fit"), frame(1))
    assert far.fetch().published == both(far)
    cell.saw("noted with the reason, the other one landed; when back, it landed too")


def unknown(server: Sshd) -> None:
    server.known_hosts.write_text("")


def changed(server: Sshd) -> None:
    server.stop()
    server.make_key()
    server.start()


def of_another_kind(server: Sshd) -> None:
    server.stop()
    (server.folder / "host_ed25519").unlink()
    server.make_key("ecdsa")
    server.start()


@cells(49, "S", "X")
@pytest.mark.parametrize("fault", [unknown, changed, of_another_kind])
def test_host_keys(cell: Cell, tmp_path: Path, where: str, fault: Callable[[Sshd], None]) -> None:
    with sshd() as server:
        far = as_far(server, tmp_path)
        cell.server = far.server
        far.options["known_hosts"] = str(server.known_hosts)
        path = far.put("1.fit", frame(1))
        batches = far.look()
        fault(server)
        before = len(server.log)
        for outcome in (far.fetch(), far.fetch_batches(batches)):
            (failure,) = outcome.failures
            assert isinstance(failure, IdentityRefused)
            assert "no password was sent" in str(failure)
        limit = time.monotonic() + 10  # the server writes its log when it comes to it
        while server.log[before:].count("Connection from") < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        log = server.log[before:]
        assert 2 <= log.count("Connection from") <= 3, "not asked again and again"
        assert "publickey" not in log
        assert "authenticating user" not in log, "not even the user's name was sent"
        server.known_hosts.write_text("")
        source = far.source
        assert isinstance(source, PiSource)
        trust(source)
        assert far.fetch().published == {path: frame(1)}
    assert NIGHT in path
    cell.saw(f"{fault.__name__.replace('_', ' ')}: refused before a name was sent; trusted: landed")
