"""FTPS against vsftpd, which insists on TLS session reuse and knows no MLSD."""

import datetime as dt
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from astro_assets.frame import FrameKind
from astro_assets.settings.models import Trust
from astro_assets.sim.servers.certificates import make_certificates
from astro_assets.sources.batches import Batch
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.ftp import FtpTransport
from astro_assets.sources.ftp_client import FtpServer
from astro_assets.store import Store
from astro_assets_tests.sources.conftest import frame, put

VSFTPD = shutil.which("vsftpd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(VSFTPD is None, reason="vsftpd is not installed: apt install it")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FtpServer]:
    certificates = make_certificates(tmp_path / "tls")
    # pytest's own folders are closed to the user that vsftpd becomes.
    root = Path(tempfile.mkdtemp(prefix="vsftpd-"))
    root.chmod(0o755)
    for number in range(20):
        put(root / f"T20/M 31/{number:02d}.fits", frame(number))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    options = {
        "listen": "YES", "listen_port": port, "listen_address": "127.0.0.1", "background": "NO",
        "anonymous_enable": "YES", "local_enable": "NO", "no_anon_password": "YES",
        "ssl_enable": "YES", "allow_anon_ssl": "YES", "force_anon_data_ssl": "YES",
        "force_anon_logins_ssl": "YES", "require_ssl_reuse": "YES", "strict_ssl_read_eof": "YES",
        "rsa_cert_file": certificates.certificate_file,
        "rsa_private_key_file": certificates.key_file,
        "secure_chroot_dir": root, "anon_root": root, "seccomp_sandbox": "NO",
        "pasv_address": "127.0.0.1",
    }  # fmt: skip
    text = "".join(f"{key}={value}\n" for key, value in options.items())
    assert VSFTPD is not None
    process = subprocess.Popen([VSFTPD, str(put(tmp_path / "vsftpd.conf", text))])
    try:
        _wait_for(port)
        yield FtpServer(
            name="scope",
            host="localhost",
            port=port,
            path="/",
            user="anonymous",
            password="x",
            login_hint="",
            tls=True,
            trust=Trust(ca_file=certificates.ca_file),
        )
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(root)


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("vsftpd does not start")


def test_twenty_transfers_with_session_reuse(server: FtpServer, tmp_path: Path) -> None:
    transport = FtpTransport(server)
    with transport:
        files = tuple(transport.list())
    assert [file.path for file in files] == [f"T20/M 31/{n:02d}.fits" for n in range(20)]
    night = dt.date(2026, 11, 20)
    batch = Batch("scope", "2026-11-20_M31_T20", FrameKind.LIGHT, night, "M 31", "T20", files)
    manifest = fetch_batch(lambda: transport, batch, Store(tmp_path / "data"))
    assert not manifest.quarantined
    contents = {file.path: (manifest.folder / file.path).read_bytes() for file in files}
    assert contents == {f"T20/M 31/{number:02d}.fits": frame(number) for number in range(20)}
