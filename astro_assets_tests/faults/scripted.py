"""A scripted FTP server as a far side, with TLS and without, for what no real server does.

What belongs here: the settings that lead to it, files at the places where real ones lie. What does
not: what it can be told to do (`scripted_ftp`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from astro_assets_tests.faults.far import Far, ItelescopeFar, VesperaFar
from astro_assets_tests.faults.servers.certificates import Identity, identity
from astro_assets_tests.faults.servers.process import HOST, Running
from astro_assets_tests.sources.scripted_ftp import Script, ScriptedFtp, server_context

TITLE = "scripted FTP server"


@dataclass(frozen=True)
class Scripted:
    """A far side whose server follows a script.

    ``far.put`` does not reach it: `put` does.
    """

    far: Far
    script: Script

    def absolute(self, name: str) -> bytes:
        """The path that the server is asked for."""
        root = "/user/" if isinstance(self.far, VesperaFar) else "/"
        return f"{root}{self.far.path(name)}".encode()

    def put(self, name: str, content: bytes) -> str:
        """As `Far.put`."""
        self.script.files[self.absolute(name)] = content
        return self.far.path(name)

    def count(self, command: bytes) -> int:
        """How often a command was sent."""
        return sum(line.split(b" ")[0] == command for line in self.script.seen)


@contextmanager
def scripted(
    where: str, folder: Path, script: Script | None = None, shown: Identity | None = None
) -> Iterator[Scripted]:
    """Such a far side for F (with TLS) or V.

    shown : the certificate, if not a good one
    """
    script = script or Script(mlsd=where == "V")
    served = folder / "served"
    served.mkdir()
    ca_file = None
    if where == "F":
        shown = shown or identity(folder / "identity")
        ca_file = shown.ca_file
        script.tls = server_context(shown.certificate_file, shown.key_file)
    with ScriptedFtp(script) as server:
        kind = ItelescopeFar if where == "F" else VesperaFar
        far = kind(Running(TITLE, HOST, server.port, served, ca_file), folder)
        with far.exits:
            yield Scripted(far, script)
