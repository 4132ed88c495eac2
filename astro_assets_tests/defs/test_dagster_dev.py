"""One real start of `dagster dev -w workspace.yaml`, as the README says."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from dagster import DagsterInstance

from astro_assets.defs.instance import prepare_home
from astro_assets.settings import SETTINGS_VARIABLE
from astro_assets_tests.defs.conftest import SITE

PROJECT = Path(__file__).parents[2]
LOADED = """
{
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError { __typename ... on PythonError { message } }
      }
    }
    ... on PythonError { message }
  }
  sensorsOrError(repositorySelector:
      {repositoryName: "__repository__", repositoryLocationName: "astro_assets"}) {
    ... on Sensors { results { name sensorState { status } } }
  }
  assetNodes { assetKey { path } groupName }
}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def members(group: int) -> list[str]:
    """The command lines of the living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp, *_ = stat.read_text().rpartition(")")[2].split()
            if int(pgrp) == group and state != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, Path]]:
    settings = tmp_path / "observatory.toml"
    folder = '[[sources]]\nname = "archive"\nkind = "folder"\npath = "frames"\n'
    (tmp_path / "frames").mkdir()
    settings.write_text(f'root = "data"\n{SITE}\n{folder}')
    home = tmp_path / "dagster"
    prepare_home(home)
    # Two processes must not make the databases at once.
    with DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs_count() == 0
    port = free_port()
    log = tmp_path / "dagster.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("dagster"), "dev", "-w", "workspace.yaml",
             "-h", "127.0.0.1", "-p", str(port)],
            cwd=PROJECT,
            env={**os.environ, SETTINGS_VARIABLE: str(settings), "DAGSTER_HOME": str(home)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process, f"http://127.0.0.1:{port}", log
        finally:
            if members(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answer(address: str, process: subprocess.Popen[bytes], log: Path) -> dict[str, Any]:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/server_info", timeout=5).is_success:
                break
        except httpx.TransportError:
            time.sleep(0.3)
    found = httpx.post(f"{address}/graphql", json={"query": LOADED}, timeout=60).json()
    assert "errors" not in found, found
    data: dict[str, Any] = found["data"]
    return data


def test_it_loads_answers_and_stops(
    server: tuple[subprocess.Popen[bytes], str, Path],
) -> None:
    process, address, log = server
    data = answer(address, process, log)
    assert data["workspaceOrError"]["locationEntries"] == [
        {
            "name": "astro_assets",
            "loadStatus": "LOADED",
            "locationOrLoadError": {"__typename": "RepositoryLocation"},
        }
    ]
    sensors = {
        sensor["name"]: sensor["sensorState"]["status"]
        for sensor in data["sensorsOrError"]["results"]
    }
    assert sensors == {"watch_archive": "RUNNING", "after_sessions": "RUNNING"}
    assert {node["groupName"] for node in data["assetNodes"]} == {"archive", "night"}
    process.send_signal(signal.SIGINT)
    process.wait(30)
    until = time.monotonic() + 15
    while members(process.pid) and time.monotonic() < until:
        time.sleep(0.2)
    assert members(process.pid) == []
    assert "Traceback" not in log.read_text()
