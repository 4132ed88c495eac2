"""Plain FTP as a Vespera speaks it: anonymous, no password, the observations below `/user`.

What does not belong here: TLS (`ftps`).
"""

import warnings
from pathlib import Path, PurePosixPath
from threading import Event, Thread
from typing import Any

from astro_assets.sim.servers.background import loopback_socket
from astro_assets.sim.servers.pyftpd import DummyAuthorizer, FTPHandler, FTPServer, IOLoop
from astro_assets.sim.servers.requests import Requests

_READ = "elr"
_DELETE = "d"
_TICK_S = 0.1


class FtpServer:
    """An FTP server for one folder.

    root : the folder that is served, as `/`
    mlsd : answer MLSD and MLST (else 500, as old servers do)
    deletion : allow DELE and RMD
    source_path : the folder that clients' settings name; downloads are counted below it
    """

    def __init__(
        self, root: Path, *, mlsd: bool = True, deletion: bool = False, source_path: str = "/user"
    ) -> None:
        self.requests = Requests()
        self.port = 0
        self._root = root
        self._mlsd = mlsd
        self._permissions = _READ + (_DELETE if deletion else "")
        self._source_path = PurePosixPath(source_path)
        self._stop = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Answer on loopback: on a free port the first time, on the same one afterwards."""
        handler = self._handler()
        listening = loopback_socket(self.port)
        self.port = listening.getsockname()[1]
        server = FTPServer(listening, handler, ioloop=IOLoop())
        self._stop.clear()
        self._thread = Thread(
            target=self._serve, args=(server,), name=f"simulated {type(self).__name__}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Drop every connection and free the port."""
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None

    def count(self, command: str, path: str) -> None:
        """Note a command that a logged-in client has sent; ``path`` begins with `/`."""
        if command in {"LIST", "NLST", "MLSD"}:
            self.requests.listing()
        elif command == "RETR":
            served = PurePosixPath(path)
            below = served.is_relative_to(self._source_path)
            self.requests.download(str(served.relative_to(self._source_path) if below else served))

    def _serve(self, server: FTPServer) -> None:
        while not self._stop.is_set():
            server.ioloop.loop(timeout=_TICK_S, blocking=False)
        server.close_all()

    def _handler(self) -> type[FTPHandler]:
        authorizer = DummyAuthorizer()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="write permissions assigned to anonymous")
            authorizer.add_anonymous(str(self._root), perm=self._permissions)
        return make_handler(self, FTPHandler, authorizer, mlsd=self._mlsd)


def make_handler(
    server: FtpServer, base: type[FTPHandler], authorizer: DummyAuthorizer, *, mlsd: bool = True
) -> type[FTPHandler]:
    """pyftpdlib takes its settings as a class: one per server, so that none share state."""
    commands = {
        command: rules
        for command, rules in base.proto_cmds.items()
        if mlsd or command not in {"MLSD", "MLST"}
    }

    class Handler(base):  # type: ignore[misc]
        proto_cmds = commands
        auth_failed_timeout = 0.2
        banner = "simulated observatory"

        # Counted before the answer leaves: a client that has it must find the count right.
        def handle_auth_success(self, home: str, password: str, msg_login: str) -> None:
            server.requests.login(accepted=True)
            super().handle_auth_success(home, password, msg_login)

        def handle_auth_failed(self, msg: str, password: str) -> None:
            server.requests.login(accepted=False)
            super().handle_auth_failed(msg, password)

        def process_command(self, cmd: str, *args: Any, **kwargs: Any) -> None:
            if self.authenticated and args and args[0]:
                server.count(cmd, _path_of(self, cmd, args[0]))
            super().process_command(cmd, *args, **kwargs)

    Handler.authorizer = authorizer
    return Handler


def _path_of(handler: FTPHandler, command: str, argument: str) -> str:
    return str(handler.fs.fs2ftp(argument)) if command == "RETR" else ""
