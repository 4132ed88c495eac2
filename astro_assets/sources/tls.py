"""How we trust servers with a certificate: checked by default, TLS 1.2 at least.

What belongs here: one context for FTPS and HTTPS, as a source's settings want it. What does not:
host keys (`known_hosts`).
"""

import hashlib
import logging
import ssl
from pathlib import Path
from typing import Self

from astro_assets.errors import IdentityRefused
from astro_assets.settings.sources import Trust

log = logging.getLogger(__name__)


def client_context(trust: Trust, source: str) -> ssl.SSLContext:
    """A context for one connection, which refuses in the handshake whom ``trust`` does not name.

    Nothing of ours is sent before. What is refused comes out as `ssl.SSLCertVerificationError`,
    for `no_trust`.

    Parameters
    ----------
    source : the source's name, for errors and for the warning that nothing is checked

    Raises
    ------
    IdentityRefused : ``ca_file`` cannot be read
    """
    if trust.certificate_sha256 is not None:
        context: ssl.SSLContext = _PinnedContext(trust.certificate_sha256)
    elif trust.insecure_no_certificate_check:
        log.warning(
            "%s: insecure_no_certificate_check is set, anybody in between can read the password "
            "and change frames: name its authority with ca_file, or pin its certificate",
            source,
        )
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _checking(trust.ca_file, source)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _checking(ca_file: Path | None, source: str) -> ssl.SSLContext:
    """A context that checks certificate and host name."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise IdentityRefused(
            f"{source}: the CA file {ca_file} cannot be read ({error.strerror or error}): "
            "correct ca_file"
        ) from error


class _PinnedSocket(ssl.SSLSocket):
    """Ends the handshake with an error unless the other side shows the one certificate."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _compare(self)


class _PinnedObject(ssl.SSLObject):
    """The same where the bytes are carried by somebody else."""

    def do_handshake(self) -> None:
        super().do_handshake()
        _compare(self)


class _PinnedContext(ssl.SSLContext):
    """Believes one certificate, whoever signed it and for whatever name."""

    sslsocket_class = _PinnedSocket
    sslobject_class = _PinnedObject
    sha256: str

    def __new__(cls, sha256: str) -> Self:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.sha256 = sha256
        return context


def _compare(tls: ssl.SSLSocket | ssl.SSLObject) -> None:
    """Raise unless the other side has shown the pinned certificate."""
    assert isinstance(tls.context, _PinnedContext)
    shown = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
    if shown != tls.context.sha256:
        error = ssl.SSLCertVerificationError(1, "another certificate than the pinned one")
        error.verify_message = f"it is not the pinned one, its SHA-256 is {shown}"
        raise error


def no_trust(where: str, error: ssl.SSLCertVerificationError, trust: Trust) -> IdentityRefused:
    """What to say of a certificate that does not hold."""
    if trust.certificate_sha256 is not None:
        remedy = "if the server has a new one, compare it and set certificate_sha256 anew"
    elif trust.ca_file:
        remedy = f"is {trust.ca_file} still the right ca_file?"
    else:
        remedy = "if it is the right server, name its authority with ca_file"
    return IdentityRefused(
        f"{where} shows a certificate that is not trusted ({error.verify_message}), no password "
        f"was sent: {remedy}"
    )
