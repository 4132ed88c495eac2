"""What is to be run next: pure decisions, the same for sensors and for `sync`.

A **request** asks for one job on one partition because of one state of its inputs (the digest).
**Waves** are lists of requests of which a later one needs what the earlier ones make.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Protocol

from astro_assets.defs import names
from astro_assets.frame import FrameKind, mosaic_key
from astro_assets.sources.batches import Batch
from astro_assets.steps import provenance


class State(Enum):
    """How far a request has come."""

    NEW = auto()
    """never run, or failed in a way that may pass and due again"""
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Request:
    """One job on one partition.

    digest : of the inputs; other inputs are another request
    target : for sessions, so that a composite waits for them
    """

    job: str
    partitions: str
    partition: str
    digest: str
    target: str = ""

    @property
    def key(self) -> str:
        return f"{self.job}:{self.partition}:{self.digest}"


MOST_SIGHTINGS = 300
"""remembered at a time, so that a cursor stays small; the others come when there is room"""

States = Callable[[Sequence[Request]], Mapping[Request, State]]


@dataclass(frozen=True, slots=True)
class Next:
    """What to launch now, and whether anything is still to be waited for."""

    launch: tuple[Request, ...]
    settled: bool


def next_requests(waves: Iterable[Sequence[Request]], states: States) -> Next:
    """The new requests of the first wave that is not settled.

    A failed request settles its wave: what can do without it goes on without it.
    """
    for wave in waves:
        known = states(wave)
        unsettled = [r for r in wave if known[r] in (State.NEW, State.RUNNING)]
        if unsettled:
            new = tuple(r for r in unsettled if known[r] is State.NEW)
            return Next(launch=new, settled=False)
    return Next(launch=(), settled=True)


class Chains(Protocol):
    """What products have been made with, and would be made with now, as a hash.

    Empty for what was never made and for what is as it was first made.
    """

    def session(self, key: str) -> str: ...

    def master(self, kind: FrameKind, key: str) -> str: ...

    def unlisted(self, listed: Collection[str], kind: FrameKind) -> Iterable[tuple[str, str]]: ...


def lane_waves(
    source: str,
    batches: Sequence[Batch],
    cameras: Callable[[], Mapping[str, str]],
    chains: Chains,
    listed: Collection[str] | None = None,
) -> Iterator[list[Request]]:
    """The waves of one lane: calibrations are fetched, combined kind by kind, then sessions.

    cameras : camera configurations that can have a bad-pixel map, each with a digest of what it
        is from; asked for when the masters are settled
    chains : asked for a kind when what it is made with is settled
    listed : keys of all batches that the source has; without, those of ``batches``
    """
    everything = {batch.key for batch in batches} if listed is None else set(listed)
    calibrations = [batch for batch in batches if batch.kind is not FrameKind.LIGHT]
    yield [_raw_request(source, batch) for batch in calibrations]
    for kind in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT):
        known = [(b.key, b.digest, chains.master(kind, b.key)) for b in batches if b.kind is kind]
        gone = [(key, "", chain) for key, chain in chains.unlisted(everything, kind)]
        yield [
            Request(
                names.master_job(source, kind),
                names.master_sets(source, kind),
                key,
                _with(digest, chain),
            )
            for key, digest, chain in (*known, *gone)
        ]
    yield [
        Request(names.bad_pixel_map_job(source), names.cameras(source), camera, digest)
        for camera, digest in cameras().items()
    ]
    lights = [batch for batch in batches if batch.kind is FrameKind.LIGHT]
    yield [
        *(session_request(source, b.key, b.digest, chains.session(b.key)) for b in lights),
        *(
            session_request(source, key, "", chain)
            for key, chain in chains.unlisted(everything, FrameKind.LIGHT)
        ),
    ]


def fetch_request(source: str, batch: Batch, chain: str = "") -> Request:
    """The request that fetches a batch as it is listed now; ``chain`` is of a session."""
    if batch.kind is FrameKind.LIGHT:
        return session_request(source, batch.key, batch.digest, chain)
    return _raw_request(source, batch)


def _raw_request(source: str, batch: Batch) -> Request:
    return Request(
        names.raw_calibrations_job(source),
        names.calibration_sets(source),
        batch.key,
        batch.digest,
    )


def session_request(source: str, key: str, digest: str, chain: str) -> Request:
    """The request that takes a session to its stack.

    digest : of what the source lists of it; empty when it lists nothing any more
    """
    job, partitions = names.session_job(source), names.sessions(source)
    return Request(job, partitions, key, _with(digest, chain), _target(key))


def _with(digest: str, chain: str) -> str:
    """The digest of a batch's files, and of what its product is made with beside them."""
    return provenance.fingerprint(digest, chain) if chain else digest


def _target(session: str) -> str:
    """The target as its composite's partition is called, which is how the session's key has it."""
    return mosaic_key(session.split("_")[1])


def closing_waves(
    targets: Mapping[str, str], nights: Callable[[], Mapping[str, str]], busy_targets: set[str]
) -> Iterator[list[Request]]:
    """The waves after the lanes: composites, then the table and the nights' reports.

    targets : with stacks, each with a digest of these
    nights : with sessions, each with a digest of all that its report shows
    busy_targets : those with a session under way; their composite waits for it
    """
    yield [
        Request(names.COMPOSITE_JOB, names.TARGETS, target, digest, target)
        for target, digest in targets.items()
        if target not in busy_targets
    ]
    if not busy_targets:
        yield [
            Request(names.MORNING_JOB, names.NIGHTS, night, digest)
            for night, digest in nights().items()
        ]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Since when a batch has looked like this."""

    digest: str
    since_utc: datetime


def ready(
    batches: Sequence[Batch],
    seen: Mapping[str, Sighting],
    now_utc: datetime,
    quiet: timedelta,
    asked: Callable[[Sequence[Batch]], set[str]],
) -> tuple[list[Batch], dict[str, Sighting]]:
    """Which batches have stopped growing, and what to remember until the next look.

    A batch is ready when the far side says that it is complete, when its newest file is older
    than ``quiet``, when it has looked the same for that long, or when it has been asked for as it
    is now, for then it was ready before.

    Parameters
    ----------
    seen : what was remembered after the last look
    asked : of these batches, the keys of those that have been asked for as they are now
    """
    open_ones = [b for b in batches if not (b.closed or _old(b, now_utc, quiet))]
    before = asked(open_ones) if open_ones else set()
    growing = [batch for batch in open_ones if batch.key not in before]
    # Those that are remembered already keep their place.
    growing.sort(key=lambda batch: (batch.key not in seen, batch.key))
    remembered = {batch.key: _sighting(batch, seen, now_utc) for batch in growing[:MOST_SIGHTINGS]}
    unfinished = {batch.key for batch in growing} - {
        key for key, sighting in remembered.items() if now_utc - sighting.since_utc >= quiet
    }
    return [batch for batch in batches if batch.key not in unfinished], remembered


def _old(batch: Batch, now_utc: datetime, quiet: timedelta) -> bool:
    """Whether the newest of its files has been there, unchanged, for so long."""
    times = [file.modified_utc for file in batch.files]
    newest = max((t for t in times if t is not None), default=None)
    return newest is not None and None not in times and quiet <= now_utc - newest


def _sighting(batch: Batch, seen: Mapping[str, Sighting], now_utc: datetime) -> Sighting:
    digest = batch.digest
    before = seen.get(batch.key)
    return before if before and before.digest == digest else Sighting(digest, now_utc)
