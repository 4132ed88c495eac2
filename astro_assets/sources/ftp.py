"""FTP and explicit FTPS as a transport.

What belongs here: listing a tree, downloading, looking at and deleting a file. What does not: the
dialogue (`ftp_client`), what the names mean (kinds), what a listing's line says (`ftp_listing`).
"""

import ftplib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, ListingFailed, SourceUnreachable, TransferCut
from astro_assets.settings import DwarfSource, VesperaSource
from astro_assets.sources import ftp_client
from astro_assets.sources.ftp_client import (
    FtpServer,
    asked,
    begun,
    drained,
    features,
    listed,
    masked,
    open_client,
    reply,
    translated,
    wire,
)
from astro_assets.sources.ftp_listing import Entry, parse_list, parse_mlsd
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile, Sink

log = logging.getLogger(__name__)

MAX_DEPTH = 40
_NOT_KNOWN = ("500", "501", "502", "504")
_REFUSED = "550"


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
        self._able: frozenset[str] = frozenset()
        self._mlsd = True
        self._listed_before = False

    def __enter__(self) -> Self:
        self._close()
        self._client = open_client(self._server)
        self._able = features(self._client, self._server)
        # Whoever knows MLSD announces MLST; whoever announces nothing may still know it.
        self._mlsd = not self._able or "MLST" in self._able
        self._listed_before = False
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
        """Every file below the root, folder by folder; a folder that is closed to us is told."""
        files: list[RemoteFile] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._patiently(folder):
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
        target = self._target(file)
        with translated(server, file=where):
            size, modified = self._version(target)
            offset = sink.begin(f"{size} {modified}" if size and modified else "")
            if not offset or str(offset) != size:
                connection = self._continued(target, offset, sink) if offset else None
                if connection is None:
                    connection = begun(client, f"RETR {target}", ftp_client.DATA_TIMEOUT_S)
                drained(client, connection, sink.write)
            size_now, modified_now = self._version(target)
        # The time is not compared with the listing's: LIST has its own zone and no seconds.
        grown = file.size_bytes is not None and size_now not in ("", str(file.size_bytes))
        if grown or modified_now != modified:
            raise TransferCut(f"{where} changed while it was downloaded: the next look takes it")

    def stat(self, file: RemoteFile) -> RemoteFile | None:
        """The file as it is now, told as in a listing; None when it is gone."""
        if self._mlsd and "MLST" in self._able:
            with translated(self._server):
                found = self._mlst(self._target(file))
        else:
            folder, _, name = file.path.rpartition("/")
            try:
                entries = self._folder(folder)
            except ListingFailed as error:
                raise SourceUnreachable(str(error)) from error
            found = next((entry for entry in entries if entry.name == name), None)
        if found is None or found.kind != "file":
            return None
        return replace(file, size_bytes=found.size_bytes, modified_utc=found.modified_utc)

    def delete(self, file: RemoteFile) -> None:
        """Delete one file for good."""
        client, target = self._connected(), self._target(file)
        where = f"{self._server.where}: {spelled(file.path)}"
        with translated(self._server, file=where):
            try:
                client.delete(target)
            except ftplib.error_perm as error:
                raise BrokenFile(
                    f"{where} is not deleted ({reply(error, self._server)}): look at it there"
                ) from None

    def _continued(self, target: str, offset: int, sink: Sink) -> ftp_client.Stream | None:
        """A transfer from ``offset`` on; None, with the sink begun anew, if that is refused."""
        client = self._connected()
        try:
            return begun(client, f"RETR {target}", ftp_client.DATA_TIMEOUT_S, offset)
        except ftplib.Error as error:
            log.info(
                "%s does not go on where it broke off (%s)",
                self._server.where,
                reply(error, self._server),
            )
            sink.begin("")
            return None

    def _version(self, target: str) -> tuple[str, str]:
        """Size and time of a file as the server has them at this moment; empty if it does not."""
        client = self._connected()
        if "MLST" not in self._able:
            return asked(client, f"SIZE {target}"), asked(client, f"MDTM {target}")
        entry = self._mlst(target)
        if entry is None or entry.size_bytes is None or entry.modified_utc is None:
            return "", ""
        return str(entry.size_bytes), entry.modified_utc.isoformat()

    def _mlst(self, target: str) -> Entry | None:
        """The facts of one file; None when there are none."""
        lines = asked(self._connected(), f"MLST {target}").splitlines()
        entries = (parse_mlsd(line.strip()) for line in lines if line.startswith(" "))
        return next((entry for entry in entries if entry is not None), None)

    def _patiently(self, folder: str) -> Sequence[Entry]:
        """The entries of a folder; on a connection that has listed before, a fault is its own.

        So a server that runs out of TLS sessions after some transfers is still listed whole.
        """
        try:
            return self._folder(folder)
        except (ListingFailed, SourceUnreachable) as error:
            if not self._listed_before:
                raise
            log.info("%s; asking on a new connection", error)
        self.__enter__()
        return self._folder(folder)

    def _folder(self, folder: str) -> Sequence[Entry]:
        """The entries of one folder. Raises `ListingFailed` when the server does not say."""
        server, client = self._server, self._connected()
        where = f"{server.where}: the folder {spelled(self._absolute(folder))!r}"
        with translated(server, listing=where):
            try:
                client.cwd(wire(self._absolute(folder)))
                lines = self._lines(client, where)
            except ftplib.error_perm as error:
                if not (folder and str(error).startswith(_REFUSED)):
                    raise
                log.warning("%s is closed to us and left out (%s)", where, reply(error, server))
                return []
        self._listed_before = True
        return self._understood(lines, where)

    def _understood(self, lines: Sequence[str], where: str) -> Sequence[Entry]:
        now = datetime.now(UTC)
        entries, odd = [], []
        for line in lines:
            entry = parse_mlsd(line) if self._mlsd else parse_list(line, now)
            if entry is not None:
                entries.append(entry)
            elif line.strip() and not line.startswith("total "):
                odd.append(line)
        shown = repr(masked(odd[0], self._server)) if odd else ""
        if odd and not entries:
            raise ListingFailed(f"{where} is listed in a form that is not understood: {shown}")
        if odd:
            log.warning(
                "%s is listed with %d lines that are not understood: %s", where, len(odd), shown
            )
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

    def _target(self, file: RemoteFile) -> str:
        """A file's path on the wire. Raises `BrokenFile` when it cannot be asked for."""
        target = wire(self._absolute(file.path))
        if not {"\r", "\n", "\0"}.isdisjoint(target):
            raise BrokenFile(
                f"{self._server.where}: {spelled(file.path)} has a name that cannot be asked for: "
                "rename it there"
            )
        return target

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


def open_to_everyone(source: VesperaSource | DwarfSource) -> FtpTransport:
    """A telescope on its own network, which has nothing but plain FTP, and no log-in."""
    return FtpTransport(
        FtpServer(
            name=source.name,
            host=source.host,
            port=source.port,
            path=source.path,
            user=ftp_client.ANONYMOUS,
            password="",
            login_hint="this telescope should let everyone in; look at its own application",
        )
    )
