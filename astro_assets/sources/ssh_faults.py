"""What breaks on an SSH connection, as sentences.

What belongs here: `paramiko`'s and the socket's exceptions in our own terms. What does not: the
connection (`ssh`), host keys (`known_hosts`).
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko

from astro_assets.errors import SourceUnreachable

BROKEN = (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError)
"""what `paramiko` raises when a connection, or the dialogue on it, breaks"""


def unreachable(where: str, error: Exception) -> SourceUnreachable:
    """The error of a connection that was not made, or broke.

    where : source, host and port, and the file if there is one
    """
    if isinstance(error, socket.gaierror):
        return SourceUnreachable(f"{where} is not found: check the host and the network")
    if isinstance(error, TimeoutError):
        return SourceUnreachable(f"{where} does not answer in time: is it on?")
    reason = getattr(error, "strerror", None) or str(error) or "it hung up"
    return SourceUnreachable(f"{where} is not reached ({reason}): is it on, and the network?")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Let what breaks within come out as `SourceUnreachable`."""
    try:
        yield
    except BROKEN as error:
        raise unreachable(where, error) from error
