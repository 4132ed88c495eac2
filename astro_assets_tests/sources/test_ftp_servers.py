"""FTP against real servers: what they can do beyond handing over files, and how long they last."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astro_assets.errors import BrokenFile
from astro_assets.settings.sources import Trust
from astro_assets.sources.ftp import FtpTransport
from astro_assets.sources.ftp_client import FtpServer
from astro_assets.sources.protocol import Deleting, RemoteFile, Statting
from astro_assets_tests.faults.servers import proftpd, pure_ftpd
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import Running
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import Kept, frame, put

KINDS = ["vsftpd", "proftpd", "pure-ftpd"]


@contextmanager
def running(kind: str, folder: Path) -> Iterator[tuple[Running, FtpTransport]]:
    """A server with two frames, and a transport to it."""
    shown = identity(folder)
    start, user, password = {
        "vsftpd": (lambda: vsftpd(shown), "anonymous", "x"),
        "proftpd": (lambda: proftpd.proftpd(shown), proftpd.USER, proftpd.PASSWORD),
        "pure-ftpd": (pure_ftpd.pure_ftpd, pure_ftpd.USER, pure_ftpd.PASSWORD),
    }[kind]
    with start() as server:
        for number in (1, 2):
            put(server.served / f"T20/M 31/{number}.fits", frame(number)).parent.chmod(0o777)
        yield (
            server,
            FtpTransport(
                FtpServer(
                    name="scope", host=server.host, port=server.port, path="/", user=user,
                    password=password, login_hint="", tls=server.ca_file is not None,
                    trust=Trust(ca_file=server.ca_file),
                )
            ),
        )  # fmt: skip


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Running, FtpTransport]]:
    with running(request.param, tmp_path) as made:
        yield made


def test_a_file_is_looked_at_again(pair: tuple[Running, FtpTransport]) -> None:
    server, transport = pair
    assert isinstance(transport, Statting)
    with transport:
        one, two = sorted(transport.list(), key=lambda file: file.path)
        assert transport.stat(one) == one
        path = server.served / one.path
        path.write_bytes(frame(1) + b"more")
        os.utime(path, (1.5e9, 1.5e9))
        now = transport.stat(one)
        assert now is not None
        assert now.size_bytes == len(frame(1)) + 4
        assert now.modified_utc != one.modified_utc
        path.unlink()
        assert transport.stat(one) is None
        assert transport.stat(two) == two
        assert transport.stat(RemoteFile("T20/M 31", None, None)) is None, "that is a folder"


def test_a_file_is_deleted_or_that_is_refused(pair: tuple[Running, FtpTransport]) -> None:
    server, transport = pair
    assert isinstance(transport, Deleting)
    with transport:
        one, two = sorted(transport.list(), key=lambda file: file.path)
        transport.delete(one)
        with pytest.raises(BrokenFile, match="is not deleted"):
            transport.delete(one)
        assert [file.path for file in transport.list()] == [two.path]
    assert [path.name for path in server.served.rglob("*.fits")] == ["2.fits"]


def test_a_hundred_transfers_in_one_dialogue(pair: tuple[Running, FtpTransport]) -> None:
    _, transport = pair
    with transport:
        (file, *_) = sorted(transport.list(), key=lambda file: file.path)
        for _ in range(100):
            kept = Kept()
            transport.download(file, kept)
            assert kept == frame(1)


def test_the_log_says_whom_we_talk_to(
    pair: tuple[Running, FtpTransport], caplog: pytest.LogCaptureFixture
) -> None:
    server, transport = pair
    with caplog.at_level(logging.INFO, "astro_assets"), transport:
        pass
    (line,) = [record.getMessage() for record in caplog.records]
    assert "greets with '220" in line
    assert "MDTM" in line
    assert "REST" in line
    secured = "certificate of commonName=localhost, SHA-256" in line
    assert secured == (server.ca_file is not None)
    assert proftpd.PASSWORD not in line
