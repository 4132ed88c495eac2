"""How an SSH connection is begun: the socket, and which algorithms are asked for.

What belongs here: what comes before anybody is trusted or logged in. What does not: host keys
(`known_hosts`), log-in (`ssh`).
"""

import socket
from collections.abc import Collection, Iterable, Mapping

import paramiko

from astro_assets.sources.ssh_packets import GcmPackets

CONNECT_TIMEOUT_S = 10
_FAST = "aes128-gcm@openssh.com"


def open_socket(host: str, port: int) -> socket.socket:
    """A connected socket. Raises `OSError`."""
    connected = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    # A request for the next bytes must not wait until an earlier one is acknowledged.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class SshTransport(paramiko.Transport):
    """Asks first for the kinds of host keys that are known, and for the fastest cipher.

    known_kinds : of keys, as ``known_hosts`` names them
    """

    def __init__(
        self,
        sock: socket.socket,
        known_kinds: Collection[str] = (),
        *,
        disabled_algorithms: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__(sock, disabled_algorithms=disabled_algorithms, packetizer_class=GcmPackets)
        self.banner_timeout = CONNECT_TIMEOUT_S
        options = self.get_security_options()
        # Otherwise a host that has several keys shows one that we cannot compare.
        options.key_types = sorted(
            options.key_types, key=lambda kind: _plain(kind) not in known_kinds
        )
        options.ciphers = sorted(options.ciphers, key=lambda cipher: cipher != _FAST)


def _plain(kind: str) -> str:
    """An RSA key signs in several ways and is one kind of key."""
    return "ssh-rsa" if kind.startswith("rsa-sha2-") else kind
