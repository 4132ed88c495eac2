"""A folder of an SMB share as a transport.

What belongs here: listing a tree, looking at a file, downloading it. What does not: the session
(`smb_client`), what the names mean (kinds).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from smbprotocol.exceptions import NoMoreFiles, SMBResponseException
from smbprotocol.file_info import FileAttributes, FileInformationClass
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    DirectoryAccessMask,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.tree import TreeConnect

from astro_assets.errors import SourceUnreachable, TransferCut
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.sources.smb_client import (
    GONE,
    SmbServer,
    close_share,
    listing,
    open_share,
    transferring,
)

log = logging.getLogger(__name__)

MAX_DEPTH = 40
_CHUNK = 2**18
"""little enough for a weak radio link to bring it before the time is up"""
_LIST_BYTES = 2**16
_SHARED = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_NO_FILE = FileAttributes.FILE_ATTRIBUTE_DIRECTORY | FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT


class SmbTransport:
    """One guest's session for any number of downloads. Links are not followed."""

    def __init__(self, server: SmbServer, enters: Callable[[str], bool] = lambda _: True) -> None:
        """``enters`` says of a folder's path whether to look into it."""
        self._server = server
        self._enters = enters
        self._share: TreeConnect | None = None

    def __enter__(self) -> Self:
        self._close()
        self._share = open_share(self._server)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def list(self) -> list[RemoteFile]:
        """Every file below the path, folder by folder."""
        files: list[RemoteFile] = []
        folders = [""]
        while folders:
            folder = folders.pop()
            for name, info in self._entries(folder):
                path = f"{folder}/{name}" if folder else name
                attributes = info["file_attributes"].get_value()
                if not attributes & _NO_FILE:
                    size, written = info["end_of_file"], info["last_write_time"]
                    files.append(RemoteFile(path, size.get_value(), _time(written.get_value())))
                elif not attributes & FileAttributes.FILE_ATTRIBUTE_REPARSE_POINT:
                    folders.extend([path] if self._may_enter(path) else [])
        return files

    def stat(self, file: RemoteFile) -> RemoteFile | None:
        """The file's size and time now; None when it is gone."""
        with transferring(self._where(file)):
            try:
                with self._opened(file.path) as opened:
                    return _described(file, opened)
            except SMBResponseException as error:
                if error.status in GONE:
                    return None
                raise

    def download(self, file: RemoteFile, sink: Sink) -> None:
        """Write the file's bytes, then make sure that it is still the file that was begun."""
        where = self._where(file)
        with transferring(where):
            with self._opened(file.path) as opened:
                begun = _described(file, opened)
                size = begun.size_bytes or 0
                at = sink.begin(f"{size} {begun.modified_utc}")
                while at < size:
                    chunk = opened.read(at, min(_CHUNK, size - at, self._largest_read()))
                    at += len(chunk)
                    sink.write(chunk)
            with self._opened(file.path) as opened:
                ended = _described(file, opened)
        if (ended.size_bytes, ended.modified_utc) != (begun.size_bytes, begun.modified_utc):
            raise TransferCut(f"{where} changed while it was downloaded: the next look takes it")

    def _entries(self, folder: str) -> Iterator[tuple[str, Any]]:
        where = f"{self._server.where}: the folder {spelled(self._absolute(folder))!r}"
        with listing(where), self._opened(folder, folder=True) as opened:
            while True:
                try:
                    entries = opened.query_directory(
                        "*",
                        FileInformationClass.FILE_ID_FULL_DIRECTORY_INFORMATION,
                        max_output=_LIST_BYTES,
                    )
                except NoMoreFiles:
                    return
                for entry in entries:
                    name = entry["file_name"].get_value().decode("utf-16-le", "surrogatepass")
                    if name not in (".", ".."):
                        yield name, entry

    @contextmanager
    def _opened(self, path: str, *, folder: bool = False) -> Iterator[Any]:
        """A handle for reading; what it is opened with tells size and time as well."""
        handle = Open(self._connected(), self._absolute(path).replace("/", "\\"))
        handle.create(
            ImpersonationLevel.Impersonation,
            DirectoryAccessMask.FILE_LIST_DIRECTORY
            if folder
            else FilePipePrinterAccessMask.GENERIC_READ,
            FileAttributes.FILE_ATTRIBUTE_DIRECTORY
            if folder
            else FileAttributes.FILE_ATTRIBUTE_NORMAL,
            _SHARED,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_DIRECTORY_FILE if folder else CreateOptions.FILE_NON_DIRECTORY_FILE,
        )
        yield handle
        # Not after a fault: then the session is dropped as a whole, and the handle with it.
        handle.close()

    def _largest_read(self) -> int:
        return int(self._connected().session.connection.max_read_size)

    def _may_enter(self, path: str) -> bool:
        if path.count("/") >= MAX_DEPTH:
            log.warning("%s: the folder %r is not looked into", self._server.where, path)
            return False
        return self._enters(path)

    def _where(self, file: RemoteFile) -> str:
        return f"{self._server.where}: {spelled(file.path)}"

    def _absolute(self, path: str) -> str:
        return "/".join(part for part in (self._server.path.strip("/"), path) if part)

    def _connected(self) -> TreeConnect:
        if self._share is None:
            raise SourceUnreachable(f"{self._server.where} is not connected: connect first")
        return self._share

    def _close(self) -> None:
        share, self._share = self._share, None
        if share is not None:
            close_share(share)


def _described(file: RemoteFile, opened: Any) -> RemoteFile:
    return RemoteFile(file.path, opened.end_of_file, _time(opened.last_write_time))


def _time(moment: datetime) -> datetime | None:
    """The library's times are UTC, with or without saying so."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
