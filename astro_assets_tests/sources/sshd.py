"""OpenSSH's sshd with internal-sftp, on loopback, for one user and one key."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from astro_assets.settings import PiSource, Secrets, Settings, load_settings

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
_PATIENCE_S = 15


@dataclass
class Sshd:
    """root : what the user finds at log-in; the captures lie in ``root / "captures"``"""

    folder: Path
    user: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    more: str = ""

    @property
    def root(self) -> Path:
        return self.folder / "home"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def public(self, kind: str = "ed25519") -> str:
        """Kind and key, as they stand in known_hosts."""
        return " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])

    def make_key(self, kind: str = "ed25519") -> None:
        """A new host key, in the place of the old one."""
        _keygen(self.folder / f"host_{kind}", kind)

    def know(self) -> None:
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.public()}\n")

    def start(self) -> None:
        keys = sorted(f for f in self.folder.glob("host_*") if f.suffix != ".pub")
        text = (
            f"Port {self.port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n"
            "PasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\nLogLevel VERBOSE\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\n"
            f"Subsystem sftp internal-sftp -d {self.root} -u 0022\n"
            + "".join(f"HostKey {key}\n" for key in keys)
            + self.more
        )
        (self.folder / "sshd_config").write_text(text)
        assert SSHD is not None
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stderr=log
            )
        _wait_for(lambda: _answers(self.port))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_PATIENCE_S)
            self.process = None

    def settings(self, folder: Path, more: str = "") -> Settings:
        """An observatory with this one Pi, its products below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".env").write_text(f"PI_USER={self.user}\n")
        (folder / "observatory.toml").write_text(
            'root = "data"\n[site]\nname = "Home"\nlatitude_deg = 53.2\nlongitude_deg = 6.6\n'
            '[[sources]]\nname = "pi"\nkind = "pi"\nhost = "127.0.0.1"\nuser_env = "PI_USER"\n'
            f'port = {self.port}\nkey_file = "{self.folder}/user_key"\n'
            f'known_hosts = "{self.known_hosts}"\n{more}\n'
        )
        return load_settings(folder / "observatory.toml")

    def source(self, folder: Path, more: str = "") -> tuple[PiSource, Secrets]:
        settings = self.settings(folder, more)
        source = settings.source("pi")
        assert isinstance(source, PiSource)
        return source, settings.secrets


@contextmanager
def sshd(user: str | None = None, more: str = "") -> Iterator[Sshd]:
    """A running server whose host key is known."""
    if SSHD is None:
        pytest.skip("sshd is not installed: apt install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    folder.chmod(0o755)
    server = Sshd(folder, user or getpass.getuser(), _free_port(), more=more)
    try:
        server.root.mkdir()
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(server.root, account.pw_uid, account.pw_gid)
        server.make_key()
        _keygen(folder / "user_key", "ed25519")
        shutil.copyfile(folder / "user_key.pub", folder / "authorized_keys")
        server.know()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _keygen(path: Path, kind: str) -> None:
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        if client.connect_ex(("127.0.0.1", port)):
            return False
        return client.recv(4) == b"SSH-"


def _wait_for(true: Callable[[], bool]) -> None:
    limit = time.monotonic() + _PATIENCE_S
    while time.monotonic() < limit:
        if true():
            return
        time.sleep(0.02)
    pytest.fail("sshd does not start")
