"""What a server shows of itself before anybody has logged in: its certificate or its host key.

What belongs here: asking for it, and reading it, for a person to compare. What does not: whether
it is trusted (`tls`, `known_hosts`). Nothing secret is sent.
"""

import ftplib
import hashlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from astro_assets.errors import IdentityRefused, SourceUnreachable

if TYPE_CHECKING:
    from cryptography import x509

TIMEOUT_S = 10


class Server(Protocol):
    """A source that is reached over the network."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What was shown.

    what : "certificate" or "host key"
    sentence : for a person to compare
    remedy : what makes it trusted, for whoever has compared it
    store : does so by itself, where that is possible
    """

    what: str
    sentence: str
    remedy: str
    store: Callable[[], object] | None = None


def ftps_certificate(source: Server) -> Identity:
    """The certificate after AUTH TLS. Raises `SourceUnreachable`, `IdentityRefused`."""
    client = ftplib.FTP_TLS(context=_asking_only(), timeout=TIMEOUT_S)  # noqa: S321
    where = f"{source.name}: {source.host}:{source.port}"
    try:
        client.connect(source.host, source.port)
        client.auth()
        return _certificate(client.sock.getpeercert(binary_form=True))  # type: ignore[union-attr]
    except ftplib.error_perm as error:
        raise IdentityRefused(
            f"{where} offers no TLS, no password was sent: check host and port"
        ) from error
    except ftplib.all_errors as error:
        raise _no_answer(where) from error
    finally:
        client.close()


def https_certificate(source: Server) -> Identity:
    """The certificate of a web server. Raises `SourceUnreachable`."""
    where = f"{source.name}: {source.host}:{source.port}"
    try:
        with (
            socket.create_connection((source.host, source.port), timeout=TIMEOUT_S) as connection,
            _asking_only().wrap_socket(connection, server_hostname=source.host) as secured,
        ):
            return _certificate(secured.getpeercert(binary_form=True))
    except OSError as error:
        raise _no_answer(where) from error


def ssh_host_key(source: Server) -> Identity:
    """The host key of an SSH server. Raises `SourceUnreachable`, `IdentityRefused`."""
    from astro_assets.settings import PiSource
    from astro_assets.sources import known_hosts

    assert isinstance(source, PiSource)
    shown = known_hosts.host_key(source)
    return Identity(
        what="host key",
        sentence=f"{shown.kind} {shown.fingerprint}",
        remedy=f"astro-assets check {source.name} --trust",
        store=lambda: known_hosts.trust(source, shown),
    )


def _asking_only() -> ssl.SSLContext:
    """A context that takes any certificate, for a connection that sends nothing but a question."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _certificate(der: bytes | None) -> Identity:
    from cryptography import x509

    assert der is not None  # a TLS server has shown one
    certificate = x509.load_der_x509_certificate(der)
    sha256 = hashlib.sha256(der).hexdigest()
    until = certificate.not_valid_after_utc
    valid = "valid until" if until > datetime.now(UTC) else "expired on"
    return Identity(
        what="certificate",
        sentence=f"{_name(certificate.subject)}, issued by {_name(certificate.issuer)}, "
        f"{valid} {until:%Y-%m-%d}; SHA-256 {sha256}",
        remedy=f'certificate_sha256="{sha256}"',
    )


def _name(name: "x509.Name") -> str:
    """The common name, or all of it."""
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string() or "nobody"


def _no_answer(where: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"{where} takes connections but does not begin to speak TLS: check host and port"
    )
