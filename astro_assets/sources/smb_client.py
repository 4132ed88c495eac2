"""A guest's session on an SMB share, with `smbprotocol`: its patience and its faults as ours.

What belongs here: connecting, time limits, translation of errors. What does not: files (`smb`).

A guest's session can neither be signed nor encrypted: it belongs on one's own network only.
"""

import logging
import socket
import struct
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from smbprotocol.connection import Connection
from smbprotocol.exceptions import (
    AccessDenied,
    BadNetworkName,
    LogonFailure,
    SMBAuthenticationError,
    SMBException,
    SMBResponseException,
)
from smbprotocol.header import NtStatus
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from astro_assets.errors import BrokenFile, ListingFailed, LoginRefused, SourceUnreachable

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 30
GUEST = "guest"

logging.getLogger("smbprotocol").addHandler(logging.NullHandler())
logging.getLogger("spnego").addHandler(logging.NullHandler())

# Beyond its own errors, the library lets through what a peer that does not keep to the protocol
# makes of its parsing.
_FAULTS = (
    SMBException, OSError, ValueError, struct.error, KeyError, IndexError, TypeError, EOFError,
)  # fmt: skip
_THIS_FILE = (
    NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
    NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
    NtStatus.STATUS_OBJECT_NAME_INVALID,
    NtStatus.STATUS_ACCESS_DENIED,
    NtStatus.STATUS_FILE_IS_A_DIRECTORY,
    NtStatus.STATUS_SHARING_VIOLATION,
    NtStatus.STATUS_STOPPED_ON_SYMLINK,
    NtStatus.STATUS_DELETE_PENDING,
)
GONE = (
    NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
    NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
    NtStatus.STATUS_DELETE_PENDING,
)


@dataclass(frozen=True, slots=True)
class SmbServer:
    """Where to connect. ``path`` is the folder in the share that paths are relative to."""

    name: str
    host: str
    port: int
    share: str
    path: str

    @property
    def where(self) -> str:
        return f"{self.name}: {self.host}:{self.port}"


class _Patient(Connection):  # type: ignore[misc]  # the library is not typed
    """Waits for no answer longer than `ANSWER_TIMEOUT_S`, and follows no links."""

    def receive(
        self,
        request: Any,
        wait: bool = True,
        timeout: float | None = None,
        resolve_symlinks: bool = False,
    ) -> Any:
        del resolve_symlinks
        return super().receive(request, wait, timeout or ANSWER_TIMEOUT_S, resolve_symlinks=False)


def open_share(server: SmbServer) -> TreeConnect:
    """A connection to the share as a guest; `close_share` ends it.

    Raises
    ------
    SourceUnreachable
    LoginRefused : guests are not let in
    ListingFailed : there is no such share
    """
    connection = _Patient(uuid.uuid4(), server.host, server.port, require_signing=False)
    try:
        with _unreachable(server.where):
            connection.connect(timeout=CONNECT_TIMEOUT_S)
            session = Session(connection, GUEST, "", require_encryption=False, auth_protocol="ntlm")
            session.connect()
            share = TreeConnect(session, rf"\\{server.host}\{server.share}")
            share.connect(require_secure_negotiate=False)
    except (LogonFailure, SMBAuthenticationError, AccessDenied) as error:
        _end(connection)
        raise LoginRefused(
            f"{server.where} does not let guests in: share its pictures in its own settings"
        ) from error
    except BadNetworkName as error:
        _end(connection)
        raise ListingFailed(
            f"{server.where} has no share {server.share!r}: correct share in the settings"
        ) from error
    except BaseException:
        _end(connection)
        raise
    return share


def close_share(share: TreeConnect) -> None:
    """Hang up. The server takes that as a good-bye, and a dead one is not waited for."""
    _end(share.session.connection)


def _end(connection: Connection) -> None:
    with suppress(*_FAULTS):
        connection.disconnect(close=False)


@contextmanager
def _unreachable(where: str) -> Iterator[None]:
    """What breaks off comes out as `SourceUnreachable`; refusals go through."""
    try:
        yield
    except (LogonFailure, SMBAuthenticationError, AccessDenied, BadNetworkName):
        raise
    except _FAULTS as error:
        raise _translated(where, error) from error


def _translated(where: str, error: Exception) -> SourceUnreachable:
    cause = error.__cause__ or error
    if isinstance(cause, socket.gaierror):
        return SourceUnreachable(f"{where} is not found: check the host and the network")
    if isinstance(cause, TimeoutError) or "timeout" in str(error).lower():
        return SourceUnreachable(f"{where} does not answer in time: is it on?")
    reason = getattr(cause, "strerror", None) or "the connection broke"
    return SourceUnreachable(f"{where} is not reached ({reason}): is it on, and the network?")


@contextmanager
def listing(where: str) -> Iterator[None]:
    """Faults while a folder is read, as `ListingFailed`."""
    try:
        yield
    except SMBResponseException as error:
        raise ListingFailed(
            f"{where} cannot be read ({_status(error)}): check the source's path"
        ) from error
    except _FAULTS as error:
        raise ListingFailed(f"{where} cannot be read: {_translated(where, error)}") from error


@contextmanager
def transferring(where: str) -> Iterator[None]:
    """Faults while one file is read: its own as `BrokenFile`, the connection's as unreachable."""
    try:
        yield
    except SMBResponseException as error:
        if error.status in _THIS_FILE:
            raise BrokenFile(
                f"{where} is not handed over ({_status(error)}): look at it there"
            ) from error
        raise _translated(where, error) from error
    except _FAULTS as error:
        raise _translated(where, error) from error


def _status(error: SMBResponseException) -> str:
    """``OBJECT_NAME_NOT_FOUND`` in words."""
    names = (name for name, value in vars(NtStatus).items() if value == error.status)
    name = next(names, f"status {error.status:#x}")
    return name.removeprefix("STATUS_").replace("_", " ").lower()
