"""How we trust servers with a certificate: always checked, TLS 1.2 at least.

What belongs here: one context for FTPS and HTTPS. What does not: host keys (`sftp`).
"""

import ssl
from pathlib import Path

from astro_assets.errors import IdentityRefused


def client_context(ca_file: Path | None, source: str) -> ssl.SSLContext:
    """A context that checks certificate and host name.

    Parameters
    ----------
    ca_file : trust only what this file (PEM) vouches for; None for the system's authorities

    Raises
    ------
    IdentityRefused : ``ca_file`` cannot be read
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise IdentityRefused(
            f"{source}: the CA file {ca_file} cannot be read ({error.strerror or error}): "
            "correct ca_file"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def no_trust(where: str, reason: str, ca_file: Path | None) -> IdentityRefused:
    """The error for a certificate that does not hold."""
    remedy = (
        f"is {ca_file} still the right ca_file?"
        if ca_file
        else "if it is the right server, name its authority with ca_file"
    )
    return IdentityRefused(
        f"{where} shows a certificate that is not trusted ({reason}), no password was sent: "
        f"{remedy}"
    )
