"""The simulated observatory as a whole: begun, described, stopped."""

import ftplib
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from astro_assets.errors import NothingToDo
from astro_assets.settings import load_settings
from astro_assets.sim.observatory import SimulatedObservatory, describe
from astro_assets_tests.sim.clients import (
    ftp,
    ftps,
    login,
    site,
    ssh,
)


class TestObservatory:
    def test_settings_and_environment_serve(
        self, observatory: SimulatedObservatory, tmp_path: Path
    ) -> None:
        text = observatory.settings_toml(tmp_path / "products", interval_s=5, quiet_s=0)
        (tmp_path / "observatory.toml").write_text(text)
        observatory.write_environment(tmp_path / ".env")
        assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
        settings = load_settings(tmp_path / "observatory.toml")
        assert settings.problems == ()
        assert settings.root == tmp_path / "products"
        assert settings.watch.quiet_s == 0
        names = ("itelescope", "vespera", "telescope_org", "pi")
        assert tuple(source.name for source in settings.active_sources) == names
        itelescope = settings.source("itelescope")
        assert itelescope.credentials(settings.secrets) == login(observatory, "itelescope")
        password = login(observatory, "itelescope")[1]
        assert password not in text
        assert tomllib.loads(text)["site"]["timezone"] == "Atlantic/Canary"
        assert describe(observatory).row_count == 4

    def test_one_server_can_go_away_and_come_back(self, tree: Path) -> None:
        with SimulatedObservatory(tree) as running:
            ports = dict(running.ports)
            for source in running.sources:
                running.stop(source)
            for client in (ftps, ftp, site, ssh):
                with pytest.raises((OSError, httpx.ConnectError)), client(running):
                    pass
            for source in running.sources:
                running.start(source)
            assert running.ports == ports
            for client in (ftps, ftp, site, ssh):
                with client(running):
                    pass
            for source in running.sources:
                assert running.requests[source].logins == 1

    def test_a_clean_stop_leaves_no_threads_and_no_sockets(self, tree: Path) -> None:
        sockets, threads = open_sockets(), threading.active_count()
        with SimulatedObservatory(tree) as running:
            with ftps(running), ftp(running), site(running), ssh(running):
                assert open_sockets() > sockets
            assert threading.active_count() > threads
        until = time.monotonic() + 5
        while threading.active_count() > threads and time.monotonic() < until:
            time.sleep(0.02)  # paramiko's own thread ends a moment after its client
        assert threading.active_count() == threads
        assert open_sockets() == sockets

    def test_a_stop_drops_clients_that_are_still_there(self, tree: Path) -> None:
        with (
            SimulatedObservatory(tree) as running,
            ftps(running) as secure,
            ftp(running) as plain,
            ssh(running) as pi,
        ):
            for source in running.sources:
                running.stop(source)
            for client in (secure, plain):
                with pytest.raises((EOFError, OSError, ftplib.error_temp)):
                    client.voidcmd("NOOP")
            until = time.monotonic() + 5
            while pi.get_transport().is_active():
                assert time.monotonic() < until
                time.sleep(0.02)

    def test_an_empty_folder_is_said_to_be_empty(self, tmp_path: Path) -> None:
        with pytest.raises(NothingToDo, match="no simulated night"):
            SimulatedObservatory(tmp_path)


def open_sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(1 for link in links if link.is_symlink() and "socket:" in str(link.readlink()))


def test_simulate_tells_where_and_ends_with_ctrl_c(tree: Path, tmp_path: Path) -> None:
    settings = tmp_path / "observatory.toml"
    code = (
        "import sys; from pathlib import Path;"
        "from astro_assets.sim.observatory import serve_until_interrupted;"
        "serve_until_interrupted(Path(sys.argv[1]), settings=Path(sys.argv[2]))"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(tree), str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        port = load_settings(settings).source("vespera").port
        with ftplib.FTP(timeout=5) as client:
            client.connect("localhost", port)
            client.login()
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "Stopped." in rest
    assert complaints == ""
    for word in ("itelescope", "telescope_org", "pi", f"localhost:{port}", str(settings)):
        assert word in said
    password = (tmp_path / ".env").read_text().splitlines()[1].split("=")[1]
    assert password not in said
