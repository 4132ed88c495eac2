"""Seconds of a sensor's tick on this machine: `python -m astro_assets_tests.defs.bench`.

Over 10 000 files that are known, listing included, and at the first sight of 2000 new sessions,
with databases on disk as a user has them.
"""

import sys
import tempfile
import time
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus

from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.defs.known import (
    SOURCE,
    make_folder,
    record,
    record_requests,
    requests_of,
)

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
            seconds = [_tick(hand, 0) for _ in range(_TICKS)]
    return (
        f"{sessions * frames} known files in {sessions} sessions: a tick takes "
        f"{min(seconds):.2f} to {max(seconds):.2f} s"
    )


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


def _tick(hand: Hand, expected: int) -> float:
    began = time.perf_counter()
    requests, _ = hand.tick(SENSOR)
    assert len(requests) == expected
    return time.perf_counter() - began


if __name__ == "__main__":
    for sentence in (known(500, 20), known(2000, 5), first_sight(2000)):
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()
