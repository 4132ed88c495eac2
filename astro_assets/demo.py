"""`astro-assets demo`: a simulated night through the real system, from servers to pictures.

What belongs here: starting and stopping the parts, showing how far they are. What does not: the
parts themselves (`sim`, `definitions`).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from astro_assets.console import print_sessions, progress_bar, terminal
from astro_assets.defs.capture import capture_config
from astro_assets.defs.capture_watch import CaptureWatch
from astro_assets.defs.instance import prepare_home
from astro_assets.defs.monitor import Monitor, Standing
from astro_assets.defs.names import CAPTURE_JOB
from astro_assets.errors import AstroAssetsError, SourceUnreachable
from astro_assets.settings import SETTINGS_VARIABLE, load_settings
from astro_assets.sim import truth
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.steps.overview import overview
from astro_assets.steps.report import PAGE
from astro_assets.store import Store, write_json

NIGHT = date(2026, 11, 20)
PI = "pi"
UI_PORT = 3000
PATIENCE_S = 900.0
_SECONDS_PER_FRAME = 3.0
"""of the Pi's camera: one sees them come"""
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


@dataclass(frozen=True, slots=True)
class _Folders:
    """Where the demo keeps its things."""

    top: Path

    @property
    def observatory(self) -> Path:
        return self.top / "observatory"

    @property
    def data(self) -> Path:
        return self.top / "data"

    @property
    def dagster(self) -> Path:
        return self.top / "dagster"

    @property
    def settings(self) -> Path:
        return self.top / "observatory.toml"

    @property
    def mark(self) -> Path:
        return self.top / "DEMO"

    @property
    def log(self) -> Path:
        return self.top / "dagster.log"

    @property
    def summary(self) -> Path:
        return self.top / "summary.json"


def run_demo(top: Path, *, leave: bool) -> int:
    """Play the night in ``top``, afresh. Returns the exit status, 0 only when all is well.

    leave : stop everything when the night is complete, instead of keeping the web UI

    Raises
    ------
    SourceUnreachable : the web UI does not come up
    AstroAssetsError : this is not the project's folder, or ``top`` holds something else
    """
    console = terminal()
    folders = _Folders(top)
    workspace = Path("workspace.yaml").absolute()
    if not workspace.is_file():
        raise AstroAssetsError(f"{workspace} is not there: start the demo in the project's folder")
    _start_afresh(folders)
    prepare_home(folders.dagster)
    with console.status("Making a night of frames from real stars…"):
        make_night(folders.observatory, night=NIGHT, truth_images=False, capture="on-arm")
    with SimulatedObservatory(
        folders.observatory, capture_program=True, seconds_per_frame=_SECONDS_PER_FRAME
    ) as observatory:
        folders.settings.write_text(
            observatory.settings_toml(folders.data, interval_s=5, quiet_s=6), encoding="utf-8"
        )
        os.environ.update(observatory.environment)
        os.environ["DAGSTER_HOME"] = str(folders.dagster)
        os.environ[SETTINGS_VARIABLE] = str(folders.settings)
        console.print(f"Four servers are up: {', '.join(observatory.sources)}.")
        port = _free_port(UI_PORT)
        address = f"http://127.0.0.1:{port}"
        # The monitor first: it makes the databases, which two processes must not do at once.
        with (
            _monitor(folders) as monitor,
            _dagster(workspace, port, folders.log) as server,
        ):
            standing = _play(console, folders, address, server, monitor)
            _tell_capture(console, folders)
            well = _close(console, folders, address, standing)
            if not leave:
                console.print(f"\nThe web UI stays at [bold]{address}[/bold]. Ctrl-C ends it.")
                _wait_for_interrupt(server)
    return 0 if well else 1


def _start_afresh(folders: _Folders) -> None:
    """Empty the demo's folder, but only if an earlier demo made it."""
    if folders.top.exists():
        if any(folders.top.iterdir()) and not folders.mark.exists():
            raise AstroAssetsError(
                f"{folders.top} holds things that are not the demo's: give another --folder"
            )
        shutil.rmtree(folders.top)
    folders.observatory.mkdir(parents=True)
    folders.mark.write_text("Made by `astro-assets demo`, which empties this folder.\n")


@contextmanager
def _dagster(workspace: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``dagster dev``: web UI, daemon and code server."""
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-w", str(workspace),
               "-h", "127.0.0.1", "-p", str(port)]  # fmt: skip
    # In the background of a script SIGINT is ignored, by what we start as well: Dagster has to
    # hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb") as output:
        # A group of its own: Ctrl-C on the terminal reaches us, and we end it in order.
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield server
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    for how, patience_s in ((signal.SIGINT, 20), (signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        try:
            os.killpg(server.pid, how)
            server.wait(patience_s)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _monitor(folders: _Folders) -> Monitor:
    """Watches for as many sessions as the simulated night holds."""
    sessions = {
        (frame.source, frame.night, frame.target)
        for frame in truth.load(folders.observatory).frames
        if frame.kind == "light"
    }
    return Monitor(load_settings(folders.settings), len(sessions))


def _play(
    console: Console,
    folders: _Folders,
    address: str,
    server: subprocess.Popen[bytes],
    monitor: Monitor,
) -> Standing:
    """Wait for the web UI, arm the Pi, and watch until the night is complete."""
    started = time.monotonic()
    frames = len(list(folders.observatory.glob("served/pi/.prepared/*/*.fits")))
    with progress_bar(console) as progress:
        bar = progress.add_task("Dagster is starting", total=monitor.expected_sessions)
        _wait_for_ui(address, server, folders.log)
        _launch_capture(address)
        camera = progress.add_task("the Pi's camera is being armed", total=frames)
        watch = CaptureWatch(load_settings(folders.settings), PI)
        while True:
            standing = monitor.look()
            told = watch.look()
            progress.update(camera, completed=told.frames, description=told.sentence)
            progress.update(bar, completed=standing.sessions_done, description=standing.sentence)
            if standing.complete or time.monotonic() - started > PATIENCE_S:
                return standing
            if server.poll() is not None:
                raise SourceUnreachable(f"dagster ended by itself; {folders.log} says why")
            time.sleep(2)


def _tell_capture(console: Console, folders: _Folders) -> None:
    """How many frames the Pi took, and how many of them are here."""
    taken = len(list(folders.observatory.glob("served/pi/captures/*/light-*.fits")))
    here = len(list((folders.data / "raw" / PI).rglob("light-*.fits")))
    console.print(f"Capture on {PI}: {taken} frames taken, {here} of them are here.")


def _close(console: Console, folders: _Folders, address: str, standing: Standing) -> bool:
    """Print and write the closing table; say whether all is well."""
    store = Store(folders.data)
    rows = list(overview(store))
    print_sessions(console, rows)
    reports = sorted(store.root.glob(f"reports/*/{PAGE}"))
    pictures = sorted(store.root.glob("composites/*/color.png"))
    for failure in standing.failures:
        console.print(f"[red]failed:[/red] {failure}", soft_wrap=True)
    well = standing.complete and not standing.failures
    console.print("Pictures:", *(f"  {picture}" for picture in pictures), sep="\n", soft_wrap=True)
    console.print("Reports:", *(f"  {report}" for report in reports), sep="\n", soft_wrap=True)
    console.print(f"Web UI: {address}")
    if not standing.complete:
        console.print(f"[red]The night is not complete:[/red] {standing.sentence}")
    write_json(
        folders.summary,
        {
            "ok": well,
            "sessions": [row.as_json() for row in rows],
            "failures": list(standing.failures),
            "pictures": [str(picture) for picture in pictures],
            "reports": [str(report) for report in reports],
            "ui": address,
        },
    )
    return well


def _wait_for_ui(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(f"{address}/server_info", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise SourceUnreachable(f"Dagster's web UI does not answer at {address}; {log} says why")


def _launch_capture(address: str) -> None:
    """Ask the running Dagster for tonight's capture, as its schedule does at noon."""
    params: dict[str, Any] = {
        "selector": {
            "repositoryLocationName": "astro_assets",
            "repositoryName": "__repository__",
            "jobName": CAPTURE_JOB,
        },
        "runConfigData": json.dumps(capture_config(PI, NIGHT)),
        "mode": "default",
    }
    answer = httpx.post(
        f"{address}/graphql", json={"query": _LAUNCH, "variables": {"params": params}}, timeout=60
    ).json()
    outcome = answer.get("data", {}).get("launchRun", {})
    if outcome.get("__typename") != "LaunchRunSuccess":
        raise SourceUnreachable(f"Dagster did not launch {CAPTURE_JOB}: {answer}")


def _free_port(wanted: int) -> int:
    """``wanted`` if it is free on loopback, else any that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SourceUnreachable("there is no free port on this machine for the web UI")


def _wait_for_interrupt(server: subprocess.Popen[bytes]) -> None:
    try:
        server.wait()
    except KeyboardInterrupt:
        return
