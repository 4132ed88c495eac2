"""pure-ftpd without TLS, as a stand-in for a telescope's own server: MLSD, everybody is let in."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from astro_assets_tests.faults.servers.process import (
    HOST,
    Running,
    folder,
    free_port,
    free_ports,
    hashed,
    program,
    running,
    version,
)

USER, PASSWORD = "anonymous", "anonymous@"


@contextmanager
def pure_ftpd(*, in_memory: bool = False) -> Iterator[Running]:
    """Serve a folder to `USER`, who may also delete there."""
    path, tool = program("pure-ftpd", "pure-ftpd"), program("pure-pw", "pure-ftpd-common")
    with folder("pure-ftpd", in_memory=in_memory) as home:
        served = home / "served"
        served.mkdir()
        served.chmod(0o777)
        # Its own "anonymous" is bound to the system's folder: this one is an account like another,
        # with a hash that is quicker than what pure-pw makes of a password.
        accounts = home / "accounts"
        accounts.write_text(f"{USER}:{hashed(PASSWORD)}:65534:65534::{served}/./::::::::::::\n")
        subprocess.run(
            [tool, "mkdb", f"{accounts}.pdb", "-f", accounts], check=True, capture_output=True
        )
        port, data_ports = free_port(), free_ports(40)
        title = f"pure-ftpd {version([path, '--help'], r'v([0-9.]+)')}"
        command = [
            path, "-S", f"{HOST},{port}", "-E", "-A", "-H", "-4", "-u", "1", "-c", "50",
            "-l", f"puredb:{accounts}.pdb", "-g", str(home / "pid"),
            "-L", "200000:40", "-p", f"{data_ports[0]}:{data_ports[-1]}",
        ]  # fmt: skip
        with running(command, port, home / "log"):
            yield Running(title, HOST, port, served, None, data_ports)
