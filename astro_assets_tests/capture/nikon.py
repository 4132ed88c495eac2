"""A Nikon D750 of which only the PTP is there: libgphoto2's driver speaks to it as to a real one.

Unlike libgphoto2's own virtual camera it has bulb, RAW with JPEG, and an image quality to choose.
The numbers are those of PTP (ISO 15740) and Nikon's extensions to it.
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

OK, GENERAL_ERROR, UNSUPPORTED, NO_OBJECT, BUSY = 0x2001, 0x2002, 0x2005, 0x2009, 0x2019
COMMAND, DATA, RESPONSE = 1, 2, 3
BULB = 0xFFFFFFFF
QUALITY, EXPOSURE, PROGRAM, ISO = 0x5004, 0x500D, 0x500E, 0x500F
JPEG_FORMAT, RAW_FORMAT = 0x3801, 0x3000
ADDED_IN_MEMORY, CAPTURE_COMPLETE = 0xC101, 0x400D
JPEG, RAW, RAW_AND_JPEG = 2, 4, 7
"""image qualities: JPEG fine, NEF, NEF with JPEG fine"""
BETWEEN_S = 0.6
"""from one file of a pair to its twin"""


@dataclass
class Property:
    """A setting, as ``struct`` packs it, with what may be chosen."""

    letter: str
    value: int
    choices: list[int]

    def described(self, code: int) -> bytes:
        kind = {"B": 2, "H": 4, "I": 6}[self.letter]
        values = [self.choices[0], self.value]
        packed = struct.pack(f"<HHB{2 * self.letter}BH", code, kind, 1, *values, 2,
                             len(self.choices))  # fmt: skip
        return packed + struct.pack(f"<{len(self.choices)}{self.letter}", *self.choices)


@dataclass
class Nikon:
    """One camera at a socket. ``taken`` are the exposures that it made, in seconds."""

    path: Path
    taken: list[float] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    busy_times: int = 0
    """so often it answers that it is busy before it takes the next picture"""

    def __post_init__(self) -> None:
        self.properties = {
            QUALITY: Property("B", JPEG, [0, 1, JPEG, RAW, 5, 6, RAW_AND_JPEG]),
            EXPOSURE: Property("I", 100, [10, 100, 1000, 10_000, 300_000, BULB]),
            PROGRAM: Property("H", 1, [1, 2, 3, 4]),
            ISO: Property("H", 100, [100, 200, 400, 800, 1600]),
        }
        self._waiting: list[tuple[int, bytes]] = []
        """pictures in the camera's memory: format and bytes"""
        self._told, self._next_s = False, 0.0
        self._open_since_s: float | None = None
        self._numbers = count(1)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listening.bind(str(self.path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                wire, _ = self._listening.accept()
            except OSError:
                return
            with wire:
                self._session(wire)

    def _session(self, wire: socket.socket) -> None:
        while request := wire.recv(1 << 16):
            _, kind, code, transaction = struct.unpack_from("<IHHI", request)
            assert kind == COMMAND
            parameters = struct.unpack(f"<{(len(request) - 12) // 4}I", request[12:])
            given = b""
            if code == 0x1016:  # the host has something to say
                given = wire.recv(1 << 16)[12:]
            status, answer = self._done(code, parameters, given)
            if answer is not None:
                head = struct.pack("<IHHI", 12 + len(answer), DATA, code, transaction)
                wire.sendall(head + answer)
            wire.sendall(struct.pack("<IHHI", 12, RESPONSE, status, transaction))

    def _done(
        self, code: int, parameters: tuple[int, ...], given: bytes
    ) -> tuple[int, bytes | None]:
        reading: dict[int, Callable[..., bytes | None]] = {
            0x1001: self._device,
            0x1004: lambda: struct.pack("<II", 1, 0x10001),
            0x1005: lambda _: struct.pack("<HHHQQI", 3, 2, 0, 1 << 34, 1 << 33, 500)
            + text("card") + text(""),
            0x1007: lambda *_: struct.pack("<I", 0),
            0x1008: self._picture_described,
            0x1009: self._handed_over,
            0x1014: lambda name: self.properties[name].described(name),
            0x1015: lambda name: struct.pack(
                f"<{self.properties[name].letter}", self.properties[name].value
            ),
            0x90C7: self._events,
            0x90CA: lambda: struct.pack("<I", 0),
        }  # fmt: skip
        doing: dict[int, Callable[..., int]] = {
            0x1002: lambda _: OK,
            0x1003: lambda: OK,
            0x100B: lambda *_: NO_OBJECT,
            0x1016: lambda name: self._set(name, given),
            0x90C2: lambda _: OK,
            0x90C8: lambda: OK,
            0x9207: self._captured,
            0x920C: self._bulb_ended,
        }
        if code in reading:
            answer = reading[code](*parameters)
            return (NO_OBJECT, None) if answer is None else (OK, answer)
        return (doing[code](*parameters) if code in doing else UNSUPPORTED), None

    def _device(self) -> bytes:
        operations = [
            0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1007, 0x1008, 0x1009, 0x100B, 0x1014, 0x1015,
            0x1016, 0x90C2, 0x90C7, 0x90C8, 0x90CA, 0x9207, 0x920C,
        ]  # fmt: skip
        return (
            struct.pack("<HIH", 100, 0x0A, 100) + text("") + struct.pack("<H", 0)
            + array(operations) + array([ADDED_IN_MEMORY, CAPTURE_COMPLETE])
            + array(list(self.properties)) + array([JPEG_FORMAT]) + array([JPEG_FORMAT, RAW_FORMAT])
            + text("Nikon Corporation") + text("D750") + text("V1.0") + text("1")
        )  # fmt: skip

    def _set(self, name: int, given: bytes) -> int:
        (self.properties[name].value,) = struct.unpack(f"<{self.properties[name].letter}", given)
        return OK

    def _captured(self, *_: int) -> int:
        if self.busy_times:
            self.busy_times -= 1
            return BUSY
        exposure = self.properties[EXPOSURE].value
        if exposure == BULB:
            self._open_since_s = time.monotonic()
        else:
            time.sleep(exposure / 10_000)
            self._picture(exposure / 10_000)
        return OK

    def _bulb_ended(self, *_: int) -> int:
        if self._open_since_s is None:
            return GENERAL_ERROR
        self._picture(time.monotonic() - self._open_since_s)
        self._open_since_s = None
        return OK

    def _picture(self, exposure_s: float) -> None:
        number = next(self._numbers)
        self.taken.append(exposure_s)
        quality = self.properties[QUALITY].value
        if quality >= RAW:
            self._keep(RAW_FORMAT, f"{number}.nef")
        if quality != RAW:
            self._keep(JPEG_FORMAT, f"{number}.jpg")

    def _keep(self, form: int, name: str) -> None:
        self.pictures[name] = os.urandom(70_000)
        self._waiting.append((form, self.pictures[name]))

    def _events(self) -> bytes:
        """One picture at a time: all have the same number while they are in its memory."""
        if self._waiting and not self._told and time.monotonic() >= self._next_s:
            self._told = True
            return struct.pack("<H", 1) + struct.pack("<HI", ADDED_IN_MEMORY, 0xFFFF0001)
        return struct.pack("<H", 0)

    def _picture_described(self, _: int) -> bytes | None:
        if not self._waiting:
            return None
        form, content = self._waiting[0]
        name = "DSC_0001.JPG" if form == JPEG_FORMAT else "DSC_0001.NEF"
        numbers = (0, form, 0, len(content), JPEG_FORMAT, 0, 0, 0, 6016, 4016, 24, 0, 0, 0, 0)
        return struct.pack("<IHHIHIIIIIIIHII", *numbers) + text(name) + 3 * text("")

    def _handed_over(self, _: int) -> bytes | None:
        """Once it is fetched it is gone, and the next one takes its place, in its own time."""
        self._told, self._next_s = False, time.monotonic() + BETWEEN_S
        return self._waiting.pop(0)[1] if self._waiting else None


def text(words: str) -> bytes:
    return (
        struct.pack("<B", len(words) + 1) + (words + "\0").encode("utf-16-le") if words else b"\0"
    )


def array(numbers: list[int]) -> bytes:
    return struct.pack(f"<I{len(numbers)}H", len(numbers), *numbers)
