"""The SFTP dialogue where `paramiko`'s own is too slow or too trusting.

What belongs here: reading with many requests under way and until the server says that the file
ends, whatever size it told before; folders whose names are any bytes. What does not: what a fault
means for a file (`sftp`).
"""

import os
import stat
import struct
from collections import deque
from collections.abc import Iterator
from threading import Timer
from typing import TYPE_CHECKING, NamedTuple, Self

import paramiko
from paramiko.sftp import (
    CMD_ATTRS,
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_LSTAT,
    CMD_NAME,
    CMD_OPEN,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_STATUS,
    SFTP_FLAG_READ,
    int64,
)

from astro_assets.sources.ssh_packets import GcmPackets, Inflow

_WINDOW_BYTES = 2**22
_PACKET_BYTES = 2**18 - 1024
_REQUEST_BYTES = 255 * 1024
"""As much as OpenSSH answers at once; a server that gives less is asked for less."""
_LEAST_REQUEST_BYTES = 2**12
_UNDER_WAY = 8
_MAX_ANSWER_BYTES = 2**24
_HEAD = struct.Struct(">IB")
_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 1, 2, 4, 8, 2**31


class Refused(OSError):
    """The server's answer to one request is no; the connection is as good as before."""


class Status(NamedTuple):
    """What a server says of a file; None is what it leaves out."""

    size_bytes: int | None
    mode: int | None
    modified_s: int | None

    @property
    def is_file(self) -> bool:
        """Whether it is no folder, link or device."""
        return self.mode is not None and stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)


class Files(paramiko.SFTPClient):
    """`paramiko`'s client. After any exception but `Refused` it has to be closed.

    Names are text with what is no UTF-8 as lone surrogates, as Python has local names.
    """

    if TYPE_CHECKING:  # what its stubs leave out

        def _request(self, kind: int, *args: object) -> tuple[int, paramiko.Message]: ...
        def _async_request(self, answered: "_Answers", kind: int, *args: object) -> int: ...
        def _read_response(self) -> object: ...
        def _read_all(self, size_bytes: int) -> bytes: ...

    @classmethod
    def on(cls, transport: paramiko.Transport, timeout_s: float) -> Self:
        """A dialogue on a connection that is logged in."""
        channel = transport.open_session(_WINDOW_BYTES, _PACKET_BYTES, timeout=timeout_s)
        channel.settimeout(timeout_s)
        inflow = Inflow()
        channel.in_buffer = inflow  # type: ignore[assignment]
        if isinstance(transport.packetizer, GcmPackets):
            transport.packetizer.hand_to(channel.chanid, inflow)
        # Waiting for this one answer knows no end by itself.
        watchdog = Timer(timeout_s, transport.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            channel.invoke_subsystem("sftp")
        finally:
            watchdog.cancel()
        return cls(channel)

    def entries(self, folder: str) -> Iterator[tuple[str, Status]]:
        """What lies in a folder, in the server's order. Links are not followed."""
        handle = self._handle(CMD_OPENDIR, encoded(folder))
        answers = _Answers(self)
        under_way = deque(answers.ask(CMD_READDIR, handle) for _ in range(_UNDER_WAY))
        while True:
            try:
                kind, answer = answers.wait(under_way.popleft())
            except EOFError:
                break
            _expect(kind, CMD_NAME)
            under_way.append(answers.ask(CMD_READDIR, handle))
            yield from _names(answer)
        self.ask(CMD_CLOSE, handle)

    def status(self, path: str) -> Status:
        """What is at ``path`` now. A link is not followed."""
        kind, answer = self.ask(CMD_LSTAT, encoded(path))
        _expect(kind, CMD_ATTRS)
        return _status(answer)

    def reading(self, path: str) -> "Reading":
        """A file opened to be read."""
        handle = self._handle(CMD_OPEN, encoded(path), SFTP_FLAG_READ, paramiko.SFTPAttributes())
        return Reading(self, handle)

    def sync(self, file: paramiko.SFTPFile) -> None:
        """Have the server put a written file on stable storage, where it knows how."""
        try:
            self.ask(CMD_EXTENDED, "fsync@openssh.com", file.handle)
        except Refused as error:
            if error.errno is not None:
                raise

    def ask(self, kind: int, *args: object) -> tuple[int, paramiko.Message]:
        """A request and its answer. Raises `Refused`, `EOFError`."""
        return self._request(kind, *args)

    def ask_ahead(self, answered: "_Answers", kind: int, *args: object) -> int:
        """A request whose answer is given to ``answered``, by the number returned here."""
        return self._async_request(answered, kind, *args)

    def take_answer(self) -> None:
        """Wait for the next answer, whatever it answers."""
        self._read_response()

    def judge(self, status: paramiko.Message) -> None:
        """Raise `Refused` or `EOFError` when an answer says so."""
        self._convert_status(status)

    def _read_packet(self) -> tuple[int, bytes]:
        """The next answer, whatever it answers: its kind, and the rest of it in one piece."""
        head = self._read_all(_HEAD.size)
        length, kind = _HEAD.unpack(head)
        if not 1 <= length <= _MAX_ANSWER_BYTES:
            raise paramiko.SFTPError("an answer has an impossible length")
        return kind, self._read_all(length - 1)

    def _handle(self, kind: int, *args: object) -> bytes:
        answer, message = self.ask(kind, *args)
        _expect(answer, CMD_HANDLE)
        return message.get_string()

    def _convert_status(self, message: paramiko.Message) -> None:
        try:
            super()._convert_status(message)  # type: ignore[misc]
        except OSError as error:
            # Not in the server's words: it may repeat what it was told.
            said = os.strerror(error.errno) if error.errno else "the server refuses"
            raise Refused(error.errno, said) from None


class _Answers:
    """Answers to requests that were made in advance, in whatever order they come."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._there: dict[int, tuple[int, paramiko.Message]] = {}

    def ask(self, kind: int, *args: object) -> int:
        """The number of a request that is on its way now."""
        return self._files.ask_ahead(self, kind, *args)

    def wait(self, number: int) -> tuple[int, paramiko.Message]:
        """The answer to a request. Raises `Refused`, `EOFError`."""
        while number not in self._there:
            self._files.take_answer()
        kind, message = self._there.pop(number)
        if kind == CMD_STATUS:
            self._files.judge(message)
        return kind, message

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        """What `paramiko` calls with each answer."""
        self._there[number] = (kind, message)


class _Request(NamedTuple):
    """A part of a file that was asked for."""

    offset: int
    length: int
    number: int


class Reading:
    """The bytes of an opened file, asked for in advance.

    It is to be closed when all went well; else the whole connection is.
    """

    def __init__(self, files: Files, handle: bytes) -> None:
        self._files = files
        self._handle = handle
        self._answers = _Answers(files)

    def close(self) -> None:
        self._files.ask(CMD_CLOSE, self._handle)

    def chunks(
        self, start: int, expected_end: int, request_bytes: int = _REQUEST_BYTES
    ) -> Iterator[memoryview]:
        """The bytes from ``start`` until the server says that there are no more.

        expected_end : up to there requests are made in advance; beyond it they go one by one
        """
        size, following = request_bytes, start
        under_way: deque[_Request] = deque()
        while True:
            while not under_way or (following < expected_end and len(under_way) < _UNDER_WAY):
                under_way.append(self._asked(following, size))
                following += size
            request = under_way.popleft()
            try:
                data = self._data(request)
            except EOFError:
                return
            yield data
            missing = request.length - len(data)
            if missing:
                size = max(len(data), _LEAST_REQUEST_BYTES)
                under_way.appendleft(self._asked(request.offset + len(data), missing))

    def _asked(self, offset: int, length: int) -> _Request:
        number = self._answers.ask(CMD_READ, self._handle, int64(offset), length)
        return _Request(offset, length, number)

    def _data(self, request: _Request) -> memoryview:
        """At least one byte. Raises `EOFError` at the end of the file."""
        kind, message = self._answers.wait(request.number)
        _expect(kind, CMD_DATA)
        announced = message.get_int()
        data = memoryview(message.asbytes())[message.packet.tell() :]
        # `paramiko` itself would fill up with zeros.
        if not 0 < len(data) == announced <= request.length:
            raise paramiko.SFTPError("an answer holds another number of bytes than it says")
        return data


def encoded(path: str) -> bytes:
    """A path as the server spells it. Raises `ValueError` for what no server can spell."""
    name = path.encode("utf-8", "surrogateescape")
    if b"\0" in name:
        raise ValueError("a name holds a NUL")
    return name


def _expect(kind: int, expected: int) -> None:
    if kind != expected:
        raise paramiko.SFTPError(f"the server answers by {kind} where {expected} is due")


def _names(answer: paramiko.Message) -> Iterator[tuple[str, Status]]:
    for _ in range(answer.get_int()):
        name = answer.get_string().decode("utf-8", "surrogateescape")
        answer.get_string()  # the same as a line of text
        status = _status(answer)
        if name not in (".", ".."):
            yield name, status


def _status(answer: paramiko.Message) -> Status:
    flags = answer.get_int()
    size = answer.get_int64() if flags & _HAS_SIZE else None
    if flags & _HAS_OWNER:
        answer.get_int()
        answer.get_int()
    mode = answer.get_int() if flags & _HAS_MODE else None
    modified = None
    if flags & _HAS_TIMES:
        answer.get_int()
        modified = answer.get_int()
    if flags & _HAS_MORE:
        for _ in range(2 * answer.get_int()):
            answer.get_string()
    return Status(size, mode, modified)
