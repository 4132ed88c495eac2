"""Memory while it waits, and coming back when even the watcher is killed, or the power was cut."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astro_assets.capture.lock import holder
from astro_assets_tests.capture.conftest import Pi, write_config, write_plan
from astro_assets_tests.capture.night_of_faults import whole_frames
from astro_assets_tests.capture.test_nights import frames, wait_for

MOST_IDLE_MB = 80.0


def parent_of(pid: int) -> int:
    return int(re.findall(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])


def family(pid: int) -> list[int]:
    """A process with all that it has started, and they."""
    everyone = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    found = [pid]
    for one in found:
        for other in everyone:
            try:
                if parent_of(other) == one:
                    found.append(other)
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def resident_mb(pid: int) -> float:
    """RSS: with what it shares with others, so more than it costs."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


@pytest.fixture
def tonight(pi: Pi) -> Iterator[Path]:
    """A plan that is dark at this moment, whatever the clock says; what runs is stopped."""
    now = datetime.now(UTC)
    yield write_plan(pi.home, 10, dusk=now - timedelta(hours=1))
    pi.run("stop")


def test_while_it_waits_it_is_small(pi: Pi) -> None:
    """Watcher and night together, before dusk; the camera's process begins at dusk."""
    now = datetime.now(UTC)
    plan = write_plan(pi.home, 10, dusk=now + timedelta(hours=3), created_utc=now.isoformat())
    process = pi.start("run", "--plan", str(plan))
    try:
        wait_for((pi.night / "status.json").exists)
        assert (pi.status()["phase"], pi.status()["alert"]) == ("waiting", "")
        members = family(process.pid)
        assert len(members) == 2
        assert sum(map(resident_mb, members)) < MOST_IDLE_MB
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_without_systemd_a_killed_watcher_is_back_within_ten_seconds(pi: Pi, tonight: Path) -> None:
    assert pi.run("arm", "--plan", str(tonight)).returncode == 0
    wait_for(lambda: frames(pi) >= 1)
    watcher, before = holder(pi.captures), frames(pi)
    assert watcher is not None
    os.kill(watcher, signal.SIGKILL)
    began_s = time.monotonic()
    wait_for(lambda: holder(pi.captures) not in (None, watcher) and frames(pi) > before, 20.0)
    assert time.monotonic() - began_s < 10
    assert json.loads(pi.run("arm", "--plan", str(tonight)).stdout)["state"] == "already armed"
    # Told to stop, nobody begins it again.
    shell = parent_of(holder(pi.captures) or 0)
    assert pi.run("stop").stdout == "stopped\n"
    wait_for(lambda: not Path(f"/proc/{shell}").exists())
    assert holder(pi.captures) is None
    assert "the watcher ended (status 137); it begins again" in (
        next(pi.captures.glob("*.log")).read_text()
    )
    whole_frames(pi)


def test_after_a_power_cut_the_night_goes_on(pi: Pi, tonight: Path) -> None:
    assert "no night was ever armed" in pi.run("resume").stdout
    assert pi.run("arm", "--plan", str(tonight)).returncode == 0
    tonight.unlink()
    wait_for(lambda: frames(pi) >= 1)
    assert "is under way already" in pi.run("resume").stdout
    watcher = holder(pi.captures)
    assert watcher is not None
    for pid in family(parent_of(watcher)):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: holder(pi.captures) is None)
    before = frames(pi)
    assert pi.run("resume").stdout.endswith("goes on\n")
    wait_for(lambda: frames(pi) > before)
    assert pi.run("stop").returncode == 0
    assert "is over: nothing to go on with" in pi.run("resume").stdout
    whole_frames(pi)


def test_a_clock_that_is_not_set_is_waited_for_and_told(pi: Pi) -> None:
    """As after a power cut without a network: the clock shows a time before the plan was made."""
    later = datetime.now(UTC) + timedelta(seconds=12)
    plan = write_plan(pi.home, 10, dusk=later - timedelta(hours=1), created_utc=later.isoformat())
    try:
        assert json.loads(pi.run("arm", "--plan", str(plan)).stdout)["state"] == "armed"
        assert "the clock is not set" in pi.status()["alert"]
        assert frames(pi) == 0
        wait_for(lambda: frames(pi) >= 1)
        assert pi.status()["alert"] == ""
    finally:
        pi.run("stop")


def test_no_night_at_a_high_latitude_is_no_fault(pi: Pi) -> None:
    """Status 3, which systemd and the shell take for an end; now, at one pole or the other."""
    north_is_bright = datetime.now(UTC).month in range(4, 10)
    write_config(pi.home)
    text = pi.config.read_text().replace(
        "latitude = 53.2", f"latitude = {89 if north_is_bright else -89}"
    )
    pi.config.write_text(text + "[Night]\nTwilight = astronomical\n")
    done = pi.run("run")
    assert done.returncode == 3
    assert "does not get dark (astronomical twilight)" in done.stderr
