"""OpenSSH's sshd with its own SFTP, for one key."""

import getpass
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from astro_assets_tests.faults.servers.process import (
    HOST,
    IS_ROOT,
    Running,
    folder,
    free_port,
    program,
    running,
    version,
)


@contextmanager
def sshd(more_lines: Sequence[str] = (), sftp: str = "") -> Iterator[Running]:
    """Serve a folder by SFTP; ``more`` has user, key_file, known_hosts and host_key_file.

    more_lines : of sshd_config
    sftp : the program in the place of sshd's own SFTP
    """
    path, keygen = program("sshd", "openssh-server"), program("ssh-keygen", "openssh-client")
    with folder("sshd") as home:
        served = home / "served"
        served.mkdir()
        for name in ("host_key", "client_key"):
            make_key(keygen, home / name)
        port = free_port()
        lines = [
            f"ListenAddress {HOST}:{port}", f"HostKey {home}/host_key", f"PidFile {home}/pid",
            f"AuthorizedKeysFile {home}/client_key.pub", "StrictModes no", "UsePAM no",
            "PasswordAuthentication no", "PermitRootLogin prohibit-password", "PrintMotd no",
            f"Subsystem sftp {sftp or f'internal-sftp -d {served}'}", "UseDNS no",
            "MaxStartups 50", *more_lines,
        ]  # fmt: skip
        (home / "sshd_config").write_text("\n".join(lines) + "\n")
        if IS_ROOT:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        known_hosts = home / "known_hosts"
        public = (home / "host_key.pub").read_text().split()[:2]
        known_hosts.write_text(known(port, public))
        title = f"OpenSSH {version([path, '-V'], r'OpenSSH_([0-9.p]+)')}"
        command = [path, "-D", "-e", "-f", str(home / "sshd_config")]
        with running(command, port, home / "log"):
            more = {
                "user": getpass.getuser(),
                "key_file": str(home / "client_key"),
                "known_hosts": str(known_hosts),
                "host_key": " ".join(public),
                "log": str(home / "log"),
            }
            yield Running(title, HOST, port, served, more=more)


def make_key(keygen: str, path: Path) -> None:
    subprocess.run(
        [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, capture_output=True
    )


def known(port: int, public: list[str]) -> str:
    """The line of known_hosts for a key on a port of this machine."""
    return f"[{HOST}]:{port},[localhost]:{port} {' '.join(public)}\n"
