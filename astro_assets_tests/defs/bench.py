"""Seconds of a sensor's tick on this machine: `python -m astro_assets_tests.defs.bench`.

Over 10 000 files that are known, listing included, and at the first sight of 2000 new sessions,
with databases on disk as a user has them.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus

from astro_assets.settings import load_settings
from astro_assets_tests.defs.conftest import SITE, Hand
from astro_assets_tests.defs.known import (
    SOURCE,
    make_folder,
    record,
    record_requests,
    requests_of,
)
from astro_assets_tests.faults.servers.pure_ftpd import pure_ftpd

SENSOR = f"watch_{SOURCE}"
_TICKS = 3


def known(sessions: int, frames: int) -> str:
    """The time of a tick at which all is known."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = make_folder(root, sessions, frames)
        (root / "dagster").mkdir()
        with DagsterInstance.local_temp(str(root / "dagster")) as instance:
            hand = Hand.over(settings, instance)
            record_requests(instance, requests_of(settings))
            return f"{sessions * frames} known files in {sessions} sessions: {_ticks(hand)}"


def known_by_ftp(sessions: int, frames: int) -> str:
    """As `known`, of a Vespera's sessions on a real server."""
    with tempfile.TemporaryDirectory() as folder, pure_ftpd() as running:
        root = Path(folder)
        old = time.time() - 10 * 86400
        for number in range(sessions):
            name = f"2026-11-10_20-00-00_observation_NGC{number + 1}"
            home = running.served / "user" / name / "01-images-initial"
            home.mkdir(parents=True)
            for frame in range(frames):
                path = home / f"img-{frame:04d}.fits"
                path.touch()
                os.utime(path, (old, old))
        file = root / "observatory.toml"
        file.write_text(
            f'root = "data"\n{SITE}\n[[sources]]\nname = "{SOURCE}"\nkind = "vespera"\n'
            f'host = "{running.host}"\nport = {running.port}\n'
        )
        settings = load_settings(file)
        (root / "dagster").mkdir()
        with DagsterInstance.local_temp(str(root / "dagster")) as instance:
            hand = Hand.over(settings, instance)
            record_requests(instance, requests_of(settings))
            where = f"{sessions} sessions on {running.title}"
            return f"{sessions * frames} known files in {where}: {_ticks(hand)}"


def first_sight(sessions: int) -> str:
    """The time of each tick until all new sessions are asked for."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        settings = make_folder(root, sessions, 1)
        (root / "dagster").mkdir()
        with DagsterInstance.local_temp(str(root / "dagster")) as instance:
            hand = Hand.over(settings, instance)
            asked = 0
            while asked < sessions:
                began = time.perf_counter()
                requests, _ = hand.tick(SENSOR)
                seconds.append(time.perf_counter() - began)
                assert requests
                asked += len(requests)
                record(instance, [dict(r.tags) for r in requests], DagsterRunStatus.STARTED)
    return (
        f"{sessions} new sessions: asked for in {len(seconds)} ticks; the first takes "
        f"{seconds[0]:.2f} s, the longest {max(seconds):.2f} s"
    )


def _ticks(hand: Hand) -> str:
    """How long some ticks take at which all is known."""
    seconds, busy = [], []
    for _ in range(_TICKS):
        began, worked = time.perf_counter(), time.process_time()
        requests, _ = hand.tick(SENSOR)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
        assert not requests
    return (
        f"a tick takes {min(seconds):.2f} to {max(seconds):.2f} s, "
        f"of which {min(busy):.2f} s are our own work"
    )


if __name__ == "__main__":
    for sentence in (
        known(500, 20),
        known(2000, 5),
        known_by_ftp(200, 50),
        first_sight(2000),
    ):
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()
