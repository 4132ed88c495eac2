"""The simulated observatory: the four servers together, filled by a simulated night.

What belongs here: start and stop, who may log in, the settings that point at it. What does not:
the protocols (`servers`), what is in the frames (`night`).
"""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.table import Table

from astro_assets.errors import NothingToDo, SettingsError
from astro_assets.sim.servers.certificates import make_certificates, write_private
from astro_assets.sim.servers.ftp import FtpServer
from astro_assets.sim.servers.ftps import FtpsServer
from astro_assets.sim.servers.pi import PiServer, make_keys
from astro_assets.sim.servers.pi_camera import PiCamera
from astro_assets.sim.servers.pi_program import CaptureProgram
from astro_assets.sim.servers.requests import Requests
from astro_assets.sim.servers.telescope_org import TelescopeOrgServer
from astro_assets.sim.star_index import FOLDER

_USER = "observer"
_HOST = "localhost"
_SITE: dict[str, str | float] = {
    "name": "La Palma",
    "latitude_deg": 28.7606,
    "longitude_deg": -17.8816,
    "elevation_m": 2396.0,
    "timezone": "Atlantic/Canary",
}


class Server(Protocol):
    """What each of the four can do."""

    port: int
    requests: Requests

    def start(self) -> None: ...

    def stop(self) -> None: ...


class SimulatedObservatory:
    """Serves the sources below ``root/served`` on loopback between ``with`` and its end.

    root : a folder that `night.make_night` filled; keys and certificates go to ``root/access``
    seconds_per_frame : how fast the armed Pi takes its prepared frames
    job_ready_after : how often telescope.org's image engine says PROCESSING before READY
    vespera_mlsd : whether the Vespera's FTP server knows MLSD
    vespera_deletion : whether it lets clients delete
    capture_program : the Pi runs the real `astro-capture`; the prepared frames are its sky

    Raises
    ------
    NothingToDo : there is no simulated night in ``root``
    """

    def __init__(
        self,
        root: Path,
        *,
        seconds_per_frame: float = 0.5,
        job_ready_after: int = 1,
        vespera_mlsd: bool = True,
        vespera_deletion: bool = False,
        capture_program: bool = False,
    ) -> None:
        self.root = root.absolute()
        self._served = self.root / "served"
        self._access = self.root / "access"
        self._passwords = {
            name: secrets.token_urlsafe(12) for name in ("itelescope", "telescope_org", "pi")
        }
        self._camera = PiCamera(self._served / "pi", seconds_per_frame=seconds_per_frame)
        self._program = (
            CaptureProgram(self._served / "pi", seconds_per_frame=seconds_per_frame)
            if capture_program
            else None
        )
        certificates = make_certificates(self._access)
        keys = make_keys(self._access)
        self.ca_file = certificates.ca_file
        self.known_hosts = keys.known_hosts
        self.pi_key_file = keys.client_key_file
        self.telescope_org = TelescopeOrgServer(
            self._served / "telescope_org",
            user=_USER,
            password=self._passwords["telescope_org"],
            certificates=certificates,
            job_ready_after=job_ready_after,
        )
        every: dict[str, Server] = {
            "itelescope": FtpsServer(
                self._served / "itelescope",
                user=_USER,
                password=self._passwords["itelescope"],
                certificates=certificates,
            ),
            "vespera": FtpServer(
                self._served / "vespera", mlsd=vespera_mlsd, deletion=vespera_deletion
            ),
            "telescope_org": self.telescope_org,
            "pi": PiServer(
                self._served / "pi",
                user=_USER,
                password=self._passwords["pi"],
                keys=keys,
                camera=self._camera,
                program=self._program,
            ),
        }
        self._servers = {
            name: server for name, server in every.items() if (self._served / name).is_dir()
        }
        if not self._servers:
            raise NothingToDo(f"{self._served} holds no simulated night; make one there first")

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for source in self._servers:
                self.start(source)
                undo.callback(self.stop, source)
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._camera.stop()
        if self._program is not None:
            self._program.stop()
        for source in self._servers:
            self.stop(source)

    def start(self, source: str) -> None:
        """Bring one source's server back, on the port that it had."""
        self._servers[source].start()

    def stop(self, source: str) -> None:
        """Take one source's server away; what it serves stays, and an armed camera goes on."""
        self._servers[source].stop()

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that ``root`` has files for."""
        return tuple(self._servers)

    @property
    def ports(self) -> Mapping[str, int]:
        """Each source's port."""
        return {name: server.port for name, server in self._servers.items()}

    @property
    def requests(self) -> Mapping[str, Requests]:
        """What each source was asked for so far."""
        return {name: server.requests for name, server in self._servers.items()}

    @property
    def users(self) -> Mapping[str, str]:
        """Each source's user name."""
        return {name: _USER if name in self._passwords else "anonymous" for name in self._servers}

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the settings name, with user names and passwords."""
        variables: dict[str, str] = {}
        for name in self._servers:
            if name in self._passwords:
                variables[_variable(name, "USER")] = _USER
                variables[_variable(name, "PASSWORD")] = self._passwords[name]
        return variables

    def write_environment(self, path: Path) -> None:
        """Write `environment` as a `.env` file that only its owner can read."""
        lines = (f"{name}={value}\n" for name, value in self.environment.items())
        write_private(path, "".join(lines).encode())

    def settings_toml(self, products_root: Path, **watch: int) -> str:
        """The text of an `observatory.toml` for this observatory.

        watch : what to write into its ``[watch]`` table
        """
        parts = [f"root = {_toml(str(products_root.absolute()))}\n", _table("[site]", _SITE)]
        if watch:
            parts.append(_table("[watch]", watch))
        if (self.root / FOLDER).is_dir():
            parts.append(_table("[solving]", {"index_folders": [str(self.root / FOLDER)]}))
        for name in self._servers:
            parts.append(_table("[[sources]]", self._source_settings(name)))
            if name == "pi" and self._program is not None:
                parts.append(_table("[[sources.plan]]", self._program.plan()))
        return "\n".join(parts)

    def _source_settings(self, name: str) -> dict[str, str | int]:
        common: dict[str, str | int] = {
            "name": name,
            "kind": name,
            "host": _HOST,
            "port": self._servers[name].port,
        }
        login: dict[str, str | int] = {
            "user_env": _variable(name, "USER"),
            "password_env": _variable(name, "PASSWORD"),
        }
        more: dict[str, Callable[[], dict[str, str | int]]] = {
            "itelescope": lambda: login | {"ca_file": str(self.ca_file)},
            "telescope_org": lambda: login | {"ca_file": str(self.ca_file)},
            "pi": lambda: login | {"known_hosts": str(self.known_hosts)},
            "vespera": dict,
        }
        return common | more[name]()


def serve_until_interrupted(
    root: Path, *, settings: Path | None = None, seconds_per_frame: float = 5.0
) -> None:
    """Serve ``root`` until Ctrl-C, telling on the terminal where and with which settings.

    Settings, by default ``root/observatory.toml``, and `.env` beside them are written anew.

    Raises
    ------
    SettingsError : the settings cannot be written there
    """
    console = Console()
    settings = (settings or root / "observatory.toml").absolute()
    try:
        with SimulatedObservatory(root, seconds_per_frame=seconds_per_frame) as observatory:
            _write_settings(observatory, settings)
            console.print(describe(observatory))
            console.print(f"Settings: {settings}\nPasswords: {settings.parent / '.env'}")
            console.print("Ctrl-C ends it.")
            Event().wait()
    except KeyboardInterrupt:
        console.print("Stopped.")


def _write_settings(observatory: SimulatedObservatory, settings: Path) -> None:
    text = observatory.settings_toml(settings.parent / "products")
    try:
        settings.write_text(text, encoding="utf-8")
        observatory.write_environment(settings.parent / ".env")
    except OSError as error:
        raise SettingsError(
            settings, "", f"cannot be written ({error.strerror}); choose another folder"
        ) from error


def describe(observatory: SimulatedObservatory) -> Table:
    """The servers as a table: source, address, user name."""
    schemes = {
        "itelescope": "ftp (with TLS)",
        "vespera": "ftp",
        "telescope_org": "https",
        "pi": "ssh and sftp",
    }
    table = Table("Source", "Protocol", "Address", "User", title="Simulated observatory")
    for name, port in observatory.ports.items():
        table.add_row(name, schemes[name], f"{_HOST}:{port}", observatory.users[name])
    return table


def _variable(source: str, what: str) -> str:
    return f"SIM_{source.upper()}_{what}"


def _table(head: str, values: Mapping[str, Any]) -> str:
    return "\n".join([head, *(f"{key} = {_toml(value)}" for key, value in values.items())]) + "\n"


def _toml(value: str | float | list[str]) -> str:
    """JSON spells strings, numbers and lists of them as TOML does."""
    return json.dumps(value, ensure_ascii=False)
