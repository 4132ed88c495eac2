"""Many sessions: a look costs little when all is known, and is bounded when all is new.

Counted in work, not in seconds; `bench.py` beside this file measures those.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from astro_assets.defs import sensors
from astro_assets.defs.decide import MOST_SIGHTINGS
from astro_assets.frame import FrameKind
from astro_assets.settings import Settings
from astro_assets.sources.batches import Batch
from astro_assets.sources.protocol import RemoteFile
from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.defs.known import (
    SOURCE,
    make_folder,
    record,
    record_requests,
    requests_of,
)

SENSOR = f"watch_{SOURCE}"
FIRST_SIGHT = 2000


class Counted:
    """How often the instance is asked for runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries = 0
        really = DagsterInstance.get_run_records

        def counting(instance: DagsterInstance, *given: Any, **more: Any) -> Any:
            self.queries += 1
            return really(instance, *given, **more)

        monkeypatch.setattr(DagsterInstance, "get_run_records", counting)


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """In memory: some thousand runs are put into it."""
    with DagsterInstance.ephemeral() as opened:
        yield opened


def listing(monkeypatch: pytest.MonkeyPatch, batches: list[Batch]) -> None:
    monkeypatch.setattr(sensors, "look", lambda source, settings, within_s: batches)


def many(count: int, **more: Any) -> list[Batch]:
    """New sessions of one file each."""
    file = RemoteFile("a.fits", 100, datetime(2026, 11, 11, tzinfo=UTC), complete=True)
    night = datetime(2026, 11, 10, tzinfo=UTC).date()
    return [
        Batch(SOURCE, f"2026-11-10_NGC{n:05d}_cam", FrameKind.LIGHT, night, f"NGC{n}", "cam",
              (replace(file, path=f"{n}.fits", **more),))
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("sessions", [5, 400])
def test_a_look_at_known_sessions_asks_the_instance_as_often_for_many_as_for_few(
    sessions: int,
    tmp_path: Path,
    instance: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = make_folder(tmp_path, sessions, 2)
    hand = Hand.over(settings, instance)
    record_requests(instance, requests_of(settings))
    counted = Counted(monkeypatch)
    requests, reason = hand.tick(SENSOR)
    assert (requests, reason) == ([], f"Nothing new in {sessions} sessions and calibration sets.")
    assert counted.queries == 1
    assert len(hand.cursors[SENSOR] or "") < 100


@pytest.fixture
def few(tmp_path: Path) -> Settings:
    return make_folder(tmp_path, 1, 1)


def launched(hand: Hand, instance: DagsterInstance, requests: list[dg.RunRequest]) -> None:
    """Start what a tick asked for, as the daemon does."""
    record(instance, [dict(r.tags) for r in requests], DagsterRunStatus.STARTED)


def test_the_first_sight_of_many_sessions_is_spread_over_ticks_and_none_is_lost(
    few: Settings, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = many(FIRST_SIGHT)
    listing(monkeypatch, batches)
    hand = Hand.over(few, instance)
    counted = Counted(monkeypatch)
    asked: list[str] = []
    ticks = 0
    while requests := hand.tick(SENSOR)[0]:
        ticks += 1
        assert len(requests) <= sensors.MOST_RUNS_PER_TICK
        assert len(hand.cursors[SENSOR] or "") < 100
        asked += [str(request.partition_key) for request in requests]
        launched(hand, instance, requests)
    assert asked == [batch.key for batch in batches]
    assert ticks == FIRST_SIGHT / sensors.MOST_RUNS_PER_TICK
    assert counted.queries / ticks < 2 + FIRST_SIGHT / 400
    assert len(instance.get_dynamic_partitions(f"{SOURCE}_sessions")) == FIRST_SIGHT


def test_sessions_without_times_come_in_turn_and_the_cursor_stays_small(
    few: Settings, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = many(3 * MOST_SIGHTINGS, modified_utc=None, complete=False)
    listing(monkeypatch, batches)
    hand = Hand.over(few, instance)
    asked: set[str] = set()
    for _ in range(60):
        requests, _ = hand.tick(SENSOR)
        cursor = json.loads(hand.cursors[SENSOR] or "{}")
        assert len(cursor["seen"]) <= MOST_SIGHTINGS
        assert len(hand.cursors[SENSOR] or "") < 200 * MOST_SIGHTINGS
        new = {str(request.partition_key) for request in requests}
        assert not new & asked
        asked |= new
        launched(hand, instance, requests)
        # Time passes.
        for sighting in cursor["seen"].values():
            sighting[1] = "2026-11-11T00:00:00+00:00"
        hand.cursors[SENSOR] = json.dumps(cursor)
        if len(asked) == len(batches):
            break
    assert asked == {batch.key for batch in batches}
    hand.tick(SENSOR)
    assert json.loads(hand.cursors[SENSOR] or "{}")["seen"] == {}
