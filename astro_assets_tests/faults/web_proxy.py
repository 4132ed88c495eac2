"""HTTPS before the simulated site: it hands on all but what a test spoils.

What belongs here: HTTP/1.1 as bytes, one request a connection, and ways to break off. What does
not: faults below TLS (`proxy`).
"""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from astro_assets_tests.faults.servers.certificates import Identity, identity
from astro_assets_tests.faults.servers.process import HOST

Break = Literal["reset", "stall"]
Reply = Iterable[bytes | Break]
"""what is sent in the place of the site's answer, in pieces; the connection ends after it"""


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. ``at`` is monotonic."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def path(self) -> str:
        return urlsplit(self.target).path.lstrip("/")

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def call(self) -> tuple[str, dict[str, str]]:
        """What is asked of the API."""
        return self.form["request"], json.loads(self.form["params"])


@dataclass(frozen=True)
class Answer:
    """The site's answer, whole."""

    asked: Asked
    head: bytes
    body: bytes

    def with_headers(self, *headers: str) -> bytes:
        """The head with other length and coding than the body's own."""
        lines = self.head.split(b"\r\n")
        kept = [
            line for line in lines if not line.lower().startswith((b"content-length", b"transfer"))
        ]
        return b"\r\n".join([*kept, *(header.encode() for header in headers), b"", b""])

    @property
    def whole(self) -> bytes:
        return self.head + b"\r\n\r\n" + self.body


Spoil = Callable[[Answer], Reply]


@dataclass
class Rule:
    """Spoil the answers to one path; the first ``skip`` go through, then ``times`` do not."""

    path: str
    spoil: Spoil
    times: int
    skip: int = 0


@dataclass
class WebProxy:
    """Listens on loopback between ``with`` and its end.

    upstream : port of the simulated site
    """

    upstream: int
    folder: Path
    shown: Identity | None = None
    asked: list[Asked] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self.shown = self.shown or identity(self.folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.shown.certificate_file, self.shown.key_file)
        self._over = threading.Event()
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def options(self) -> dict[str, object]:
        """Settings that lead here."""
        assert self.shown is not None
        return {"host": HOST, "port": self.port, "ca_file": str(self.shown.ca_file)}

    def spoil(self, path: str, spoil: Spoil, *, times: int = 1, skip: int = 0) -> None:
        """Break the next answers to ``path``."""
        self.rules.append(Rule(path, spoil, times, skip))

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                plain, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        # A client that goes away in the middle is what these tests are about.
        with (
            suppress(OSError),
            plain,
            self._context.wrap_socket(plain, server_side=True) as connection,
        ):
            asked = _read_request(connection)
            if asked is None:
                return
            self.asked.append(asked)
            answer = self._ask(asked)
            rule = self._rule(asked)
            for piece in (answer.whole,) if rule is None else rule.spoil(answer):
                if piece == "stall":
                    self._over.wait()
                elif piece == "reset":
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                else:
                    connection.sendall(piece)
            with suppress(OSError):
                connection.unwrap()

    def _rule(self, asked: Asked) -> Rule | None:
        rule = next((r for r in self.rules if r.path == asked.path and r.times > 0), None)
        if rule is None:
            return None
        if rule.skip > 0:
            rule.skip -= 1
            return None
        rule.times -= 1
        return rule

    def _ask(self, asked: Asked) -> Answer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        headers = {**asked.headers, "connection": "close"}
        head = f"{asked.method} {asked.target} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in headers.items()
        )
        with (
            socket.create_connection((HOST, self.upstream), 10) as plain,
            context.wrap_socket(plain) as connection,
        ):
            connection.sendall(head.encode() + b"\r\n" + asked.body)
            content = b"".join(iter(lambda: connection.recv(2**16), b""))
        before, _, body = content.partition(b"\r\n\r\n")
        return Answer(asked, before, body)


def _read_request(connection: ssl.SSLSocket) -> Asked | None:
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(2**16)
        if not piece:
            return None
        content += piece
    at = time.monotonic()
    before, _, body = content.partition(b"\r\n\r\n")
    first, *lines = before.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(2**16)
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body, at)


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    """A short answer of another kind."""
    lines = [
        f"HTTP/1.1 {code} Whatever",
        *headers,
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def cut_at(share: float, how: Break | None) -> Spoil:
    """Send ``share`` of the body under its true length, then break off."""

    def spoil(answer: Answer) -> Reply:
        start = answer.head + b"\r\n\r\n" + answer.body[: int(share * len(answer.body))]
        # At 0 not even the head goes out.
        return [*([start] if share else []), *([how] if how else [])]

    return spoil
