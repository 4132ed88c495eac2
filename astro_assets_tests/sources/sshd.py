"""A sshd of a test's own, whose keys, user and life the test has in its hands.

What belongs here: one Pi for one test. What does not: the Pi that the matrix shares
(`faults.servers.sshd`).
"""

import getpass
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from astro_assets.settings import PiSource, Secrets, Settings, load_settings
from astro_assets_tests.faults.servers.process import (
    HOST,
    IS_ROOT,
    folder,
    free_port,
    program,
    running,
)


@dataclass
class Sshd:
    """root : what the user finds at log-in; the captures lie in ``root / "captures"``"""

    program: str
    folder: Path
    user: str
    port: int
    _life: ExitStack = field(default_factory=ExitStack)

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
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {self.public()}\n")

    def start(self) -> None:
        keys = sorted(f for f in self.folder.glob("host_*") if f.suffix != ".pub")
        lines = [
            f"ListenAddress {HOST}:{self.port}", "PidFile none", "UsePAM no", "StrictModes no",
            "PasswordAuthentication no", "PermitRootLogin yes", "MaxStartups 100", "UseDNS no",
            "LogLevel VERBOSE", f"AuthorizedKeysFile {self.folder}/authorized_keys",
            f"Subsystem sftp internal-sftp -d {self.root}", *(f"HostKey {key}" for key in keys),
        ]  # fmt: skip
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")
        command = [self.program, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._life.enter_context(running(command, self.port, self.folder / "sshd.log"))

    def stop(self) -> None:
        self._life.close()

    def settings(self, folder: Path, more: str = "") -> Settings:
        """An observatory with this one Pi, its products below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".env").write_text(f"PI_USER={self.user}\n")
        (folder / "observatory.toml").write_text(
            'root = "data"\n[site]\nname = "Home"\nlatitude_deg = 53.2\nlongitude_deg = 6.6\n'
            f'[[sources]]\nname = "pi"\nkind = "pi"\nhost = "{HOST}"\nuser_env = "PI_USER"\n'
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
def sshd(user: str | None = None) -> Iterator[Sshd]:
    """A running server whose host key is known; only root can have it serve another user."""
    path = program("sshd", "openssh-server")
    if IS_ROOT:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with folder("pi") as home:
        server = Sshd(path, home, user or getpass.getuser(), free_port())
        server.root.mkdir()
        if user is not None:
            account = pwd.getpwnam(user)
            os.chown(server.root, account.pw_uid, account.pw_gid)
        server.make_key()
        _keygen(home / "user_key", "ed25519")
        shutil.copyfile(home / "user_key.pub", home / "authorized_keys")
        server.know()
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _keygen(path: Path, kind: str) -> None:
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
