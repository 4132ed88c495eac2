"""A scripted SFTP server as a far side, for what no real server does.

What belongs here: a Pi whose server lies about sizes, or falls silent where a file ends. What does
not: the Pi that tells the truth (`far`).
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import asyncssh

from astro_assets.sim.servers import pi as simulated_pi
from astro_assets.sim.servers.pi import PiServer, make_keys
from astro_assets.sim.servers.pi_camera import PiCamera
from astro_assets_tests.faults.far import PASSWORD, PiFar
from astro_assets_tests.faults.servers.process import HOST, Running

TITLE = "scripted SFTP server (asyncssh)"


@dataclass
class Lies:
    """By a file's name.

    sizes : how many bytes more than there are its status tells
    silent : it does not answer a request for what lies behind the file's end
    """

    sizes: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, root: Path, lies: Lies) -> None:
        super().__init__(channel, chroot=str(root).encode())
        self._lies = lies

    def lstat(self, path: bytes) -> Any:
        return self._told(super().lstat(path), os.fsdecode(path))

    def stat(self, path: bytes) -> Any:
        return self._told(super().stat(path), os.fsdecode(path))

    def fstat(self, file_obj: Any) -> Any:
        return self._told(super().fstat(file_obj), file_obj.name)

    def _told(self, status: Any, path: str | bytes) -> Any:
        told = asyncssh.SFTPAttrs.from_local(status)
        told.size += self._lies.sizes.get(Path(os.fsdecode(path)).name, 0)
        return told

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:
        data = bytes(super().read(file_obj, offset, size))  # type: ignore[arg-type]
        if not data and Path(os.fsdecode(file_obj.name)).name in self._lies.silent:
            try:
                await asyncio.sleep(3600)
            finally:
                file_obj.close()
        return data


@contextmanager
def scripted_pi(folder: Path) -> Iterator[tuple[PiFar, Lies]]:
    """Such a far side; what is written into its lies holds from then on."""
    lies, keys = Lies(), make_keys(folder / "keys")
    home = folder / "home"
    home.mkdir()
    server = PiServer(
        home, user="anonymous", password=PASSWORD, keys=keys,
        camera=PiCamera(home, seconds_per_frame=0),
    )  # fmt: skip
    with mock.patch.object(
        simulated_pi, "_Files", lambda channel, root, _: _Files(channel, root, lies)
    ):
        server.start()
        try:
            public = " ".join(keys.known_hosts.read_text().split()[1:3])
            more = {
                "user": "anonymous",
                "key_file": str(keys.client_key_file),
                "host_key": public,
            }
            far = PiFar(Running(TITLE, HOST, server.port, home, more=more), folder)
            far.options["path"] = "captures"
            yield far, lies
        finally:
            server.stop()
