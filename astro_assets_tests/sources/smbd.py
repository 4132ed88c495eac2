"""Samba's own smbd on a free port of this machine, with one share for guests."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

SHARE = "EMMC Images"
_PROGRAM = shutil.which("smbd") or "/usr/sbin/smbd"
_FOLDERS = ("state", "cache", "private", "lock", "pid", "rpc", "log")


class Smbd:
    """Serves ``folder``; `guests` False lets nobody in."""

    def __init__(self, home: Path, folder: Path, *, guests: bool = True) -> None:
        self._home = home
        self._folder = folder
        self._guests = guests
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def start(self) -> None:
        if not Path(_PROGRAM).exists():
            pytest.skip("smbd is not installed: apt install samba")
        for name in _FOLDERS:
            (self._home / name).mkdir(parents=True, exist_ok=True)
        configuration = self._home / "smb.conf"
        configuration.write_text(self._configuration())
        command = [_PROGRAM, "--foreground", "--no-process-group", "-s", str(configuration)]
        with (self._home / "log/out").open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self._wait()

    def _configuration(self) -> str:
        home = self._home
        return f"""[global]
            smb ports = {self.port}
            interfaces = 127.0.0.1
            bind interfaces only = yes
            server role = standalone server
            map to guest = {"Bad User" if self._guests else "Never"}
            guest account = {getpass.getuser()}
            disable netbios = yes
            load printers = no
            disable spoolss = yes
            state directory = {home}/state
            cache directory = {home}/cache
            private dir = {home}/private
            lock directory = {home}/lock
            pid directory = {home}/pid
            ncalrpc dir = {home}/rpc
            log file = {home}/log/smbd
            [{SHARE}]
            path = {self._folder}
            guest ok = {"yes" if self._guests else "no"}
            read only = yes
            """

    def _wait(self) -> None:
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError((self._home / "log/out").read_text())

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the server and to its process of every connection."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """At once; connections break off."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
