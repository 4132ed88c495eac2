"""From a listing to batches: sessions of lights and sets of calibration frames.

What belongs here: grouping (pure) and `look`, the one call for "what is there". What does not:
naming rules of one kind, and anything that downloads.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from astro_assets.frame import CALIBRATION_KINDS, FrameKind, key_part, target_key
from astro_assets.settings import Settings, SourceSettings
from astro_assets.settings.sources import Selection
from astro_assets.sources.aging import as_once_told
from astro_assets.sources.kinds import KINDS, connect
from astro_assets.sources.paths import is_fits, is_tiff, spelled, stem
from astro_assets.sources.protocol import Hurrying, Placement, Remembering, RemoteFile
from astro_assets.sources.selection import wants
from astro_assets.store import Store

_MAX_PART = 60

Placer = Callable[[RemoteFile], Placement | None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is fetched together: a session of lights, or a set of calibration frames.

    files : sorted by path; their facts hold what name, path and server know
    """

    source: str
    key: str
    kind: FrameKind
    night: date
    target: str | None
    instrument: str
    files: tuple[RemoteFile, ...]

    digest: str = field(init=False, repr=False, compare=False)
    """changes whenever a file comes, goes or changes on the far side"""

    def __post_init__(self) -> None:
        lines = (
            f"{spelled(f.path)}\t{f.size_bytes}\t{f.modified_utc}\t{f.sha256}\n" for f in self.files
        )
        # Once, for each look asks it of all that is known; the batch itself never changes.
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        object.__setattr__(self, "digest", digest)

    @property
    def closed(self) -> bool:
        """The far side says that nothing more will come."""
        return all(file.complete for file in self.files)

    @property
    def size_bytes(self) -> int:
        """The bytes to fetch, as far as the far side says."""
        return sum(file.size_bytes or 0 for file in self.files)


@dataclass(frozen=True, slots=True)
class _Look:
    """A listing, and the batches that it was sorted into under these settings."""

    source: SourceSettings
    timezone: str
    files: list[RemoteFile]
    batches: list[Batch]


_LAST_LOOK: dict[str, _Look] = {}
"""By the source's name: most looks find what the last one found, and need not sort it again."""


def look(source: SourceSettings, settings: Settings, within_s: float | None = None) -> list[Batch]:
    """Ask one source what it holds, as batches sorted by key.

    within_s : for those who cannot wait: a first look at a long list is done in several, each of
        which raises `NotReady` but for the last

    Raises
    ------
    NotReady, SourceUnreachable, ListingFailed, LoginRefused, IdentityRefused, SettingsError
    """
    place = KINDS[source.kind].place_of(source)
    transport = connect(source, settings.secrets)
    if isinstance(transport, Remembering):
        transport.remember_in(Store(settings.root).remembered(source.name))
    if isinstance(transport, Hurrying) and within_s is not None:
        transport.hurry(within_s)
    with transport:
        files = transport.list()
    timezone = settings.site.timezone
    last = _LAST_LOOK.get(source.name)
    if last is None or (last.source, last.timezone, last.files) != (source, timezone, files):
        batches = group(source.name, files, lambda file: place(file, timezone), source.select)
        last = _LAST_LOOK[source.name] = _Look(source, timezone, files, batches)
    store = Store(settings.root)
    return [_as_once_told(batch, store) for batch in last.batches]


def _as_once_told(batch: Batch, store: Store) -> Batch:
    files = as_once_told(batch.files, store.raw(batch.source, batch.key))
    return batch if files is batch.files else replace(batch, files=files)


def group(
    source: str, files: Iterable[RemoteFile], place: Placer, selection: Selection | None = None
) -> list[Batch]:
    """Sort listed files into batches.

    Files that ``place`` does not want or ``selection`` has not wished for, pictures of frames (a
    TIFF beside the FITS of the same name), `FrameKind.OTHER`, and companions without a frame are
    left out.
    """
    wished = Selection() if selection is None else selection
    groups: dict[str, list[tuple[RemoteFile, Placement]]] = defaultdict(list)
    for file, placement in _without_twins(_without_pictures(_placed(files, place))):
        if wants(wished, placement, {**placement.facts, **file.facts}):
            groups[batch_key(placement)].append((file, placement))
    return [
        _batch(source, key, groups[key])
        for key in sorted(groups)
        if not all(placement.companion for _, placement in groups[key])
    ]


def batch_key(placement: Placement) -> str:
    """``2026-11-20_M31_T20``, ``2026-11-20_dark_ASI294MC_10s``: sorts by date, reads well."""
    middle = (
        placement.kind.value
        if placement.kind in CALIBRATION_KINDS
        else _short(target_key(placement.target or "unknown"))
    )
    parts = [placement.night.isoformat(), middle, _short(key_part(placement.instrument))]
    if placement.kind in CALIBRATION_KINDS and placement.configuration:
        parts.append(_short(key_part(placement.configuration)))
    return "_".join(parts)


def _placed(files: Iterable[RemoteFile], place: Placer) -> Iterator[tuple[RemoteFile, Placement]]:
    for file in files:
        placement = place(file)
        if placement is not None and placement.kind is not FrameKind.OTHER:
            yield file, placement


def _without_pictures(
    placed: Iterable[tuple[RemoteFile, Placement]],
) -> Iterator[tuple[RemoteFile, Placement]]:
    placed = list(placed)
    frames = {stem(file.path).lower() for file, _ in placed if is_fits(file.path)}
    for file, placement in placed:
        if not (is_tiff(file.path) and stem(file.path).lower() in frames):
            yield file, placement


def _without_twins(
    placed: Iterable[tuple[RemoteFile, Placement]],
) -> Iterator[tuple[RemoteFile, Placement]]:
    placed = list(placed)
    listed = {_bare(file.path) for file, _ in placed} if any(p.unless for _, p in placed) else set()
    for file, placement in placed:
        if not (placement.unless and placement.unless.lower() in listed):
            yield file, placement


def _bare(path: str) -> str:
    """``a.fit.zip`` as ``a``."""
    return stem(stem(path)).lower()


def _batch(source: str, key: str, members: list[tuple[RemoteFile, Placement]]) -> Batch:
    members = sorted(members, key=lambda member: spelled(member[0].path))
    first = members[0][1]
    return Batch(
        source=source,
        key=key,
        kind=first.kind,
        night=first.night,
        target=first.target,
        instrument=first.instrument,
        files=tuple(
            replace(file, facts={**placement.facts, **file.facts}) for file, placement in members
        ),
    )


def _short(part: str) -> str:
    """A part of a key that also fits into a file's name; the hash keeps long ones apart."""
    if len(part) <= _MAX_PART:
        return part
    return f"{part[: _MAX_PART - 9]}-{hashlib.sha256(part.encode()).hexdigest()[:8]}"
