"""What comes in by TLS, in large pieces.

What belongs here: one connection that is only read from, from its handshake to its good-bye. What
does not: whom we trust (`tls`), what is transferred (`ftp_client`).
"""

import socket
import ssl
from contextlib import suppress

_RECEIVED_AT_ONCE = 2**18
_GOODBYE_S = 2


class TlsStream:
    """TLS on a connected socket.

    An `ssl.SSLSocket` asks the system twice for each record of 16 KB, and wakes up for each.
    Takes the socket over: it is closed with the stream, and where the handshake fails.

    Raises, in every method, what a `ssl.SSLSocket` does; an end without good-bye is an
    `ssl.SSLEOFError`.
    """

    def __init__(
        self,
        connection: socket.socket,
        context: ssl.SSLContext,
        server_hostname: str,
        session: ssl.SSLSession | None,
    ) -> None:
        self._connection = connection
        self._received = memoryview(bytearray(_RECEIVED_AT_ONCE))
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=server_hostname, session=session
            )
            self._shake_hands()
        except BaseException:
            connection.close()
            raise

    def recv_into(self, buffer: memoryview, size_bytes: int) -> int:
        """Wait for bytes, and take as many as are here; none at the end."""
        filled = 0
        while filled < size_bytes:
            try:
                size = self._tls.read(size_bytes - filled, buffer[filled:])
            except ssl.SSLWantReadError:
                if filled:
                    break
                self._receive()
                continue
            if not size:
                break
            filled += int(size)
        return filled

    def say_goodbye(self) -> None:
        """Answer the other side's good-bye; whether it waits for that does not matter."""
        with suppress(OSError, ValueError):
            self._connection.settimeout(_GOODBYE_S)
            with suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
            self._send()

    def close(self) -> None:
        self._connection.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send()
                self._receive()
            except ssl.SSLError:
                with suppress(OSError):
                    self._send()  # why we refuse
                raise
            else:
                return self._send()

    def _receive(self) -> None:
        self._send()  # an answer that TLS itself owes
        size = self._connection.recv_into(self._received)
        if size:
            self._incoming.write(self._received[:size])
        else:
            self._incoming.write_eof()

    def _send(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())
