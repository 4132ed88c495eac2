"""What is to be run next, and when a session has stopped growing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_assets.defs import names
from astro_assets.defs.decide import (
    MOST_SIGHTINGS,
    Request,
    Sighting,
    State,
    closing_waves,
    lane_waves,
    next_requests,
    ready,
)
from astro_assets.frame import CALIBRATION_KINDS, FrameKind
from astro_assets.sources.batches import Batch, batch_key
from astro_assets.sources.protocol import Placement, RemoteFile

NIGHT = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
QUIET = timedelta(minutes=5)


def batch(
    kind: FrameKind = FrameKind.LIGHT,
    target: str | None = "M 31",
    *,
    configuration: str = "",
    modified: Sequence[datetime | None] = (NOW - timedelta(hours=1),),
    size: int = 100,
    complete: bool = False,
) -> Batch:
    placement = Placement(kind, NIGHT, target, "T20", configuration)
    return Batch(
        source="rented",
        key=batch_key(placement),
        kind=kind,
        night=NIGHT,
        target=target if kind is FrameKind.LIGHT else None,
        instrument="T20",
        files=tuple(
            RemoteFile(f"{n}.fits", size, time, complete=complete)
            for n, time in enumerate(modified)
        ),
    )


class Runs:
    """A record of runs, as the instance keeps one."""

    def __init__(self, states: Mapping[str, State] | None = None) -> None:
        self.of_job = dict(states or {})
        self.asked: list[str] = []

    def __call__(self, requests: Sequence[Request]) -> Mapping[Request, State]:
        self.asked += [request.job for request in requests]
        return {request: self.of_job.get(request.job, State.NEW) for request in requests}


class Chained:
    """Chains of products, by key; what is not named is as it was first made."""

    def __init__(self, **chains: str) -> None:
        self.of = chains

    def session(self, key: str) -> str:
        return self.of.get(key.split("_")[1], "")

    def master(self, kind: FrameKind, key: str) -> str:
        return self.of.get(kind.value, "")

    def unlisted(self, listed: Collection[str], kind: FrameKind) -> list[tuple[str, str]]:
        keys = {FrameKind.LIGHT: "2026-01-01_Gone_T20", FrameKind.DARK: "2026-01-01_dark_T20_1s"}
        key = keys.get(kind, "")
        chain = self.of.get("gone", "") if key and key not in listed else ""
        return [(key, chain)] if chain else []


# Waves


def request(job: str, partition: str = "p", digest: str = "d") -> Request:
    return Request(job, "partitions", partition, digest)


def test_the_first_wave_with_something_to_do_is_launched_and_no_later_one() -> None:
    waves = [[request("a")], [request("b")], [request("c")]]
    runs = Runs({"a": State.DONE})
    found = next_requests(waves, runs)
    assert found.launch == (request("b"),)
    assert not found.settled
    assert runs.asked == ["a", "b"]


def test_what_runs_is_waited_for_and_not_launched_again() -> None:
    waves = [[request("a"), request("b")], [request("c")]]
    found = next_requests(waves, Runs({"a": State.RUNNING}))
    assert found.launch == (request("b"),)
    found = next_requests(waves, Runs({"a": State.RUNNING, "b": State.DONE}))
    assert found.launch == ()
    assert not found.settled


def test_what_failed_is_settled_and_the_rest_goes_on_without_it() -> None:
    waves = [[request("a")], [request("b")]]
    assert next_requests(waves, Runs({"a": State.FAILED})).launch == (request("b"),)
    assert next_requests(waves, Runs({"a": State.FAILED, "b": State.FAILED})).settled


def test_nothing_to_do_is_settled() -> None:
    assert next_requests([], Runs()).settled
    assert next_requests([[], []], Runs()).settled
    done = next_requests([[request("a")]], Runs({"a": State.DONE}))
    assert (done.launch, done.settled) == ((), True)


def test_other_inputs_are_another_request() -> None:
    assert request("a", digest="1").key != request("a", digest="2").key
    assert request("a", "p").key != request("a", "q").key
    assert request("a").key != request("b").key


# A lane

LANE = [
    batch(FrameKind.BIAS),
    batch(FrameKind.DARK, configuration="300s"),
    batch(FrameKind.FLAT, configuration="Red"),
    batch(target="M 31"),
    batch(target="NGC 7000"),
]


def test_a_lane_goes_from_calibrations_to_sessions() -> None:
    states: dict[str, State] = {}
    order: list[set[str]] = []
    while not (
        found := next_requests(
            lane_waves("rented", LANE, lambda: {"cam": "d"}, Chained()), Runs(states)
        )
    ).settled:
        order.append({r.job for r in found.launch})
        states |= {r.job: State.DONE for r in found.launch}
    assert order == [
        {"rented_raw_calibrations"},
        {"rented_master_bias"},
        {"rented_master_dark"},
        {"rented_master_flat"},
        {"rented_bad_pixel_map"},
        {"rented_session"},
    ]


def test_each_request_names_its_batch_and_its_inputs() -> None:
    waves = list(lane_waves("rented", LANE, lambda: {"cam": "of its masters"}, Chained()))
    assert [r.partition for r in waves[0]] == [b.key for b in LANE[:3]]
    assert [(r.partition, r.digest) for r in waves[4]] == [("cam", "of its masters")]
    assert [(r.partition, r.digest) for r in waves[5]] == [(b.key, b.digest) for b in LANE[3:]]
    grown = list(lane_waves("rented", [batch(size=200)], dict, Chained()))
    assert grown[-1][0].partition == waves[5][0].partition
    assert grown[-1][0].key != waves[5][0].key


def test_cameras_are_asked_for_only_when_the_masters_are_settled() -> None:
    def too_early() -> Mapping[str, str]:
        raise AssertionError("the masters are not made yet")

    states = {"rented_raw_calibrations": State.DONE, "rented_master_bias": State.RUNNING}
    assert not next_requests(lane_waves("rented", LANE, too_early, Chained()), Runs(states)).settled


def test_a_master_that_failed_does_not_hold_up_the_sessions() -> None:
    jobs = ("raw_calibrations", "master_bias", "master_dark", "master_flat", "bad_pixel_map")
    states = {f"rented_{job}": State.FAILED for job in jobs}
    found = next_requests(lane_waves("rented", LANE, dict, Chained()), Runs(states))
    assert {r.job for r in found.launch} == {"rented_session"}


def test_a_lane_without_calibrations_begins_with_its_sessions() -> None:
    found = next_requests(lane_waves("rented", LANE[3:], dict, Chained()), Runs())
    assert [r.partition for r in found.launch] == ["2026-11-20_M31_T20", "2026-11-20_NGC7000_T20"]


def test_what_is_made_with_something_else_is_another_request_and_nothing_else_is() -> None:
    before = list(lane_waves("rented", LANE, dict, Chained()))
    after = list(lane_waves("rented", LANE, dict, Chained(dark="new bias", M31="new dark")))
    changed = [
        request.partition
        for one, other in zip(before, after, strict=True)
        for request in set(other) - set(one)
    ]
    assert changed == [LANE[1].key, "2026-11-20_M31_T20"]
    again = list(lane_waves("rented", LANE, dict, Chained(dark="new bias", M31="new dark")))
    assert again == after


def test_what_is_listed_no_more_is_made_again_from_what_is_here() -> None:
    waves = list(lane_waves("rented", LANE, dict, Chained(gone="new dark")))
    found = [r for wave in waves for r in wave if r.partition.startswith("2026-01-01")]
    assert [r.job for r in found] == ["rented_master_dark", "rented_session"]
    assert found[1].target == "Gone"
    listed = {r.partition for r in found}
    waves = list(lane_waves("rented", LANE, dict, Chained(gone="new dark"), listed))
    assert not any(r.partition in listed for wave in waves for r in wave)


# Composites


def closing(busy: set[str], states: Mapping[str, State] | None = None) -> tuple[Request, ...]:
    waves = closing_waves({"M31": "1", "NGC7000": "2"}, lambda: {"2026-11-20": "3"}, busy)
    return next_requests(waves, Runs(states)).launch


def test_composites_then_the_morning() -> None:
    assert {r.partition for r in closing(set())} == {"M31", "NGC7000"}
    (morning,) = closing(set(), {names.COMPOSITE_JOB: State.DONE})
    assert (morning.job, morning.partition) == (names.MORNING_JOB, "2026-11-20")
    assert closing(set(), {names.COMPOSITE_JOB: State.RUNNING}) == ()


def test_a_composite_waits_for_the_sessions_of_its_target() -> None:
    assert [r.partition for r in closing({"M31"})] == ["NGC7000"]
    assert closing({"M31"}, {names.COMPOSITE_JOB: State.DONE}) == ()


@pytest.mark.parametrize("spelling", ["M 31", "m31", "Messier_31", "M31"])
def test_a_session_is_tagged_as_its_composite_is_called(spelling: str) -> None:
    (session,) = list(lane_waves("rented", [batch(target=spelling)], dict, Chained()))[-1]
    assert session.target == "M31"
    assert {r.partition for r in closing({session.target})} == {"NGC7000"}


# Ready


def looked(
    batches: Sequence[Batch],
    seen: Mapping[str, Sighting],
    now_utc: datetime,
    quiet: timedelta,
    asked: Sequence[Batch] = (),
) -> tuple[list[Batch], dict[str, Sighting]]:
    """`ready`, where these batches have been asked for as they are."""
    keys = {batch.key for batch in asked}
    return ready(batches, seen, now_utc, quiet, lambda some: keys & {b.key for b in some})


def test_a_batch_is_ready_when_the_far_side_says_so() -> None:
    young = batch(modified=[NOW], complete=True)
    assert looked([young], {}, NOW, QUIET) == ([young], {})


def test_a_batch_is_ready_when_its_newest_file_is_old() -> None:
    old = batch(modified=[NOW - timedelta(hours=3), NOW - QUIET])
    young = batch(target="M 33", modified=[NOW - timedelta(hours=3), NOW - QUIET / 2])
    finished, remembered = looked([old, young], {}, NOW, QUIET)
    assert finished == [old]
    assert remembered == {young.key: Sighting(young.digest, NOW)}


@pytest.mark.parametrize(
    "modified",
    [[None], [NOW - timedelta(hours=3), None], [NOW + timedelta(hours=2)]],
    ids=["no times", "one without", "a clock that is ahead"],
)
def test_without_times_to_trust_a_batch_must_look_the_same_for_long(
    modified: list[datetime | None],
) -> None:
    seen: dict[str, Sighting] = {}
    found = batch(modified=modified)
    at = []
    for minute in range(12):
        finished, seen = looked([found], seen, NOW + timedelta(minutes=minute), QUIET)
        at.append(bool(finished))
    # Once it is ready it stays so: what follows in its lane needs it in each look.
    assert at == [minute >= 5 for minute in range(12)]


def test_a_batch_that_grows_begins_to_wait_again() -> None:
    seen: dict[str, Sighting] = {}
    at = []
    for minute in range(12):
        files = [None] * (1 if minute < 4 else 2)
        finished, seen = looked(
            [batch(modified=files)], seen, NOW + timedelta(minutes=minute), QUIET
        )
        at.append(bool(finished))
    assert at == [minute >= 9 for minute in range(12)]


def test_one_that_grows_does_not_hold_up_the_others_and_what_is_gone_is_forgotten() -> None:
    old, young = batch(), batch(target="M 33", modified=[NOW])
    gone = {"2026-11-19_M1_T20": Sighting("d", NOW - timedelta(days=1))}
    finished, remembered = looked([young, old], gone, NOW, QUIET)
    assert finished == [old]
    assert list(remembered) == [young.key]


def test_without_quiet_time_all_is_ready_at_once() -> None:
    batches = [batch(modified=[None]), batch(target="M 33", modified=[NOW])]
    assert looked(batches, {}, NOW, timedelta(0))[0] == batches


def test_what_has_been_asked_for_is_ready_and_not_remembered() -> None:
    undated, other = batch(modified=[None]), batch(target="M 33", modified=[None])
    finished, remembered = looked([undated, other], {}, NOW, QUIET, asked=[undated])
    assert finished == [undated]
    assert list(remembered) == [other.key]


def test_so_many_are_remembered_and_those_that_are_keep_their_place() -> None:
    many = [batch(target=f"NGC {n}", modified=[None]) for n in range(MOST_SIGHTINGS + 5)]
    last = many[-1]
    seen = {last.key: Sighting(last.digest, NOW - QUIET)}
    finished, remembered = looked(many, seen, NOW, QUIET)
    assert finished == [last]
    assert len(remembered) == MOST_SIGHTINGS
    assert last.key in remembered


# Names


def all_names(source: str) -> list[str]:
    return [
        names.sessions(source),
        names.calibration_sets(source),
        *(names.master_sets(source, kind) for kind in CALIBRATION_KINDS),
        names.cameras(source),
    ]


def all_jobs(source: str) -> list[str]:
    return [
        names.session_job(source),
        names.raw_calibrations_job(source),
        *(names.master_job(source, kind) for kind in CALIBRATION_KINDS),
        names.bad_pixel_map_job(source),
    ]


SOURCE_NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,39}\Z") | st.sampled_from(
    ["pi", "pi_master", "pi_bias", "pi_session", "pi_raw", "pi_bad_pixel", "pi_calibration"]
)


@given(st.sets(SOURCE_NAMES, min_size=1, max_size=5))
def test_no_two_sources_share_a_job_or_a_set_of_partitions(sources: set[str]) -> None:
    for made, of_all in (
        (all_names, {names.TARGETS, names.NIGHTS}),
        (all_jobs, {names.COMPOSITE_JOB, names.MORNING_JOB, names.CAPTURE_JOB}),
    ):
        groups = [set(made(source)) for source in sources] + [of_all]
        assert all(len(set(made(source))) == 6 for source in sources)
        assert not any(one & two for one, two in combinations(groups, 2))
        assert all(
            name.replace("_", "a").isalnum() and name.isascii() for g in groups for name in g
        )
