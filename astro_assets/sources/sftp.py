"""SSH and SFTP, with `paramiko`: for files, and for one command.

What belongs here: the connection and whom we trust. What does not: what lies on a Pi (`pi`).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Self

import paramiko

from astro_assets.errors import (
    BrokenFile,
    IdentityRefused,
    ListingFailed,
    LoginRefused,
    SourceUnreachable,
    TransferCut,
)
from astro_assets.settings import PiSource, Secrets
from astro_assets.sources.known_hosts import Known, RefuseUnknown, load, name_of
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import Sink
from astro_assets.sources.ssh_faults import BROKEN, translated, unreachable
from astro_assets.sources.ssh_transport import CONNECT_TIMEOUT_S, SshTransport, open_socket

LISTING_TIMEOUT_S = 10
DATA_TIMEOUT_S = 30
_KEEPALIVE_S = 15
_CHUNK = 2**18
_MAX_TEXT_BYTES = 64 * 2**20

logging.getLogger("paramiko").addHandler(logging.NullHandler())


def ssh_client(source: PiSource, secrets: Secrets) -> paramiko.SSHClient:
    """A logged-in SSH connection; the caller closes it.

    Raises
    ------
    SourceUnreachable, LoginRefused
    IdentityRefused : the host key is not in ``known_hosts``, or is another one
    SettingsError : a variable is not set
    """
    where = f"{source.name}: {source.host}:{source.port}"
    user = secrets.value(source, "user_env")
    password = secrets.value(source, "password_env") if source.password_env else None
    known = load(source)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(RefuseUnknown(source))
    for kind, key in known.keys.items():
        client.get_host_keys().add(name_of(source), kind, key)
    try:
        _connect(client, source, where, user, password, known)
    except BaseException:
        client.close()
        raise
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_KEEPALIVE_S)
    return client


@contextmanager
def ssh_connection(source: PiSource, secrets: Secrets) -> Iterator[paramiko.SSHClient]:
    """As `ssh_client`, closed at the end: for one command.

    What breaks off within the block comes out as `SourceUnreachable`.
    """
    client = ssh_client(source, secrets)
    try:
        with translated(f"{source.name}: {source.host}:{source.port}"):
            yield client
    finally:
        client.close()


def _connect(
    client: paramiko.SSHClient,
    source: PiSource,
    where: str,
    user: str,
    password: str | None,
    known: Known,
) -> None:
    hint = f"check the variable {source.user_env}" + (
        f" and {source.password_env}" if source.password_env else " and key_file"
    )
    try:
        client.connect(
            source.host,
            source.port,
            username=user,
            password=password,
            key_filename=str(source.key_file) if source.key_file else None,
            timeout=CONNECT_TIMEOUT_S,
            banner_timeout=CONNECT_TIMEOUT_S,
            auth_timeout=CONNECT_TIMEOUT_S,
            channel_timeout=CONNECT_TIMEOUT_S,
            allow_agent=source.key_file is None and password is None,
            look_for_keys=source.key_file is None and password is None,
            sock=open_socket(source.host, source.port),
            transport_factory=partial(SshTransport, known_kinds=known.keys),
        )
    except paramiko.BadHostKeyException as error:
        raise IdentityRefused(
            f"{where} shows another host key than {source.known_hosts} has, no password was sent: "
            "if the Pi was set up anew, remove its line there, then run "
            f"astro-assets check {source.name} --trust"
        ) from error
    except (paramiko.AuthenticationException, paramiko.PasswordRequiredException) as error:
        raise LoginRefused(f"{where} refuses user {user!r}: {hint}") from error
    except FileNotFoundError as error:
        raise LoginRefused(
            f"{where}: the key file {source.key_file} is not there: correct key_file"
        ) from error
    except BROKEN as error:
        raise unreachable(where, error) from error


class SftpSession:
    """Files on one host: the transport without any idea of what they are."""

    def __init__(self, source: PiSource, secrets: Secrets) -> None:
        self._source = source
        self._secrets = secrets
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self.where = f"{source.name}: {source.host}:{source.port}"

    def __enter__(self) -> Self:
        self._close()
        self._client = ssh_client(self._source, self._secrets)
        try:
            with translated(self.where):
                self._sftp = self._client.open_sftp()
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

    def names(self, folder: str) -> list[str]:
        """The names in a folder. Raises `ListingFailed`."""
        with self._listing(folder) as sftp:
            return sorted(sftp.listdir(folder))

    def text(self, path: str) -> str | None:
        """A small text file; None when it is not there. Raises `ListingFailed`."""
        with self._listing(path) as sftp:
            try:
                with sftp.open(path, "rb") as file:
                    return file.read(_MAX_TEXT_BYTES).decode("utf-8", "replace")
            except FileNotFoundError:
                return None

    def download(self, path: str, sink: Sink) -> None:
        """Write the bytes of ``path``, then make sure that its size is still the same."""
        sftp = self._channel(DATA_TIMEOUT_S)
        where = f"{self.where}: {spelled(path)}"
        with translated(where):
            try:
                with sftp.open(path, "rb") as source:
                    before = source.stat()
                    sink.begin("")
                    source.prefetch(before.st_size)
                    while chunk := source.read(_CHUNK):
                        sink.write(chunk)
                after = sftp.stat(path)
            except (FileNotFoundError, PermissionError) as error:
                raise BrokenFile(
                    f"{where} is not handed over ({error.strerror}): look at it there"
                ) from error
        if (before.st_size, before.st_mtime) != (after.st_size, after.st_mtime):
            raise TransferCut(f"{where} changed while it was downloaded: the next look takes it")

    @contextmanager
    def _listing(self, path: str) -> Iterator[paramiko.SFTPClient]:
        sftp = self._channel(LISTING_TIMEOUT_S)
        try:
            yield sftp
        except BROKEN as error:
            reason = getattr(error, "strerror", None) or str(error) or "it hung up"
            raise ListingFailed(
                f"{self.where}: {spelled(path)!r} cannot be read ({reason}): "
                "check the source's path"
            ) from error

    def _channel(self, timeout_s: float) -> paramiko.SFTPClient:
        if self._sftp is None:
            raise SourceUnreachable(f"{self.where} is not connected: connect first")
        channel = self._sftp.get_channel()
        if channel is not None:
            channel.settimeout(timeout_s)
        return self._sftp

    def _close(self) -> None:
        client, self._client, self._sftp = self._client, None, None
        if client is not None:
            client.close()
