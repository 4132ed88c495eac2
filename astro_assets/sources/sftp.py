"""Files on one host by SFTP: listed, read, written, and what goes wrong as our own errors.

What belongs here: one far file, whole. What does not: log-in (`ssh`), the dialogue
(`sftp_files`), what lies on a Pi (`pi`).
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from types import TracebackType
from typing import Self

import paramiko

from astro_assets.errors import (
    BrokenFile,
    ListingFailed,
    SourceUnreachable,
    TransferCut,
)
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile, Sink
from astro_assets.sources.sftp_files import Files, Reading, Refused, Status, encoded
from astro_assets.sources.ssh import ssh_client
from astro_assets.sources.ssh_faults import BROKEN, translated
from astro_assets.sources.ssh_transport import CONNECT_TIMEOUT_S

LISTING_TIMEOUT_S = 10
DATA_TIMEOUT_S = 30
_MAX_TEXT_BYTES = 256 * 2**20


class SftpSession:
    """Files on one host: the transport without any idea of what they are."""

    def __init__(self, source: PiSource, secrets: Secrets) -> None:
        self._source = source
        self._secrets = secrets
        self._client: paramiko.SSHClient | None = None
        self._files: Files | None = None
        self.where = f"{source.name}: {source.host}:{source.port}"

    def __enter__(self) -> Self:
        self._close()
        self._client = ssh_client(self._source, self._secrets)
        try:
            with translated(self.where):
                transport = self._client.get_transport()
                assert transport is not None  # it has just logged in
                self._files = Files.on(transport, CONNECT_TIMEOUT_S)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def entries(self, folder: str) -> list[tuple[str, Status]]:
        """Names and what they are, sorted. Raises `ListingFailed`."""
        with self._listing(folder) as files:
            return sorted(files.entries(folder))

    def lines(self, path: str) -> Iterator[str] | None:
        """The whole lines of a text file; None when it is not there. Raises `ListingFailed`.

        A last line without its end is still being written, and left out.
        """
        with self._listing(path) as files:
            try:
                reading = files.reading(path)
            except Refused as error:
                if error.errno == errno.ENOENT:
                    return None
                raise
        return self._lines(path, reading)

    def _lines(self, path: str, reading: Reading) -> Iterator[str]:
        rest, received = b"", 0
        with self._listing(path) as files:
            for chunk in reading.chunks(0, files.status(path).size_bytes or 0):
                received += len(chunk)
                if received > _MAX_TEXT_BYTES:
                    raise ListingFailed(
                        f"{self.where}: {spelled(path)!r} has more than {_MAX_TEXT_BYTES} bytes: "
                        "look at it there"
                    )
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode("utf-8", "surrogateescape")
            reading.close()

    def head(self, path: str, size_bytes: int) -> bytes | None:
        """At most the first bytes of a file; None when it is not handed over.

        Raises `ListingFailed` when the connection breaks.
        """
        with self._listing(path) as files:
            try:
                if not files.status(path).is_file:
                    return None
                reading = files.reading(path)
                head = b""
                for chunk in reading.chunks(0, 0, size_bytes):
                    head += chunk
                    if len(head) >= size_bytes:
                        break
                reading.close()
            except Refused:
                return None
        return head[:size_bytes]

    def status(self, path: str) -> Status | None:
        """What is at ``path`` now; None when nothing is. Raises `SourceUnreachable`."""
        files = self._opened(LISTING_TIMEOUT_S)
        with translated(f"{self.where}: {spelled(path)}"):
            try:
                return files.status(path)
            except Refused as error:
                if error.errno == errno.ENOENT:
                    return None
                raise

    def download(self, path: str, sink: Sink, listed: RemoteFile) -> Status:
        """Write the bytes of ``path``, then make sure that it is still the same file.

        Returns
        -------
        Status : of the file, before and after
        """
        files = self._opened(DATA_TIMEOUT_S)
        where = f"{self.where}: {spelled(path)}"
        try:
            encoded(path)
        except ValueError as error:
            raise BrokenFile(f"{where} is no name that a server has: look at it there") from error
        with translated(where):
            try:
                before = files.status(path)
                if not before.is_file:  # a pipe would be waited for, a link may lead anywhere
                    raise BrokenFile(f"{where} is no file: look at it there")
                if listed.sha256 is None and before.size_bytes != listed.size_bytes:
                    raise TransferCut(f"{where} has changed since the look: the next one takes it")
                reading = files.reading(path)
                start = sink.begin(_version(before, listed))
                for chunk in reading.chunks(start, before.size_bytes or 0):
                    sink.write(chunk)
                reading.close()
                after = files.status(path)
            except Refused as error:
                raise BrokenFile(
                    f"{where} is not handed over ({error.strerror}): look at it there"
                ) from error
        if before != after:
            raise TransferCut(f"{where} changed while it was downloaded: the next look takes it")
        return after

    def replace(self, path: str, content: bytes) -> None:
        """Write a file on the far side, whole or not at all. Raises `SourceUnreachable`."""
        folder, _, name = path.rpartition("/")
        part = f"{folder}/.{name}.{token_hex(4)}.part"
        files = self._opened(DATA_TIMEOUT_S)
        with translated(f"{self.where}: {spelled(path)}"):
            try:
                with files.open(encoded(part), "wx") as file:
                    file.write(content)
                    file.flush()
                    files.sync(file)
                files.posix_rename(encoded(part), encoded(path))
            except Refused:
                with suppress(Refused):
                    files.remove(encoded(part))
                raise

    @contextmanager
    def _listing(self, path: str) -> Iterator[Files]:
        try:
            yield self._opened(LISTING_TIMEOUT_S)
        except BROKEN as error:
            reason = getattr(error, "strerror", None) or str(error) or "it hung up"
            raise ListingFailed(
                f"{self.where}: {spelled(path)!r} cannot be read ({reason}): "
                "check the source's path"
            ) from error

    def _opened(self, timeout_s: float) -> Files:
        if self._files is None:
            raise SourceUnreachable(f"{self.where} is not connected: connect first")
        channel = self._files.get_channel()
        if channel is not None:
            channel.settimeout(timeout_s)
        return self._files

    def _close(self) -> None:
        client, self._client, self._files = self._client, None, None
        if client is not None:
            client.close()


def _version(status: Status, listed: RemoteFile) -> str:
    """Empty when the server does not say enough to go on with a file that broke off."""
    if status.size_bytes is None or status.modified_s is None:
        return ""
    return f"{status.size_bytes} {status.modified_s} {listed.sha256}"
