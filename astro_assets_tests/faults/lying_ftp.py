"""An FTP server, with and without TLS, that says of its files what is not so.

What belongs here: lies in listings, SIZE and the bytes that follow. No real server can be had that
tells them; what else it does is pyftpdlib's.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyftpdlib.filesystems import AbstractedFS

from astro_assets.sim.servers.certificates import Certificates
from astro_assets.sim.servers.ftp import FtpServer
from astro_assets.sim.servers.ftps import FtpsServer
from astro_assets_tests.faults.far import PASSWORD, Far
from astro_assets_tests.faults.servers.certificates import identity

TITLE = "pyftpdlib that lies"
_FACTS = b"type=file;size=%d;modify=20261120220000; "


@dataclass(frozen=True)
class Lies:
    """What is told beyond the truth.

    hidden_bytes : so many fewer than it sends are in a file, says the server
    names : listed in each folder that holds files; a download of them gives ``content``
    """

    hidden_bytes: int = 0
    names: tuple[bytes, ...] = ()
    content: bytes = b""


@contextmanager
def lying_ftp(far: Far, folder: Path, lies: Lies) -> Iterator[None]:
    """The far side's settings lead to such a server, which serves the same files."""
    server = _server(far, folder)
    handler = server._handler()
    handler.abstracted_fs = _filesystem(lies, folder)
    handler.use_sendfile = False
    server._handler = lambda: handler  # type: ignore[method-assign]
    server.start()
    far.options["port"] = server.port
    far.server = TITLE
    try:
        yield
    finally:
        server.stop()


def _server(far: Far, folder: Path) -> FtpServer:
    if far.name == "vespera":
        return FtpServer(far.served.parent)
    shown = identity(folder / "identity")
    far.options["ca_file"] = str(shown.ca_file)
    certificates = Certificates(shown.ca_file, shown.certificate_file, shown.key_file)
    return FtpsServer(far.served, user="anonymous", password=PASSWORD, certificates=certificates)


def _filesystem(lies: Lies, folder: Path) -> type[AbstractedFS]:
    folder.mkdir(parents=True, exist_ok=True)
    given = folder / "given"
    given.write_bytes(lies.content)

    class Lying(AbstractedFS):  # type: ignore[misc]
        def validpath(self, path: str) -> bool:
            return super().validpath(path) or path == str(given)

        def ftp2fs(self, ftppath: str) -> str:
            named = [name.decode("utf-8", "surrogateescape") for name in lies.names]
            wanted = any(ftppath.endswith(name.lstrip("/")) for name in named)
            return str(given) if wanted else str(super().ftp2fs(ftppath))

        def getsize(self, path: str) -> int:
            return int(super().getsize(path)) - lies.hidden_bytes

        def lstat(self, path: str) -> Any:
            return _shrunk(super().lstat(path), lies.hidden_bytes)

        def stat(self, path: str) -> Any:
            return _shrunk(super().stat(path), lies.hidden_bytes)

        def format_mlsx(
            self, basedir: str, listing: list[str], *more: Any, **kinds: Any
        ) -> Iterator[bytes]:
            yield from super().format_mlsx(basedir, listing, *more, **kinds)
            if any(Path(basedir, name).is_file() for name in listing):
                for name in lies.names:
                    yield _FACTS % len(lies.content) + name + b"\r\n"

    return Lying


def _shrunk(status: Any, by: int) -> Any:
    fields = list(status)
    if stat.S_ISREG(status.st_mode):
        fields[6] -= by
    return os.stat_result(fields)
