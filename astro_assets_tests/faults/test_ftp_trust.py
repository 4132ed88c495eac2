"""FTP servers that are not who they should be, do not protect, or point elsewhere."""

import ftplib
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from astro_assets.errors import IdentityRefused, SourceUnreachable
from astro_assets.settings.sources import Trust
from astro_assets.sources import fetch, ftp_client
from astro_assets.sources.tls import client_context
from astro_assets_tests.faults.far import ItelescopeFar, VesperaFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.scripted import TITLE, Scripted, scripted
from astro_assets_tests.faults.servers.certificates import Identity, identity
from astro_assets_tests.faults.servers.process import Running
from astro_assets_tests.faults.servers.proftpd import PASSWORD, USER, proftpd
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import frame

REFUSALS = {
    "self-signed": "self-signed",
    "expired": "expired",
    "wrong host": "not valid for",
    "another authority": "unable to get local issuer",
    "another pin": "not the pinned one",
}


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "wait_exponential", lambda **_: lambda _: 0)


def bad_identity(folder: Path, fault: str) -> Identity:
    """A certificate with one fault. Its authority is the one that clients are told to trust."""
    match fault:
        case "self-signed":
            return identity(folder, self_signed=True)
        case "expired":
            return identity(folder, expired=True)
        case "wrong host":
            return identity(folder, names=("data.example.org", "10.0.0.1"))
        case "another authority":
            shown, other = identity(folder), identity(folder / "other")
            return Identity(shown.certificate_file, shown.key_file, other.ca_file)
    return identity(folder)


@pytest.fixture
def script(where: str, cell: Cell, tmp_path: Path) -> Iterator[Scripted]:
    cell.server = TITLE
    with scripted(where, tmp_path) as made:
        made.put("1.fit", frame(1))
        yield made


@cells(45, "F", "X, no password sent")
@pytest.mark.parametrize("fault", REFUSALS)
def test_a_certificate_that_does_not_hold(
    where: str, cell: Cell, tmp_path: Path, fault: str
) -> None:
    cell.server = TITLE
    with scripted(where, tmp_path, shown=bad_identity(tmp_path / "bad", fault)) as made:
        if fault == "another pin":
            made.far.options["certificate_sha256"] = "ab" * 32
        (failure,) = made.far.fetch().failures
        assert isinstance(failure, IdentityRefused)
        assert REFUSALS[fault] in str(failure)
        assert "no password was sent" in str(failure)
        sent = {line.split()[0] for line in made.script.seen}
        assert sent == {b"AUTH"}, "neither user nor password"
    cell.saw(f"{fault}: refused after AUTH TLS, neither USER nor PASS was sent")


@cells(45, "F", "X")
@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong host"])
def test_a_certificate_of_a_real_server(
    where: str, cell: Cell, tmp_path: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    shown = bad_identity(tmp_path / "bad", fault)
    with vsftpd(shown) as running:
        far = ItelescopeFar(running, tmp_path)
        cell.server = far.server
        expected = {far.put("1.fit", frame(1)): frame(1)}
        (failure,) = far.fetch().failures
        assert isinstance(failure, IdentityRefused)
        # Whoever has compared it may pin it, whatever is wrong with it otherwise.
        far.options["certificate_sha256"] = shown.sha256
        assert far.fetch().published == expected
        assert "insecure" not in caplog.text
        # Or give up all checks, by a word that says so, and be told each time.
        far.options = {"insecure_no_certificate_check": True}
        far.put("2.fit", frame(2))
        assert len(far.fetch().published) == 2
        warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        told = [text for text in warnings if "insecure_no_certificate_check" in text]
        assert len(told) == 2, "at the look's connection and at the fetch's"
        assert all(text.startswith("itelescope:") for text in told)
    cell.saw(f"{fault}: refused; pinned: taken; insecure: taken, with a warning each time")


@cells(46, "F", "X")
@pytest.mark.parametrize("reply", ["500 what?", "502 no", "530 no", "431 not now", "534 never"])
def test_no_tls(script: Scripted, cell: Cell, reply: str) -> None:
    script.script.auth_reply = reply
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, SourceUnreachable if reply.startswith("4") else IdentityRefused)
    assert {line.split()[0] for line in script.script.seen} == {b"AUTH"}
    cell.saw(f"AUTH TLS: {reply[:3]}; refused, neither USER nor PASS was sent")


@cells(46, "F", "X")
@pytest.mark.parametrize("reply", ["500 what?", "502 no", "534 no", "536 no"])
def test_no_protection_of_data(script: Scripted, cell: Cell, reply: str) -> None:
    script.script.prot_reply = reply
    (failure,) = script.far.fetch().failures
    assert isinstance(failure, IdentityRefused)
    sent = {line.split()[0] for line in script.script.seen}
    assert sent.isdisjoint({b"PASV", b"RETR", b"LIST", b"MLSD"})
    cell.saw(f"PROT P: {reply[:3]}; refused, no data asked for")


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch, tls: ssl.TLSVersion) -> list[str | None]:
    """The versions of TLS that control connections use: only the wanted one is offered."""
    used: list[str | None] = []

    def one_version(trust: Trust, source: str) -> ssl.SSLContext:
        context = client_context(trust, source)
        context.minimum_version = context.maximum_version = tls
        return context

    def noted(client: ftp_client.TlsClient, server: ftp_client.FtpServer) -> None:
        secure(client, server)
        assert isinstance(client.sock, ssl.SSLSocket)
        used.append(client.sock.version())

    secure = ftp_client._secure
    monkeypatch.setattr(ftp_client, "client_context", one_version)
    monkeypatch.setattr(ftp_client, "_secure", noted)
    return used


@cells(47, "F", "20 of 20")
@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
@pytest.mark.parametrize("start", [vsftpd, proftpd], ids=["vsftpd", "proftpd"])
def test_session_reuse(
    cell: Cell,
    tmp_path: Path,
    start: Callable[[Identity], AbstractContextManager[Running]],
    tls: ssl.TLSVersion,
    versions: list[str | None],
) -> None:
    with start(identity(tmp_path / "identity")) as running:
        kind = _ProftpdFar if start is proftpd else ItelescopeFar
        far = kind(running, tmp_path)
        cell.server = far.server
        expected = {far.put(f"{n:02d}.fit", frame(n)): frame(n) for n in range(20)}
        outcome = far.fetch()
    assert (outcome.published, outcome.failures) == (expected, [])
    assert set(versions) == {tls.name.replace("TLSv1_", "TLSv1.")}
    cell.saw(f"20 of 20 by {versions[0]}, {len(versions)} log-ins with the look")


class _ProftpdFar(ItelescopeFar):
    @property
    def secrets(self) -> dict[str, str]:
        return {"FAR_USER": USER, "FAR_PASSWORD": PASSWORD}


@cells(47, "F", "20 of 20")
@pytest.mark.parametrize("most", [1, 3])
def test_a_server_that_runs_out_of_tickets(script: Scripted, cell: Cell, most: int) -> None:
    """As vsftpd with TLS 1.3 is known to do after some transfers."""
    script.script.transfers_per_login = most
    expected = {script.put(f"{n:02d}.fit", frame(n)): frame(n) for n in range(20)}
    expected[script.far.path("1.fit")] = frame(1)
    outcome = script.far.fetch()
    assert (outcome.published, outcome.failures) == (expected, [])
    cell.saw(f"sessions end after {most} transfers: new log-ins, all of them landed")


@cells(48, "FV", "ignored")
def test_a_server_behind_another_address(where: str, cell: Cell, tmp_path: Path) -> None:
    """As behind a router: the server tells an address that is not reached, or is somebody's."""
    shown = identity(tmp_path / "identity") if where == "F" else None
    with vsftpd(shown, pasv_address="10.9.8.7") as running:
        far = (ItelescopeFar if where == "F" else VesperaFar)(running, tmp_path)
        cell.server = far.server
        assert far.fetch().failures == []
        expected = {far.put("1.fit", frame(1)): frame(1)}
        outcome = far.fetch()
    assert (outcome.published, outcome.failures) == (expected, [])
    cell.saw("PASV names 10.9.8.7: data come from the host that we talk to")


@cells(48, "FV", "ignored")
def test_extended_passive(script: Scripted, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    script.script.passive_host = "10,9,8,7"
    for client in (ftp_client.PlainClient, ftp_client.TlsClient):
        # What is asked where the address is of IPv6.
        monkeypatch.setattr(client, "makepasv", _extended)
    outcome = script.far.fetch()
    assert outcome.published == {script.far.path("1.fit"): frame(1)}
    assert script.count(b"EPSV") > 0
    cell.saw("EPSV names 10.9.8.7: data come from the host that we talk to")


def _extended(client: ftp_client.PlainClient) -> tuple[str, int]:
    assert client.sock is not None
    return ftplib.parse229(client.sendcmd("EPSV"), client.sock.getpeername())
