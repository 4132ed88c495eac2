"""What comes in on an SSH connection, a few times faster than `paramiko` by itself takes it in.

What belongs here: packets in AES-GCM, taken out of large reads; the bytes of a channel, not
copied to and fro. What does not: how a connection begins (`ssh_transport`), SFTP
(`sftp_files`). All else, and every other cipher, is left to `paramiko`.
"""

import struct
import sys
import threading
from collections import deque
from typing import Any

import paramiko
from cryptography.exceptions import InvalidTag
from paramiko.buffered_pipe import PipeTimeout
from paramiko.packet import NeedRekeyException, Packetizer

_LENGTH = struct.Struct(">I")
_LENGTH_BYTES, _TAG_BYTES, _COUNTER_BYTES = 4, 16, 8
_LEAST_PADDING = 4
_MAX_PACKET_BYTES = 2**18
_BUFFER_BYTES = 2**19
_CHANNEL_DATA = 94
_DATA_HEAD = struct.Struct(">II")
"""a channel's number, and how many bytes of it follow"""


class GcmPackets(Packetizer):
    """Takes packets apart where AES-GCM (RFC 5647) protects them.

    `paramiko` asks the system for each packet twice, and copies it five times.
    """

    def __init__(self, socket: Any) -> None:
        super().__init__(socket)
        self._source = socket
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._at = self._end = 0
        self._engine: Any = None
        self._nonce = b""
        self._number = 0
        self._received = self._received_too_long = 0
        self._shaken_hands = False
        self._inflows: dict[int, Inflow] = {}

    def hand_to(self, channel: int, inflow: "Inflow") -> None:
        """From now on give the bytes of a channel straight to where they are read.

        `paramiko` itself makes a dozen calls for each packet of 32 kB, under Python's lock.
        """
        self._inflows[channel] = inflow

    def complete_handshake(self) -> None:
        """Stop the handshake's clock: `paramiko` calls this for each packet, to the end."""
        if not self._shaken_hands:
            self._shaken_hands = True
            super().complete_handshake()

    def set_inbound_cipher(
        self,
        block_engine: Any,
        block_size: int,
        mac_engine: Any,
        mac_size: int,
        mac_key: bytes | bytearray,
        etm: bool = False,
        aead: bool = False,
        iv_in: bytes | None = None,
    ) -> None:
        """Take packets apart here from now on, if their cipher is one of ours."""
        super().set_inbound_cipher(
            block_engine, block_size, mac_engine, mac_size, mac_key, etm, aead, iv_in
        )
        self._engine = block_engine if aead else None
        self._nonce = iv_in or b""
        self._received = 0

    def reset_seqno_in(self) -> None:
        super().reset_seqno_in()
        self._number = 0

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """As `paramiko` has it, without losing what was read in advance."""
        if self._engine is None and self._at == self._end:
            return super().read_all(n, check_rekey)
        self._wait_for(n, check_rekey)
        self._at += n
        return bytes(self._buffer[self._at - n : self._at])

    def read_message(self) -> tuple[int, paramiko.Message]:
        """The next packet: its kind and what it says. Raises as `paramiko` does."""
        if self._engine is None:
            return super().read_message()
        while True:
            packet, end = self._packet()
            number, self._number = self._number, (self._number + 1) % 2**32
            kind = packet[1]
            if kind != _CHANNEL_DATA:
                message = paramiko.Message(packet[2:end])
            elif self._handed_on(packet, end):
                continue
            else:
                message = _Data(memoryview(packet)[2:end])
            message.seqno = number
            return kind, message

    def _handed_on(self, packet: bytes, end: int) -> bool:
        """Give a channel's bytes to its reader, unless `paramiko` has to look after new keys."""
        start = 2 + _DATA_HEAD.size
        if end < start:
            return False
        channel, size_bytes = _DATA_HEAD.unpack_from(packet, 2)
        inflow = self._inflows.get(channel)
        if inflow is None or start + size_bytes != end or self.closed or self.need_rekey():
            return False
        inflow.feed(memoryview(packet)[start:end])
        return True

    def _packet(self) -> tuple[bytes, int]:
        """The next packet, with its padding, and where that begins."""
        self._wait_for(_LENGTH_BYTES, check_rekey=True)
        (length,) = _LENGTH.unpack_from(self._buffer, self._at)
        if not _LEAST_PADDING + 1 < length <= _MAX_PACKET_BYTES:
            raise paramiko.SSHException("a packet has an impossible length")
        self._wait_for(_LENGTH_BYTES + length + _TAG_BYTES)
        start = self._at + _LENGTH_BYTES
        self._at = start + length + _TAG_BYTES
        try:
            packet = self._engine.decrypt(
                self._nonce, self._buffer[start : self._at], self._buffer[start - 4 : start]
            )
        except InvalidTag as error:
            raise paramiko.SSHException("a packet was changed on its way") from error
        counter = int.from_bytes(self._nonce[-_COUNTER_BYTES:]) + 1
        self._nonce = self._nonce[:-_COUNTER_BYTES] + counter.to_bytes(_COUNTER_BYTES)
        padding = packet[0]
        if not _LEAST_PADDING <= padding < length - 1:
            raise paramiko.SSHException("a packet has an impossible padding")
        self._count(_LENGTH_BYTES + length + _TAG_BYTES)
        return packet, length - padding

    def _count(self, size_bytes: int) -> None:
        """Ask for new keys after as many bytes as `paramiko` would; insist on them."""
        self._received += size_bytes
        if self.need_rekey():
            self._received_too_long += size_bytes
            if self._received_too_long >= self.REKEY_BYTES_OVERFLOW_MAX:
                raise paramiko.SSHException("the server ignores that new keys are due")
        elif self._received >= self.REKEY_BYTES:
            self._received_too_long = 0
            self._trigger_rekey()  # type: ignore[attr-defined]

    def _wait_for(self, size_bytes: int, check_rekey: bool = False) -> None:
        """Return when so many bytes are in the buffer. Raises `EOFError`, `NeedRekeyException`."""
        if self._at == self._end or self._at + size_bytes > _BUFFER_BYTES:
            there = self._end - self._at
            self._buffer[:there] = self._buffer[self._at : self._end]
            self._at, self._end = 0, there
        while self._end - self._at < size_bytes:
            if self.handshake_timed_out():
                raise EOFError
            try:
                received = self._source.recv_into(self._buffer[self._end :])
            except TimeoutError:
                # The socket's time-out is short, so that one looks here now and then.
                if self.closed:
                    raise EOFError from None
                if check_rekey and self._at == self._end and self.need_rekey():
                    raise NeedRekeyException from None
                self._check_keepalive()  # type: ignore[attr-defined]
                continue
            except OSError:
                if self.closed:
                    raise EOFError from None
                raise
            if not received:
                raise EOFError
            self._end += received


class _Data(paramiko.Message):
    """A channel's number and bytes, as they are asked for: in this order, and nothing else."""

    def __init__(self, content: memoryview) -> None:
        super().__init__()
        self._content = content
        self._read = 0

    def get_int(self) -> int:
        (number,) = _LENGTH.unpack_from(self._content, self._read)
        self._read += _LENGTH.size
        return int(number)

    def get_binary(self) -> bytes:
        size_bytes = self.get_int()
        return bytes(self._content[self._read : self._read + size_bytes])


class Inflow:
    """The bytes of a channel, in place of the pipe that `paramiko` gives it.

    Whoever reads gets all that he asked for, and is woken when that is there, not for each piece.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pieces: deque[memoryview] = deque()
        self._there = 0
        self._wanted = sys.maxsize  # nobody waits
        self._closed = False

    def feed(self, data: bytes | memoryview) -> None:
        with self._lock:
            self._pieces.append(memoryview(data))
            self._there += len(data)
            if self._there >= self._wanted:
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(self, size_bytes: int, timeout_s: float | None = None) -> bytes:
        """So many bytes; fewer when the channel has ended.

        Raises `PipeTimeout` when nothing at all has come for ``timeout_s``.
        """
        with self._changed:
            self._wanted = size_bytes
            try:
                while self._there < size_bytes and not self._closed:
                    before = self._there
                    if not self._changed.wait(timeout_s) and self._there == before:
                        raise PipeTimeout
            finally:
                self._wanted = sys.maxsize
            left = min(size_bytes, self._there)
            self._there -= left
            taken = []
            while left:
                piece = self._pieces.popleft()
                if len(piece) > left:
                    self._pieces.appendleft(piece[left:])
                    piece = piece[:left]
                taken.append(piece)
                left -= len(piece)
            return b"".join(taken)

    def __len__(self) -> int:
        return self._there
