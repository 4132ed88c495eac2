"""One FTP dialogue, with `ftplib`: log-in, TLS, one transfer, and errors in our own words.

What belongs here: what `ftplib` does not do by itself. What does not: trees and files (`ftp`),
whom we trust (`tls`).
"""

import ftplib
import hashlib
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from astro_assets.errors import (
    BrokenFile,
    IdentityRefused,
    ListingFailed,
    LoginRefused,
    SourceUnreachable,
    Transient,
)
from astro_assets.settings.sources import Trust
from astro_assets.sources.paths import spelled
from astro_assets.sources.tls import client_context, no_trust
from astro_assets.sources.tls_stream import TlsStream

log = logging.getLogger(__name__)

LISTING_TIMEOUT_S = 10
DATA_TIMEOUT_S = 30
ANONYMOUS = "anonymous"
_CHUNK = 2**20
"""What is handed on at once: a thread that stops for each small piece waits for the others."""
_LATEST_S = 0.25
"""or what came within this time, so that a slow server's progress is seen"""
_OF_THE_FILE = ("501", "550", "551", "553")
"""Refusals that mean this one file; any other is about the connection or the log-in."""
_HANGS_UP = "421"


@dataclass(frozen=True, slots=True)
class FtpServer:
    """Where to connect, and as whom. ``path`` is the folder that paths are relative to."""

    name: str
    host: str
    port: int
    path: str
    user: str
    login_hint: str
    password: str = field(repr=False)
    tls: bool = False
    trust: Trust = field(default_factory=Trust)

    @property
    def where(self) -> str:
        return f"{self.name}: {self.host}:{self.port}"


def open_client(server: FtpServer) -> ftplib.FTP:
    """Connect, make sure of TLS where it is wanted, and log in.

    Raises
    ------
    SourceUnreachable, LoginRefused
    IdentityRefused : before the password was sent
    """
    client = TlsClient(client_context(server.trust, server.name)) if server.tls else PlainClient()
    try:
        with translated(server):
            client.connect(server.host, server.port, timeout=LISTING_TIMEOUT_S)
        if isinstance(client, TlsClient):
            _secure(client, server)
        _log_in(client, server)
        with translated(server):
            if isinstance(client, TlsClient):
                _protect(client, server)
            client.voidcmd("TYPE I")
    except BaseException:
        client.close()
        raise
    return client


Stream = socket.socket | TlsStream
"""a data connection"""


class PlainClient(ftplib.FTP):
    def __init__(self) -> None:
        # Every byte of a name must survive; `wire` and `_name` know that it is UTF-8, or not.
        super().__init__(encoding="latin-1")


class TlsClient(ftplib.FTP_TLS):
    """Reuses the control channel's session for data, as strict servers demand."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context, encoding="latin-1")

    def stream(self, connection: socket.socket) -> TlsStream:
        """TLS on a data connection."""
        session = self.sock.session  # type: ignore[union-attr]
        return TlsStream(connection, self.context, self.host, session)


def _secure(client: TlsClient, server: FtpServer) -> None:
    """AUTH TLS, before any secret is sent."""
    with translated(server):
        try:
            client.auth()
        except ftplib.error_perm as error:
            raise IdentityRefused(
                f"{server.where} offers no TLS ({reply(error, server)}): no password was sent; "
                "check host and port"
            ) from None


def _protect(client: TlsClient, server: FtpServer) -> None:
    try:
        client.prot_p()
    except ftplib.error_perm as error:
        raise IdentityRefused(
            f"{server.where} refuses to protect the data ({reply(error, server)}): "
            "nothing is fetched from it"
        ) from None


def _log_in(client: ftplib.FTP, server: FtpServer) -> None:
    with translated(server):
        try:
            # The base class's, for AUTH TLS has been dealt with already.
            ftplib.FTP.login(  # noqa: S321 - the Vespera has nothing else
                client, wire(server.user), wire(server.password)
            )
        except ftplib.error_perm as error:
            raise LoginRefused(
                f"{server.where} refuses user and password ({reply(error, server)}): "
                f"{server.login_hint}"
            ) from None


def reply(error: Exception, server: FtpServer) -> str:
    """What the server answered; it may echo what it was sent."""
    return _shown(str(error), server)


def _shown(answer: str, server: FtpServer) -> str:
    return masked(spelled(_name(answer)), server)


def masked(text: str, server: FtpServer) -> str:
    """What a server says, without what it was told."""
    for secret in (server.password, server.user):
        if secret and secret != ANONYMOUS:
            text = text.replace(secret, "…")
    return text


def begun(client: ftplib.FTP, command: str, timeout_s: float, offset: int = 0) -> Stream:
    """The data connection of a transfer that the server has agreed to, for `drained`."""
    client.timeout = timeout_s
    client.sock.settimeout(timeout_s)  # type: ignore[union-attr]
    # The base class's, for its TLS takes up no session, and lets data end without a good-bye.
    connection, _ = ftplib.FTP.ntransfercmd(client, command, offset or None)  # noqa: S321
    return client.stream(connection) if isinstance(client, TlsClient) else connection


def drained(client: ftplib.FTP, connection: Stream, take: Callable[[memoryview], object]) -> str:
    """Hand on all bytes, up to a clean end of data. Returns the final reply, a good one.

    What came before a fault is handed on too. ``take`` is given memory that is used again.
    """
    buffer = memoryview(bytearray(_CHUNK))
    filled, due = 0, time.monotonic() + _LATEST_S
    try:
        while size := connection.recv_into(buffer[filled:], _CHUNK - filled):
            filled += size
            if filled == _CHUNK or time.monotonic() >= due:
                full, filled = filled, 0
                take(buffer[:full])
                due = time.monotonic() + _LATEST_S
        if isinstance(connection, TlsStream):
            connection.say_goodbye()
    finally:
        connection.close()
        if filled:
            take(buffer[:filled])
    return client.voidresp()


def listed(client: ftplib.FTP, command: str, where: str) -> list[str]:
    """The lines of a listing. Raises `ListingFailed` when the last one is cut."""
    raw = bytearray()
    ending = drained(client, begun(client, command, LISTING_TIMEOUT_S), raw.extend)
    if raw and not raw.endswith(b"\n"):
        raise ListingFailed(f"{where} was listed only in part: the next look tries again")
    if "failed to open" in ending:
        # vsftpd calls a transfer done, but adds in brackets that it could not look there.
        raise ftplib.error_perm(f"550 {ending[4:]}")  # noqa: S321 - not a call of it
    return [
        line.rstrip("\r") for line in raw.decode("utf-8", "surrogateescape").split("\n") if line
    ]


def asked(client: ftplib.FTP, command: str) -> str:
    """The answer to SIZE, MDTM or MLST; empty when the server does not give one."""
    try:
        return client.sendcmd(command)[4:].strip()
    except ftplib.error_perm:
        return ""
    except ftplib.error_temp as error:
        if str(error).startswith(_HANGS_UP):
            raise
        return ""


def features(client: ftplib.FTP, server: FtpServer) -> frozenset[str]:
    """What the server says that it can do; it and what it says of itself go into the log."""
    with translated(server):
        answer = asked(client, "FEAT")
    words = [line.split() for line in answer.splitlines()[1:] if line[:1].isspace()]
    able = frozenset(line[0].upper() for line in words if line)
    log.info(
        "%s greets with %r; it can %s; %s",
        server.where,
        _shown(client.getwelcome() or "", server),
        _shown(" ".join(sorted(able)), server) or "not say what it can",
        _security(client),
    )
    return able


def _security(client: ftplib.FTP) -> str:
    connection = client.sock
    if not isinstance(connection, ssl.SSLSocket):
        return "nothing is encrypted"
    # Without a check of the certificate there is no subject to be had, but always its bytes.
    shown: Any = (connection.getpeercert() or {}).get("subject", ())
    subject = " ".join(f"{key}={value}" for part in shown for key, value in part)
    sha256 = hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    return f"{connection.version()}, certificate of {subject or 'somebody'}, SHA-256 {sha256}"


@contextmanager
def translated(
    server: FtpServer, *, listing: str | None = None, file: str | None = None
) -> Iterator[None]:
    """What `ftplib` and the network raise, in our own words."""
    subject = listing or file or server.where
    broken: type[Transient] = ListingFailed if listing else SourceUnreachable
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise no_trust(server.where, error, server.trust) from error
    except ftplib.error_perm as error:
        text = f"{subject} is not handed over ({reply(error, server)})"
        if file and str(error).startswith(_OF_THE_FILE):
            raise BrokenFile(f"{text}: look at it there") from None
        raise broken(f"{text}: check the source's path and rights") from None
    except ftplib.Error as error:
        raise broken(f"{subject}: the server answers {reply(error, server)!r}") from None
    except socket.gaierror as error:
        raise SourceUnreachable(
            f"{server.where} is not found ({error.strerror}): check the host and the network"
        ) from error
    except TimeoutError as error:
        raise SourceUnreachable(f"{subject} does not answer in time: is it on?") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it hung up"
        raise (SourceUnreachable if not (listing or file) else broken)(
            f"{subject} is not reached ({reason}): is it on, and the network?"
        ) from error


def wire(text: str) -> str:
    """A name as `ftplib` must have it so that its bytes on the wire are the server's own."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _name(text: str) -> str:
    """The inverse of `wire`."""
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
