"""Packets in AES-GCM as `paramiko` sends them, and as nobody should; the bytes of a channel."""

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.buffered_pipe import PipeTimeout
from paramiko.packet import Packetizer

from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.sftp import SftpSession
from astro_assets.sources.ssh_packets import GcmPackets, Inflow
from astro_assets_tests.sources.conftest import Kept, put
from astro_assets_tests.sources.sshd import sshd

_KEY, _NONCE = bytes(range(16)), bytes(4) + (2**40 - 2).to_bytes(8)
_DATA, _IGNORE = 94, 2


class Wire:
    """A sender as `paramiko` has it; what it sent; and our end."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.settimeout(0.05)
        self.sender = Packetizer(self.theirs)
        self.sender.set_outbound_cipher(
            AESGCM(_KEY),
            16,
            None,
            16,
            b"",
            aead=True,
            iv_out=_NONCE,  # type: ignore[arg-type]
        )
        self.packets = GcmPackets(self.ours)
        self.packets.set_inbound_cipher(AESGCM(_KEY), 16, None, 16, b"", aead=True, iv_in=_NONCE)

    def send(self, kind: int, content: bytes) -> None:
        self.sender.send_message(paramiko.Message(bytes([kind]) + content))


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.ours.close()
    made.theirs.close()


def _data(content: bytes) -> bytes:
    message = paramiko.Message()
    message.add_int(7)
    message.add_string(content)
    return message.asbytes()


def test_packets_of_all_sizes_in_pieces_of_all_sizes(wire: Wire) -> None:
    dice = random.Random(5)
    sizes = [0, 1, 2**15, 200_000, *(dice.randrange(40_000) for _ in range(60))]
    sent = [dice.randbytes(size) for size in sizes]

    def send() -> None:
        for number, content in enumerate(sent):
            wire.send(_DATA, _data(content)) if number % 2 else wire.send(_IGNORE, content)

    thread = threading.Thread(target=send)
    thread.start()
    for number, content in enumerate(sent):
        kind, message = wire.packets.read_message()
        if number % 2:
            assert (kind, message.get_int(), message.get_binary()) == (_DATA, 7, content)
        else:
            assert (kind, message.asbytes()) == (_IGNORE, content)
    thread.join()


def test_the_bytes_of_a_channel_go_straight_to_who_reads_them(wire: Wire) -> None:
    inflow = Inflow()
    wire.packets.hand_to(7, inflow)
    for content in (b"one", bytes(30_000), b"", b"three"):
        wire.send(_DATA, _data(content))
    wire.send(_DATA, _data(b"of another channel").replace(b"\7", b"\6", 1))
    wire.send(_IGNORE, b"whatever")
    kind, message = wire.packets.read_message()
    assert (kind, message.get_int(), message.get_binary()) == (_DATA, 6, b"of another channel")
    assert message.seqno == 4, "those that went past count"
    assert wire.packets.read_message()[0] == _IGNORE
    assert inflow.read(len(inflow), 1) == b"one" + bytes(30_000) + b"three"


@pytest.mark.parametrize("content", [b"", bytes(7), (7).to_bytes(4) + (9).to_bytes(4) + b"short"])
def test_what_is_no_data_of_a_channel_is_left_to_paramiko(wire: Wire, content: bytes) -> None:
    inflow = Inflow()
    wire.packets.hand_to(7, inflow)
    wire.send(_DATA, content)
    assert wire.packets.read_message()[0] == _DATA
    assert not len(inflow)


def test_while_new_keys_are_due_paramiko_gets_every_packet(
    monkeypatch: pytest.MonkeyPatch, wire: Wire
) -> None:
    monkeypatch.setattr(GcmPackets, "REKEY_BYTES", 1000)
    inflow = Inflow()
    wire.packets.hand_to(7, inflow)
    for _ in range(3):
        wire.send(_DATA, _data(bytes(600)))
    kind, message = wire.packets.read_message()
    assert (kind, message.get_int(), len(message.get_binary())) == (_DATA, 7, 600)
    assert wire.packets.need_rekey()
    assert len(inflow) == 600


def _sent(wire: Wire, content: bytes) -> bytearray:
    """The packet on the wire."""
    wire.send(_DATA, _data(content))
    return bytearray(wire.ours.recv(2**16))


@pytest.mark.parametrize("place", [0, 5, 500, -1])
def test_a_flipped_bit(wire: Wire, place: int) -> None:
    packet = _sent(wire, bytes(1000))
    packet[place] ^= 1
    wire.theirs.sendall(packet)
    wire.theirs.close()
    with pytest.raises((paramiko.SSHException, EOFError)):
        wire.packets.read_message()


def test_a_packet_that_comes_twice(wire: Wire) -> None:
    wire.theirs.sendall(2 * _sent(wire, b"once"))
    wire.packets.read_message()
    with pytest.raises(paramiko.SSHException, match="changed on its way"):
        wire.packets.read_message()


@pytest.mark.parametrize("length", [0, 4, 2**18 + 1, 2**32 - 1])
def test_an_impossible_length(wire: Wire, length: int) -> None:
    wire.theirs.sendall(length.to_bytes(4) + bytes(100))
    with pytest.raises(paramiko.SSHException, match="impossible length"):
        wire.packets.read_message()


@pytest.mark.parametrize("padding", [0, 3, 31, 255])
def test_an_impossible_padding(wire: Wire, padding: int) -> None:
    length = (32).to_bytes(4)
    packet = bytes([padding, _DATA]) + bytes(30)
    wire.theirs.sendall(length + AESGCM(_KEY).encrypt(_NONCE, packet, length))
    with pytest.raises(paramiko.SSHException, match="impossible padding"):
        wire.packets.read_message()


@pytest.mark.parametrize("kept", [0, 3, 100])
def test_a_cut(wire: Wire, kept: int) -> None:
    wire.theirs.sendall(_sent(wire, bytes(1000))[:kept])
    wire.theirs.close()
    with pytest.raises(EOFError):
        wire.packets.read_message()


def test_new_keys_are_due(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    monkeypatch.setattr(GcmPackets, "REKEY_BYTES", 1000)
    monkeypatch.setattr(GcmPackets, "REKEY_BYTES_OVERFLOW_MAX", 1000)
    due = []
    for _ in range(7):
        wire.send(_IGNORE, bytes(200))
        wire.packets.read_message()
        due.append(wire.packets.need_rekey())
    assert due == [False] * 4 + [True] * 3
    for _ in range(2):
        wire.send(_IGNORE, bytes(200))
        wire.packets.read_message()
    wire.send(_IGNORE, bytes(500))
    with pytest.raises(paramiko.SSHException, match="ignores that new keys are due"):
        wire.packets.read_message()


def test_a_file_over_many_changes_of_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With OpenSSH: what was read in advance belongs to the old keys and to the new ones."""
    monkeypatch.setattr(GcmPackets, "REKEY_BYTES", 2**19)
    content = os.urandom(16_000_000)
    nonces = set()
    set_cipher = GcmPackets.set_inbound_cipher

    def counted(self: GcmPackets, *args: object, **more: object) -> None:
        nonces.add(more.get("iv_in") or args[-1])
        set_cipher(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(GcmPackets, "set_inbound_cipher", counted)
    with sshd() as server:
        put(server.root / "a.fits", content)
        with SftpSession(*server.source(tmp_path)) as session:
            sink = Kept()
            session.download("a.fits", sink, RemoteFile("a.fits", len(content), None))
    assert bytes(sink) == content
    assert len(nonces) > 5, nonces


def test_whoever_reads_gets_all_that_he_asked_for() -> None:
    inflow = Inflow()
    pieces = [bytes([number]) * number for number in range(50)]
    feeder = threading.Thread(target=lambda: [inflow.feed(piece) for piece in pieces])
    feeder.start()
    whole = b"".join(pieces)
    assert [inflow.read(7, 1) for _ in range(20)] == [whole[at : at + 7] for at in range(0, 140, 7)]
    feeder.join()
    inflow.close()
    assert inflow.read(10_000, 1) == whole[140:]
    assert inflow.read(1, 1) == b""


def test_only_silence_is_too_long() -> None:
    inflow = Inflow()

    def trickle() -> None:
        for _ in range(10):
            time.sleep(0.05)
            inflow.feed(b"x")

    feeder = threading.Thread(target=trickle)
    feeder.start()
    assert inflow.read(10, 0.4) == 10 * b"x"
    feeder.join()
    with pytest.raises(PipeTimeout):
        inflow.read(1, 0.05)
