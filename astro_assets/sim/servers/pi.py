"""SSH and SFTP as the Pi with its camera: frames to fetch, plans to upload, `astro-capture`.

What does not belong here: the camera itself (`pi_camera`).
"""

import asyncio
import contextlib
import json
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any

import asyncssh

from astro_assets.sim.servers.background import LOOPBACK, LoopThread, loopback_socket
from astro_assets.sim.servers.certificates import write_private
from astro_assets.sim.servers.pi_camera import PiCamera
from astro_assets.sim.servers.pi_program import CaptureProgram
from astro_assets.sim.servers.requests import Requests

_USAGE = "usage: astro-capture arm --plan FILE | astro-capture status"
_BAD_USE = 2


@dataclass(frozen=True, slots=True)
class PiKeys:
    """host_key_file is the server's own; client_key_file and known_hosts are for the clients."""

    host_key_file: Path
    client_key_file: Path
    known_hosts: Path


def make_keys(folder: Path) -> PiKeys:
    """The Pi's host key and its user's key in ``folder``, made where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = PiKeys(folder / "pi_host_key", folder / "pi_client_key", folder / "known_hosts")
    for file in (keys.host_key_file, keys.client_key_file):
        if not file.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", "simulated observatory")
            write_private(file, key.export_private_key())
    return keys


class PiServer:
    """One user, by password or key, in a tree of its own.

    root : the user's home and the root of all that SFTP shows
    program : the real capture program, in the place of ``camera``
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str,
        password: str,
        keys: PiKeys,
        camera: PiCamera,
        program: CaptureProgram | None = None,
    ) -> None:
        self.requests = Requests()
        self.port = 0
        self._root = root
        self._user = user
        self._password = password
        self._keys = keys
        self._camera = camera
        self._program = program
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._thread: LoopThread | None = None

    def start(self) -> None:
        """Answer on loopback and tell the clients' known_hosts on which port."""
        self._thread = LoopThread("simulated Pi", self._serve)
        self._thread.start()
        public = asyncssh.read_private_key(self._keys.host_key_file).export_public_key()
        kind, key, *_ = public.decode().split()
        names = f"[{LOOPBACK}]:{self.port},[localhost]:{self.port}"
        self._keys.known_hosts.write_text(f"{names} {kind} {key}\n", encoding="utf-8")

    def stop(self) -> None:
        """Drop every connection and free the port."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    async def _serve(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        client_key = asyncssh.read_private_key(self._keys.client_key_file)
        listening = loopback_socket(self.port)
        self.port = listening.getsockname()[1]
        acceptor = await asyncssh.listen(
            sock=listening,
            server_factory=lambda: _Login(self._user, self._password, client_key, self),
            server_host_keys=[str(self._keys.host_key_file)],
            sftp_factory=lambda channel: _Files(channel, self._root, self.requests),
            process_factory=self._execute,
            allow_scp=False,
        )
        started.set()
        await stop.wait()
        acceptor.close()
        await acceptor.wait_closed()
        for connection in tuple(self._connections):
            connection.abort()
            await connection.wait_closed()

    def connected(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.add(connection)

    def disconnected(self, connection: asyncssh.SSHServerConnection) -> None:
        self._connections.discard(connection)

    async def _execute(self, process: "asyncssh.SSHServerProcess[str]") -> None:
        # The real program takes a second, in which others are served.
        status, answer, complaint = await asyncio.to_thread(self._run, process.command)
        process.stdout.write(answer)
        process.stderr.write(complaint)
        # The client may be gone by now.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            await process.stdout.drain()
        process.exit(status)

    def _run(self, command: str | None) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of one command line."""
        try:
            words = shlex.split(command or "")
        except ValueError:
            words = []
        match words:
            case ["astro-capture", *rest] if self._program is not None:
                return self._program.run(rest)
            case ["astro-capture", "arm", "--plan", plan]:
                return self._arm(plan)
            case ["astro-capture", "status"]:
                status = self._camera.status()
                return (0, f"{status}\n", "") if status else (1, "", "nothing was ever armed\n")
            case ["astro-capture", *_]:
                return _BAD_USE, "", f"{_USAGE}\n"
            case _:
                return 127, "", f"{command}: command not found\n"

    def _arm(self, plan: str) -> tuple[int, str, str]:
        file = self._root / PurePosixPath("/", plan).relative_to("/")
        if not file.resolve().is_relative_to(self._root.resolve()) or not file.is_file():
            return _BAD_USE, "", f"the plan {plan} is not there\n"
        try:
            night = date.fromisoformat(json.loads(file.read_bytes())["night"])
        except (ValueError, KeyError, TypeError):
            return _BAD_USE, "", f'the plan {plan} is no JSON with a "night" as yyyy-mm-dd\n'
        answer = {"night": night.isoformat(), "state": self._camera.arm(night)}
        return 0, json.dumps(answer) + "\n", ""


class _Login(asyncssh.SSHServer):
    def __init__(
        self, user: str, password: str, client_key: asyncssh.SSHKey, server: PiServer
    ) -> None:
        self._user = user
        self._password = password
        self._client_key = client_key.public_data
        self._server = server
        self._counted = False
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.connected(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if self._connection is not None:
            self._server.disconnected(self._connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        right = (username, password) == (self._user, self._password)
        if right:
            self._accepted()
        else:
            self._server.requests.login(accepted=False)
        return right

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        right = username == self._user and key.public_data == self._client_key
        if right:
            self._accepted()
        return right

    def _accepted(self) -> None:
        """Count before the answer leaves, and once: a key is asked about and then used."""
        if not self._counted:
            self._counted = True
            self._server.requests.login(accepted=True)


class _Files(asyncssh.SFTPServer):
    def __init__(
        self, channel: "asyncssh.SSHServerChannel[Any]", root: Path, requests: Requests
    ) -> None:
        super().__init__(channel, chroot=str(root).encode())
        self._requests = requests

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        served = PurePosixPath("/", path.decode(errors="replace"))
        if not pflags & asyncssh.FXF_WRITE and served.is_relative_to("/captures"):
            self._requests.download(str(served.relative_to("/captures")))
        return super().open(path, pflags, attrs)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        self._requests.listing()
        async for name in super().scandir(path):
            yield name
