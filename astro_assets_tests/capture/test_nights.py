"""Whole nights on the command line: armed, stopped, killed, on a card that fails."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astro_assets_tests.capture.conftest import NIGHT, Pi, write_plan
from astro_assets_tests.capture.night_of_faults import whole_frames

FAST = ("--speed", "20")


def wait_for(true: Callable[[], object], limit_s: float = 20.0) -> None:
    give_up_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def frames(pi: Pi) -> int:
    return len(list(pi.night.glob("light-*.fits")))


@pytest.fixture
def stopped_at_the_end(pi: Pi) -> Iterator[None]:
    yield
    pi.run("stop")


def test_arming_lets_go_and_twice_is_harmless(pi: Pi, stopped_at_the_end: None) -> None:
    plan = write_plan(pi.home, 10)
    first = pi.run("arm", "--plan", str(plan), *FAST)
    assert json.loads(first.stdout) == {"night": NIGHT, "state": "armed"}, first.stderr
    again = pi.run("arm", "--plan", str(plan), *FAST)
    assert json.loads(again.stdout) == {"night": NIGHT, "state": "already armed"}
    wait_for(lambda: frames(pi) >= 2)
    status = json.loads(pi.run("status").stdout)
    assert status["running"]
    assert status["phase"] == "exposing"
    assert status["frames"] >= 1
    assert pi.run("bias").returncode == 1
    assert pi.run("stop").stdout == "stopped\n"
    assert json.loads(pi.run("status").stdout)["phase"] == "stopped"
    assert whole_frames(pi)


def test_after_dawn_it_is_refused(pi: Pi) -> None:
    plan = write_plan(pi.home, 10, dusk=datetime(2026, 11, 19, 17, tzinfo=UTC))
    done = pi.run("arm", "--plan", str(plan))
    if datetime.now(UTC) < datetime(2026, 11, 20, 3, tzinfo=UTC):
        pytest.skip("this machine's clock stands before that dawn")
    assert done.returncode == 1
    assert "ended at 2026-11-20 03:00 UTC: arm the next one" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_it_is_back_within_ten_seconds(pi: Pi, number: signal.Signals) -> None:
    process = pi.start("run", "--plan", str(write_plan(pi.home, 10)), *FAST)
    try:
        wait_for(lambda: frames(pi) >= 2)
        before, pid = frames(pi), pi.status()["pid"]
        os.kill(pid, number)
        began_s = time.monotonic()
        wait_for(lambda: pi.status()["pid"] != pid and frames(pi) > before, 10.0)
        assert time.monotonic() - began_s < 10
    finally:
        process.terminate()
        log, _ = process.communicate(timeout=30)
    assert f"signal {int(number)}" in log
    whole_frames(pi)


def test_when_the_watcher_is_killed_nobody_holds_the_camera(pi: Pi) -> None:
    process = pi.start("run", "--plan", str(write_plan(pi.home, 10)), *FAST)
    wait_for(lambda: frames(pi) >= 1)
    pid = pi.status()["pid"]
    process.kill()
    process.communicate(timeout=10)
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert json.loads(pi.run("status").stdout)["running"] is False


def test_two_at_once_are_one(pi: Pi) -> None:
    plan = str(write_plan(pi.home, 10))
    process = pi.start("run", "--plan", plan, *FAST)
    try:
        wait_for(lambda: frames(pi) >= 1)
        second = pi.run("run", "--plan", plan, *FAST)
        assert second.returncode == 3
        assert "another capture of this camera is under way" in second.stderr
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_started_after_midnight_it_joins_the_night(pi: Pi) -> None:
    """By the Pi's own place, at this moment: the plan is written beside the frames."""
    done = pi.start("run")
    try:
        wait_for(
            lambda: list(pi.captures.glob("*.plan.json")) and pi.captures.glob("*/status.json")
        )
    finally:
        done.terminate()
        done.communicate(timeout=30)
    (file,) = pi.captures.glob("*.plan.json")
    plan = json.loads(file.read_text())
    dusk, dawn = (datetime.fromisoformat(plan[key]) for key in ("dusk_utc", "dawn_utc"))
    noon = datetime.fromisoformat(f"{plan['night']}T12:00:00+00:00") - timedelta(hours=6.5 / 15)
    assert noon < dusk < dawn < noon + timedelta(days=1)
    assert noon <= datetime.now(UTC) < noon + timedelta(days=1)


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A card of 1.5 MB."""
    folder = tmp_path / "card"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def small_card(pi: Pi, card: Path, floor_gb: float) -> Pi:
    text = pi.config.read_text()
    text = text.replace(str(pi.captures), str(card / "captures"))
    pi.config.write_text(text.replace("Disk_Floor_GB = 0.001", f"Disk_Floor_GB = {floor_gb}"))
    return Pi(card, pi.config)


def test_seven_nights_without_a_collector(pi: Pi, card: Path) -> None:
    """The card fills; nothing unconfirmed is removed; at the floor it stops, and says so."""
    there = small_card(pi, card, 0.001)
    # Room for some three frames, so that it fills on a machine of any speed.
    (card / "ballast").write_bytes(bytes(shutil.disk_usage(card).free - 1_150_000))
    names: set[str] = set()
    for night in range(7):
        content = json.loads(write_plan(pi.home, 0.015).read_text())
        content["night"] = f"2026-11-{14 + night}"
        plan = pi.home / "plan.json"
        plan.write_text(json.dumps(content))
        assert there.run("run", "--plan", str(plan), *FAST).returncode == 0
        now = {str(path) for path in there.captures.glob("*/light-*.fits")}
        assert names <= now
        names = now
    assert names
    assert shutil.disk_usage(card).free < 1e6
    statuses = sorted(there.captures.glob("*/status.json"))
    last = json.loads(statuses[-1].read_text())
    assert "no pictures are taken" in last["alert"]
    assert last["phase"] == "done"


def test_a_card_that_becomes_read_only_ends_the_night_cleanly(pi: Pi, card: Path) -> None:
    there = small_card(pi, card, 0.0001)
    process = there.start("run", "--plan", str(write_plan(pi.home, 10)), *FAST)
    wait_for(lambda: list(there.captures.glob("*/light-*.fits")))
    subprocess.run(["mount", "-o", "remount,ro", str(card)], check=True)
    try:
        log, _ = process.communicate(timeout=60)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(card)], check=True)
    assert process.returncode == 3
    assert "does not take files (Read-only file system): check the card" in log
    whole_frames(there)
