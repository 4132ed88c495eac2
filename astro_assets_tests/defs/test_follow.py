"""A Pi's capture from Dagster's side: real sshd, the real capture program, real frames.

The camera is the capture program's own rehearsal camera.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from astro_assets.definitions import build_defs
from astro_assets.defs.follow import unarmed_night
from astro_assets.errors import NothingToDo
from astro_assets.night import night_of
from astro_assets.settings import PiSource, Settings, load_settings
from astro_assets.sources.batches import look
from astro_assets.sources.fetch import fetch_batch
from astro_assets.sources.kinds import connect
from astro_assets.steps.arm import arm_capture
from astro_assets.steps.pi_camera import CameraStatus, camera_status, stop_capture, take_series
from astro_assets.steps.plan import dark_hours
from astro_assets.store import Store
from astro_assets_tests.capture.conftest import write_config
from astro_assets_tests.faults.servers.sshd import sshd

NOW = datetime.now(UTC)
# Somewhere it is now the middle of the night, whenever this runs.
LONGITUDE_DEG = (15 * (24 - (NOW.hour + NOW.minute / 60)) + 180) % 360 - 180


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A Pi behind OpenSSH: its home is a folder, and `astro-capture` is in its path."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    write_config(home)
    program = home / "bin/astro-capture"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m astro_assets.capture "$@"\n')
    program.chmod(0o755)
    forced = home / "bin/forced"
    forced.write_text(
        f"#!/bin/sh\ncd {home}\nexport PATH={home}/bin:$PATH PYTHONPATH={Path.cwd()}\n"
        'exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    forced.chmod(0o755)
    server = next((p for p in SFTP_SERVERS if Path(p).exists()), None)
    if server is None:
        pytest.skip("no sftp-server: apt install openssh-sftp-server")
    with sshd([f"ForceCommand {forced}"], sftp=server) as running:
        file = tmp_path / "observatory.toml"
        file.write_text(
            'root = "data"\n[site]\nname = "Here"\nlatitude_deg = 0.0\n'
            f"longitude_deg = {LONGITUDE_DEG:.3f}\n"
            f'timezone = "Etc/GMT{-round(LONGITUDE_DEG / 15):+d}"\n'
            '[[sources]]\nname = "roof"\nkind = "pi"\nhost = "127.0.0.1"\n'
            f'port = {running.port}\nuser_env = "PI_USER"\n'
            f'key_file = "{running.more["key_file"]}"\n'
            f'known_hosts = "{running.more["known_hosts"]}"\n'
            '[[sources.plan]]\ntarget = "M 31 and around"\nexposure_s = 1.5\nfilter = "L"\n'
        )
        (tmp_path / ".env").write_text(f"PI_USER={running.more['user']}\n")
        try:
            yield load_settings(file)
        finally:
            subprocess.run([str(program), "stop"], cwd=home, check=False, capture_output=True)


SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")


def wait_for(true: Callable[[], object], limit_s: float = 30.0) -> None:
    give_up_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.1)


def state(settings: Settings) -> CameraStatus:
    return camera_status(settings, "roof", datetime.now(UTC))


def test_armed_followed_fetched_while_it_runs_and_stopped(settings: Settings) -> None:
    night = night_of(NOW, settings.site.timezone)
    assert state(settings).phase == "never armed"
    armed = arm_capture(settings, "roof", night)
    assert armed.state == "armed"
    assert arm_capture(settings, "roof", night).state == "already armed"
    wait_for(lambda: state(settings).frames >= 1)
    with pytest.raises(NothingToDo, match="busy with a capture"):
        take_series(settings, "roof", "bias", ["--count", "2"])
    source = settings.source("roof")
    (batch,) = look(source, settings)
    assert not batch.closed
    assert batch.target == "M 31 and around"
    manifest = fetch_batch(lambda: connect(source, settings.secrets), batch, Store(settings.root))
    assert len(list(manifest.frames())) == len(batch.files) >= 1
    assert stop_capture(settings, "roof") == "stopped"
    now = state(settings)
    assert (now.running, now.phase, now.beating) == (False, "stopped", True)
    with pytest.raises(NothingToDo, match="no capture is under way"):
        stop_capture(settings, "roof")


def test_the_sensor_heals_a_missed_noon_and_shows_the_camera(settings: Settings) -> None:
    defs = build_defs(settings)
    repository = defs.get_repository_def()
    sensor = repository.get_sensor_def("follow_roof")
    with DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, repository_def=repository)
        tick = sensor.evaluate_tick(context)
        (request,) = tick.run_requests or []
        assert request.run_config["ops"]["arm"]["config"]["source"] == "roof"
        done = defs.resolve_job_def("nightly_capture").execute_in_process(
            instance=instance, run_config=request.run_config
        )
        assert done.success
        wait_for(lambda: state(settings).frames >= 1)
        again = sensor.evaluate_tick(
            dg.build_sensor_context(
                instance=instance, repository_def=repository, cursor=tick.cursor
            )
        )
        assert not again.run_requests
        observed, check = again.asset_events
        assert observed.metadata["phase"].value == "exposing"
        assert observed.metadata["frames"].value >= 1
        assert check.passed
        stopped = defs.resolve_job_def("stop_capture").execute_in_process(
            instance=instance, run_config={"ops": {"stop": {"config": {"source": "roof"}}}}
        )
        assert stopped.success
        log = defs.resolve_job_def("capture_log").execute_in_process(
            instance=instance,
            run_config={
                "ops": {
                    "read_log": {
                        "config": {
                            "source": "roof",
                            "night": request.run_config["ops"]["arm"]["config"]["night"],
                        }
                    }
                }
            },
        )
        assert log.success
        # Stopped by hand it stays so.
        last = sensor.evaluate_tick(
            dg.build_sensor_context(instance=instance, repository_def=repository)
        )
        assert not last.run_requests


def test_calibrations_by_hand(settings: Settings) -> None:
    assert "2 frames" in take_series(settings, "roof", "bias", ["--count", "2"])
    batches = look(settings.source("roof"), settings)
    assert [batch.kind.value for batch in batches] == ["bias"]


def status(**changes: object) -> CameraStatus:
    words: dict[str, object] = {
        "running": False, "phase": "done", "night": "", "frames": 0, "lost": 0, "last_frame": "",
        "last_error": "", "alert": "", "temperature_c": None, "disk_free_gb": None,
        "next_exposure_utc": "", "age_s": None,
    }  # fmt: skip
    return CameraStatus(**{**words, **changes})  # type: ignore[arg-type]


def test_only_a_night_that_is_dark_and_not_over_is_armed(settings: Settings) -> None:
    night = night_of(NOW, settings.site.timezone)
    pi = settings.source("roof")
    assert isinstance(pi, PiSource)
    dark = dark_hours(settings.site, pi, night)
    assert dark is not None
    tonight = night.isoformat()
    assert unarmed_night(settings, pi, status(), NOW) == night
    assert unarmed_night(settings, pi, status(running=True), NOW) is None
    assert unarmed_night(settings, pi, status(night=tonight, phase="stopped"), NOW) is None
    assert unarmed_night(settings, pi, status(night=tonight, phase="done"), NOW) is None
    assert unarmed_night(settings, pi, status(), dark.dawn_utc + timedelta(minutes=1)) is None
    # A power cut: it was taking pictures, and is not any more.
    assert unarmed_night(settings, pi, status(night=tonight, phase="exposing"), NOW) == night


@pytest.mark.parametrize(
    ("changes", "beating"),
    [
        ({"phase": "exposing", "running": True, "age_s": 5.0}, True),
        ({"phase": "exposing", "running": True, "age_s": 5000.0}, False),
        ({"phase": "exposing", "running": False, "age_s": 5.0}, False),
        ({"phase": "done", "age_s": 50000.0}, True),
    ],
)
def test_a_heartbeat_that_stopped_is_noticed(changes: dict[str, object], beating: bool) -> None:
    assert status(**changes).beating is beating
