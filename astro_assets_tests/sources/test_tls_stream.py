"""Data by TLS: all bytes, a clean end or none, and only from whom is trusted."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from astro_assets.settings.sources import Trust
from astro_assets.sources.tls import client_context
from astro_assets.sources.tls_stream import TlsStream
from astro_assets_tests.faults.servers.certificates import Identity, identity

CONTENT = bytes(range(256)) * 4096

Speak = Callable[[ssl.SSLSocket], object]
Opened = Callable[..., TlsStream]


def goodbye(connection: ssl.SSLSocket) -> None:
    connection.sendall(CONTENT)
    connection.unwrap()


@pytest.fixture
def opened() -> Iterator[Opened]:
    """A stream from a server that shows its certificate, speaks and hangs up."""
    servers = []

    def begin(shown: Identity, trust: Trust, speak: Speak, timeout_s: float = 10) -> TlsStream:
        near, far = socket.socketpair()
        near.settimeout(timeout_s)
        far.settimeout(10)
        servers.append(threading.Thread(target=_serve, args=(far, shown, speak)))
        servers[-1].start()
        return TlsStream(near, client_context(trust, "far"), "localhost", None)

    yield begin
    for server in servers:
        server.join()


def _shake_hands(far: socket.socket, shown: Identity) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate_file, shown.key_file)
    return context.wrap_socket(far, server_side=True)


def _serve(far: socket.socket, shown: Identity, speak: Speak) -> None:
    try:
        with _shake_hands(far, shown) as connection:
            speak(connection)
    except OSError:
        far.close()


def drained(stream: TlsStream, piece: int = 100_000) -> bytes:
    """All bytes up to a clean end, taken in pieces that fit no record."""
    content, buffer = b"", memoryview(bytearray(piece))
    try:
        while size := stream.recv_into(buffer, piece):
            content += buffer[:size]
        stream.say_goodbye()
    except BaseException:
        assert CONTENT.startswith(content)
        raise
    finally:
        stream.close()
    return content


def test_all_bytes_come_up_to_the_good_bye(tmp_path: Path, opened: Opened) -> None:
    shown = identity(tmp_path)
    assert drained(opened(shown, Trust(ca_file=shown.ca_file), goodbye)) == CONTENT


def test_an_end_without_good_bye_is_an_error_behind_all_bytes(
    tmp_path: Path, opened: Opened
) -> None:
    shown = identity(tmp_path)

    def hang_up(connection: ssl.SSLSocket) -> None:
        connection.sendall(CONTENT)

    stream = opened(shown, Trust(ca_file=shown.ca_file), hang_up)
    buffer = memoryview(bytearray(len(CONTENT)))
    received = 0
    while received < len(CONTENT):
        received += stream.recv_into(buffer[received:], len(CONTENT))
    with pytest.raises(ssl.SSLEOFError):
        stream.recv_into(buffer, len(CONTENT))
    stream.close()
    assert bytes(buffer) == CONTENT


def test_a_record_that_was_changed_on_its_way_is_an_error(tmp_path: Path, opened: Opened) -> None:
    shown = identity(tmp_path)

    def forge(connection: ssl.SSLSocket) -> None:
        connection.sendall(CONTENT[:100])
        raw = socket.socket(fileno=connection.detach())
        raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        raw.close()

    with pytest.raises(ssl.SSLError):
        drained(opened(shown, Trust(ca_file=shown.ca_file), forge))


def test_what_is_here_is_not_held_back_until_more_comes(tmp_path: Path, opened: Opened) -> None:
    shown, over = identity(tmp_path), threading.Event()

    def pause(connection: ssl.SSLSocket) -> None:
        connection.sendall(CONTENT[:100])
        over.wait(10)

    stream = opened(shown, Trust(ca_file=shown.ca_file), pause, timeout_s=5)
    buffer = memoryview(bytearray(100_000))
    try:
        assert stream.recv_into(buffer, 100_000) == 100
    finally:
        over.set()
        stream.close()


def test_the_good_bye_is_answered(tmp_path: Path, opened: Opened) -> None:
    """Some servers wait for it before they say that all was sent."""
    shown, answered = identity(tmp_path), threading.Event()

    def wait_for_it(connection: ssl.SSLSocket) -> None:
        goodbye(connection)
        answered.set()

    assert drained(opened(shown, Trust(ca_file=shown.ca_file), wait_for_it)) == CONTENT
    assert answered.wait(10)


def test_who_does_not_read_our_good_bye_does_no_harm(tmp_path: Path, opened: Opened) -> None:
    shown = identity(tmp_path)

    def turn_away(connection: ssl.SSLSocket) -> None:
        connection.sendall(CONTENT[:100])
        connection.setblocking(False)  # its own good-bye goes out, ours is not waited for
        with suppress(ssl.SSLWantReadError):
            connection.unwrap()
        socket.socket(fileno=connection.detach()).close()
        gone.set()

    gone = threading.Event()
    stream = opened(shown, Trust(ca_file=shown.ca_file), turn_away)
    assert gone.wait(10)
    assert drained(stream) == CONTENT[:100]


def test_silence_has_an_end(tmp_path: Path, opened: Opened) -> None:
    shown, over = identity(tmp_path), threading.Event()
    trust = Trust(ca_file=shown.ca_file)
    try:
        with pytest.raises(TimeoutError):
            drained(opened(shown, trust, lambda _: over.wait(10), timeout_s=0.2))
    finally:
        over.set()


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, opened: Opened) -> None:
    shown, other = identity(tmp_path / "shown"), identity(tmp_path / "other")
    near, far = socket.socketpair()
    near.settimeout(10)
    far.settimeout(10)
    with ThreadPoolExecutor(1) as pool:
        serving = pool.submit(_shake_hands, far, shown)
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsStream(near, client_context(Trust(ca_file=other.ca_file), "far"), "localhost", None)
        assert near.fileno() == -1, "it is left open"
        with pytest.raises(ssl.SSLError, match="alert unknown ca"):
            serving.result(10)  # the other side is told why


def test_another_certificate_than_the_pinned_one(tmp_path: Path, opened: Opened) -> None:
    shown, other = identity(tmp_path / "shown"), identity(tmp_path / "other")
    assert drained(opened(shown, Trust(certificate_sha256=shown.sha256), goodbye)) == CONTENT
    with pytest.raises(ssl.SSLCertVerificationError, match="pinned"):
        opened(shown, Trust(certificate_sha256=other.sha256), goodbye)
