"""FTP and explicit FTPS as a transport.

What belongs here: listing a tree, downloading a file. What does not: the dialogue (`ftp_client`),
what the names mean (kinds), what a listing's line says (`ftp_listing`).
"""

import ftplib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, SourceUnreachable, TransferCut
from astro_assets.sources.ftp_client import (
    DATA_TIMEOUT_S,
    FtpServer,
    asked,
    data,
    listed,
    open_client,
    translated,
    wire,
)
from astro_assets.sources.ftp_listing import Entry, parse_list, parse_mlsd
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile, Sink

log = logging.getLogger(__name__)

MAX_DEPTH = 40
_NOT_KNOWN = ("500", "501", "502", "504")


class FtpTransport:
    """One login for any number of downloads.

    The address that a server names for passive data is ignored: data come from the host that we
    talk to. With TLS, certificate and host name are checked, data are protected, the session is
    reused, and an end without TLS's own good-bye counts as a cut.
    """

    def __init__(self, server: FtpServer, enters: Callable[[str], bool] = lambda _: True) -> None:
        """``enters`` says of a folder's path whether to look into it."""
        self._server = server
        self._enters = enters
        self._client: ftplib.FTP | None = None
        self._mlsd = True

    def __enter__(self) -> Self:
        self._close()
        self._client = open_client(self._server)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._client is not None and error is None:
            with suppress(*ftplib.all_errors):
                self._client.sock.settimeout(2)  # type: ignore[union-attr]
                self._client.quit()
        self._close()

    def list(self) -> list[RemoteFile]:
        """Every file below the root, folder by folder."""
        files: list[RemoteFile] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._folder(folder):
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "file":
                    files.append(RemoteFile(path, entry.size_bytes, entry.modified_utc))
                elif entry.kind == "dir" and self._may_enter(path, entry.name):
                    folders.append(path)
        return files

    def download(self, file: RemoteFile, sink: Sink) -> None:
        """Write the file's bytes, then make sure that it is still the file that was listed."""
        server, client = self._server, self._connected()
        where = f"{server.where}: {spelled(file.path)}"
        target = wire(self._absolute(file.path))
        if not {"\r", "\n", "\0"}.isdisjoint(target):
            raise BrokenFile(f"{where} has a name that cannot be asked for: rename it there")
        with translated(server, file=where):
            # Not compared with the listing: LIST tells other times than MDTM, in its own zone.
            modified = asked(client, f"MDTM {target}")
            sink.begin("")
            for chunk in data(client, f"RETR {target}", DATA_TIMEOUT_S):
                sink.write(chunk)
            size = asked(client, f"SIZE {target}")
            grown = file.size_bytes is not None and size not in ("", str(file.size_bytes))
            if grown or asked(client, f"MDTM {target}") != modified:
                raise TransferCut(
                    f"{where} changed while it was downloaded: the next look takes it"
                )

    def _folder(self, folder: str) -> Sequence[Entry]:
        """The entries of one folder. Raises `ListingFailed` when the server does not say."""
        server, client = self._server, self._connected()
        where = f"{server.where}: the folder {spelled(self._absolute(folder))!r}"
        with translated(server, listing=where):
            client.cwd(wire(self._absolute(folder)))
            lines = self._lines(client, where)
        now = datetime.now(UTC)
        entries = []
        for line in lines:
            entry = parse_mlsd(line) if self._mlsd else parse_list(line, now)
            if entry is not None:
                entries.append(entry)
            elif line.strip() and not line.startswith("total "):
                log.warning("%s lists a line that is not understood: %r", where, line)
        return entries

    def _lines(self, client: ftplib.FTP, where: str) -> Sequence[str]:
        if self._mlsd:
            try:
                return listed(client, "MLSD", where)
            except ftplib.error_perm as error:
                if not str(error).startswith(_NOT_KNOWN):
                    raise
                self._mlsd = False
        return listed(client, "LIST", where)

    def _may_enter(self, path: str, name: str) -> bool:
        if "/" in name or path.count("/") >= MAX_DEPTH:
            log.warning("%s: the folder %r is not looked into", self._server.where, path)
            return False
        return self._enters(path)

    def _absolute(self, path: str) -> str:
        root = self._server.path.rstrip("/")
        return f"{root}/{path}" if path else root or "/"

    def _connected(self) -> ftplib.FTP:
        if self._client is None:
            raise SourceUnreachable(f"{self._server.where} is not connected: connect first")
        return self._client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
