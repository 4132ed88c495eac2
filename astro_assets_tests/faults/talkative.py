"""Servers that repeat what they were told in whatever they say: a web site, and SSH.

FTP's is `sources.scripted_ftp`. What belongs here: echoing. What does not: what is looked for
afterwards (`test_secrets`).
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncssh


class _Site(BaseHTTPRequestHandler):
    """Answers each request as ``answer`` says, with the secret in header, address and body."""

    secret = ""
    answer = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self._say()

    def do_GET(self) -> None:
        self._say()

    def _say(self) -> None:
        echo = quote(self.secret)
        here = f"https://{self.headers['host']}"
        status, more, body = {
            "page": (200, {}, f"<html>what is {self.secret}?</html>"),
            "error": (500, {}, f"no {self.secret}"),
            "forbidden": (403, {}, f"no {self.secret}"),
            "refused": (200, {}, json.dumps({"success": 0, "status": f"no {self.secret}"})),
            "nonsense": (200, {}, json.dumps({"success": 1, "data": self.secret})),
            "circle": (302, {"location": f"{here}/login.php?password={echo}"}, ""),
            "away": (302, {"location": f"https://{echo}.invalid/?password={echo}"}, ""),
            "broken address": (302, {"location": f"https://[{echo}"}, ""),
        }[self.answer]
        content = body.encode()
        self.send_response(status, f"it is {self.secret}")
        for name, value in {**more, "set-cookie": f"s={echo}", "x-echo": self.secret}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's
        """Nothing: what is told here is not what is tested."""


SITE_ANSWERS = (
    "page", "error", "forbidden", "refused", "nonsense", "circle", "away", "broken address",
)  # fmt: skip


@contextmanager
def site(context: ssl.SSLContext, secret: str, answer: str) -> Iterator[int]:
    """The port of a site that answers all requests in this way."""
    handler = type("Site", (_Site,), {"secret": secret, "answer": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Ssh(asyncssh.SSHServer):
    def __init__(
        self, secret: str, known: set[asyncssh.SSHServerConnection], *, lets_in: bool
    ) -> None:
        self._secret = secret
        self._known = known
        self._lets_in = lets_in
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._known.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._known.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        assert self._connection
        self._connection.send_auth_banner(f"hello {username}, {self._secret}\r\n")
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        assert self._connection
        self._connection.send_auth_banner(f"so it is {password}\r\n")
        if not self._lets_in:
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, f"not {password}", "en")
        return self._lets_in


class _Sftp(asyncssh.SFTPServer):
    secret = ""

    def scandir(self, path: bytes) -> Any:
        raise asyncssh.SFTPFailure(f"no {self.secret} at {path!r}")

    def open(self, path: bytes, pflags: int, attrs: object) -> Any:
        raise asyncssh.SFTPFailure(f"no {self.secret}")

    def stat(self, path: bytes) -> Any:
        raise asyncssh.SFTPFailure(f"no {self.secret}")


@contextmanager
def ssh(folder: Path, secret: str, *, lets_in: bool) -> Iterator[tuple[int, str]]:
    """Port and public host key of a server that tells the secret wherever it can."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    sftp = type("Sftp", (_Sftp,), {"secret": secret})
    known: set[asyncssh.SSHServerConnection] = set()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Ssh(secret, known, lets_in=lets_in),
            server_host_keys=[key],
            server_version=f"told-{secret}",
            sftp_factory=lambda channel: sftp(channel, chroot=folder),
        )

    async def stop(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()
        for connection in list(known):
            connection.abort()
            await connection.wait_closed()

    try:
        acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
        try:
            yield acceptor.get_port(), key.export_public_key().decode().strip()
        finally:
            asyncio.run_coroutine_threadsafe(stop(acceptor), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
