"""A source that is off, refuses, or is set up wrongly: said in a sentence, asked again later."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance

from astro_assets.settings import load_settings
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.sources.conftest import add_itelescope, make_tree, put

SOON = timedelta(minutes=1)


@dataclass
class Watched:
    """A running observatory of small files, and the sensors that look at it."""

    observatory: SimulatedObservatory
    instance: DagsterInstance
    root: Path

    def hand(self, **watch: int) -> Hand:
        file = self.root / "observatory.toml"
        file.write_text(self.observatory.settings_toml(self.root / "data", **watch))
        return Hand.over(load_settings(file), self.instance)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    make_tree(tmp_path)
    with (
        SimulatedObservatory(tmp_path) as observatory,
        DagsterInstance.ephemeral() as instance,
    ):
        for name, value in observatory.environment.items():
            monkeypatch.setenv(name, value)
        yield Watched(observatory, instance, tmp_path)


def pause(hand: Hand, sensor: str) -> timedelta:
    """How long from now until the next look."""
    cursor = json.loads(hand.cursors[sensor] or "{}")
    return datetime.fromisoformat(cursor["next_try"]) - datetime.now(UTC)


def due(hand: Hand, sensor: str) -> None:
    """Let the pause be over."""
    cursor = json.loads(hand.cursors[sensor] or "{}")
    cursor["next_try"] = (datetime.now(UTC) - SOON).isoformat()
    hand.cursors[sensor] = json.dumps(cursor)


def test_each_source_is_watched_by_its_own_sensor(watched: Watched) -> None:
    hand = watched.hand(quiet_s=0)
    for source in watched.observatory.sources:
        requests, _ = hand.tick(f"watch_{source}")
        assert requests, source
        assert all(str(r.job_name).startswith(f"{source}_") for r in requests)


def test_a_source_that_is_off_is_tried_later_and_later(watched: Watched) -> None:
    hand = watched.hand(interval_s=300)
    watched.observatory.stop("vespera")
    for expected_min in (5, 10, 20, 40, 60, 60):
        requests, reason = hand.tick("watch_vespera")
        assert requests == []
        assert reason
        assert "vespera" in reason
        found = pause(hand, "watch_vespera")
        assert timedelta(minutes=expected_min) - found < timedelta(seconds=10)
        assert found <= timedelta(minutes=expected_min)
        due(hand, "watch_vespera")
    watched.observatory.start("vespera")
    hand.tick("watch_vespera")
    assert "next_try" not in json.loads(hand.cursors["watch_vespera"] or "{}")


def test_during_the_pause_the_server_is_left_alone(watched: Watched) -> None:
    hand = watched.hand()
    watched.observatory.stop("pi")
    _, first = hand.tick("watch_pi")
    watched.observatory.start("pi")
    before = watched.observatory.requests["pi"].listings
    requests, reason = hand.tick("watch_pi")
    assert requests == []
    assert first
    assert reason
    assert reason.startswith(first)
    assert "Next look after 20" in reason
    assert watched.observatory.requests["pi"].listings == before


@pytest.mark.parametrize("source", ["itelescope", "telescope_org", "pi"])
def test_a_wrong_password_is_not_tried_again_at_once(
    watched: Watched, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "not-the-password-4711"
    monkeypatch.setenv(f"SIM_{source.upper()}_PASSWORD", wrong)
    hand = watched.hand()
    requests, reason = hand.tick(f"watch_{source}")
    assert requests == []
    assert reason
    assert source in reason
    assert wrong not in reason
    assert wrong not in (hand.cursors[f"watch_{source}"] or "")
    assert pause(hand, f"watch_{source}") > timedelta(minutes=59)
    before = watched.observatory.requests[source].refused
    hand.tick(f"watch_{source}")
    assert watched.observatory.requests[source].refused == before == 1


@pytest.fixture
def warnings(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """The warnings of the ticks since the last call."""

    def told() -> list[str]:
        lines = capsys.readouterr().err.splitlines()
        return [line.partition(" WARNING - ")[2] for line in lines if " WARNING - " in line]

    return told


def test_a_refusal_says_how_to_look_again_at_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIM_PI_PASSWORD", "wrong")
    hand = watched.hand()
    _, reason = hand.tick("watch_pi")
    assert reason
    assert "astro-assets sync, or reset this sensor's cursor" in reason
    hand.cursors.clear()
    monkeypatch.undo()
    for name, value in watched.observatory.environment.items():
        monkeypatch.setenv(name, value)
    requests, _ = watched.hand(quiet_s=0).tick("watch_pi")
    assert requests


def test_a_telescope_that_stays_off_is_told_once_until_it_comes_back(
    watched: Watched, warnings: Callable[[], list[str]]
) -> None:
    hand = watched.hand(quiet_s=0)
    sensor = "watch_vespera"
    for _ in range(2):
        watched.observatory.stop("vespera")
        told = []
        for _ in range(15):
            _, reason = hand.tick(sensor)
            told.append("10 looks in a row" in str(reason))
            assert warnings() == ([reason.partition(". ")[2]] if told[-1] and reason else [])
            due(hand, sensor)
        assert told.index(True) == 9
        assert told.count(True) == 1
        watched.observatory.start("vespera")
        hand.tick(sensor)


def test_a_certificate_that_is_not_checked_is_told_at_each_look(
    watched: Watched, warnings: Callable[[], list[str]]
) -> None:
    hand = watched.hand()
    file = watched.root / "observatory.toml"
    file.write_text(file.read_text().replace("ca_file", "insecure_no_certificate_check = true\n#"))
    hand = Hand.over(load_settings(file), watched.instance)
    for _ in range(2):
        hand.tick("watch_itelescope")
        (said,) = warnings()
        assert "insecure_no_certificate_check is set" in said
    hand.tick("watch_pi")
    assert warnings() == []


def test_other_sources_that_are_off_have_no_such_counter(
    watched: Watched, warnings: Callable[[], list[str]]
) -> None:
    hand = watched.hand()
    watched.observatory.stop("pi")
    for _ in range(12):
        hand.tick("watch_pi")
        due(hand, "watch_pi")
    assert warnings() == []


def test_a_listing_that_lost_most_is_told_and_nothing_is_inferred(
    watched: Watched, warnings: Callable[[], list[str]], tmp_path: Path
) -> None:
    hand = watched.hand(quiet_s=0)
    sensor = "watch_itelescope"
    served = watched.observatory.root / "served/itelescope"
    first, _ = hand.tick(sensor)
    hidden = tmp_path / "hidden"
    (served / "T20").rename(hidden)
    # Nothing of it is here yet: an empty server is an empty server.
    assert hand.tick(sensor)[1] == "Nothing new in 0 sessions and calibration sets."
    hidden.rename(served / "T20")
    hand.tick(sensor)
    raw = Path(tmp_path / "data/raw/itelescope/2026-11-20_NGC7000_T20")
    put(raw / "manifest.json", "{}")
    (served / "T20").rename(hidden)
    for _ in range(2):
        _, reason = hand.tick(sensor)
        assert reason
        assert "itelescope lists nothing where it listed 2 or more before" in reason
        assert reason.endswith("Nothing new in 0 sessions and calibration sets.")
        (said,) = warnings()
        assert said in reason
    assert list(raw.iterdir()) == [raw / "manifest.json"]
    hidden.rename(served / "T20")
    again, _ = hand.tick(sensor)
    assert again == first
    assert warnings() == []


def test_a_secret_that_is_not_set_names_its_variable(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIM_PI_PASSWORD")
    _, reason = watched.hand().tick("watch_pi")
    assert reason
    assert "SIM_PI_PASSWORD" in reason


def test_what_still_grows_is_waited_for_over_looks(watched: Watched) -> None:
    hand = watched.hand(quiet_s=300)
    served = watched.observatory.root / "served"
    hour_ago = datetime.now(UTC).timestamp() - 3600
    for file in served.rglob("*"):
        os.utime(file, (hour_ago, hour_ago))
    requests, _ = hand.tick("watch_itelescope")
    assert [request.partition_key for request in requests] == ["2026-11-20_NGC7000_T20"]
    add_itelescope(served, 3)
    requests, reason = hand.tick("watch_itelescope")
    assert requests == []
    assert reason == "1 of 1 sessions and sets are still growing; waiting for them."
    seen = json.loads(hand.cursors["watch_itelescope"] or "{}")["seen"]
    assert list(seen) == ["2026-11-20_NGC7000_T20"]
