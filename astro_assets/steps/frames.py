"""The table of every frame, over all sources and nights.

Each session has a table of its own beside its solved frames. This is the export of them all, for
whoever likes to read one: `frames.parquet`, a folder with a file per session that reads as one
table, and `frames.csv`, to which new sessions are added at the end. A new session rewrites nothing
of the others (docs/decisions/0016-table-in-parts.md).
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from astro_assets.errors import BrokenFile
from astro_assets.steps import provenance, solve, versions
from astro_assets.steps.frame_columns import SCHEMA, in_columns
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, make_folder, sha256_of, whole_file, write_json

_STATE = "_sessions.json"
"""In the folder: which version of each session's table is in it. Parquet's readers pass over it."""
_LOCK = "_lock"
_NO_ROWS = "columns.parquet"
"""The columns and no rows, so that the folder can be read before there is a session."""
_SHOWN = 100


def read_table(path: Path) -> pd.DataFrame:
    """A table of a session. Raises `BrokenFile`."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> BrokenFile:
    return BrokenFile(
        f"{path} is damaged ({str(error).splitlines()[0]}) and left out: delete {path.parent}, "
        "then materialize its session again in the web UI"
    )


@dataclass(frozen=True, slots=True)
class _Held:
    """What the export holds of one session.

    stamp : of the table that it was made from
    size_bytes : of its part
    """

    stamp: str
    size_bytes: int
    frames: int
    solved: int
    accepted: int


@dataclass(frozen=True, slots=True)
class _State:
    """What the export holds. csv_bytes : the whole lines of the CSV file; 0 where nobody knows"""

    sessions: Mapping[str, _Held] = field(default_factory=dict)
    csv_bytes: int = 0

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Nothing where there is no export, or one that is not understood: it is made anew."""
        try:
            content: dict[str, Any] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
            held = {name: _Held(**of) for name, of in content["sessions"].items()}
            return cls(held, int(content["csv_bytes"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def save(self, folder: Path) -> None:
        write_json(folder / _STATE, asdict(self))


def write_table(store: Store) -> Summary:
    """Bring ``frames.parquet`` and ``frames.csv`` up to date with the sessions' tables."""
    folder = store.frames_table
    if folder.is_file():  # as versions before this one had it
        folder.unlink()
    make_folder(folder)
    with _alone_in(folder):
        return _up_to_date(store, folder)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """A second writer waits: rows that both add would lie over each other."""
    lock = os.open(folder / _LOCK, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _up_to_date(store: Store, folder: Path) -> Summary:
    state = _State.of(folder)
    stamps = _stamps(store)
    kept = {
        name: held
        for name, held in state.sessions.items()
        if stamps.get(name) == held.stamp and _is_whole(_part(folder, name), held)
    }
    if not kept:
        with whole_file(folder / _NO_ROWS) as part:
            parquet.write_table(SCHEMA.empty_table(), part)
    added: dict[str, _Held] = {}
    unusable: list[str] = []
    for name in stamps.keys() - kept.keys():
        try:
            added[name] = _write_part(store, name, stamps[name])
        except BrokenFile as error:
            unusable.append(str(error))
    sessions = {name: (kept | added)[name] for name in sorted(kept | added)}
    _remove_others(folder, sessions)
    if added or len(kept) < len(state.sessions) or _csv_is_cut(store, state):
        if kept.keys() == state.sessions.keys() and not _csv_is_cut(store, state):
            size = _append(store, sorted(added), state)
        else:
            # Whatever ends this half-way, no size of the old file is taken for the new one's.
            _State(sessions).save(folder)
            size = _write_csv(store, sessions)
        _State(sessions, size).save(folder)
    return _summary(folder, sessions, tuple(sorted(unusable)))


def _stamps(store: Store) -> dict[str, str]:
    """The sessions' tables, each with a mark of what is in it, so that the export has no times."""
    return {
        path.relative_to(store.root).as_posix(): f"{versions.FRAMES} {sha256_of(path)[:24]}"
        for path in sorted(store.root.glob(f"solved/*/*/{solve.TABLE}"))
    }


def _part(folder: Path, name: str) -> Path:
    """Where a session's rows lie, by the path of its table."""
    _, source, session, _ = name.split("/")
    return folder / source / f"{session}.parquet"


def _is_whole(part: Path, held: _Held) -> bool:
    try:
        return part.stat().st_size == held.size_bytes
    except FileNotFoundError:
        return False


def _write_part(store: Store, name: str, stamp: str) -> _Held:
    """Put one session's rows into the folder. Raises `BrokenFile`."""
    path = store.root / name
    try:
        rows = in_columns(read_table(path))
    except pa.ArrowInvalid as error:
        raise _broken(path, error) from error
    with whole_file(_part(store.frames_table, name)) as part:
        parquet.write_table(rows, part)
        size_bytes = part.stat().st_size
    return _Held(stamp, size_bytes, len(rows), _count(rows["solved"]), _count(rows["accepted"]))


def _count(flags: pa.ChunkedArray) -> int:
    return sum(1 for flag in flags.to_pylist() if flag)


def _remove_others(folder: Path, sessions: Mapping[str, _Held]) -> None:
    """What is there of sessions that are gone, damaged, or were being written at a power cut."""
    wanted = {_part(folder, name) for name in sessions}
    for path in folder.glob("*/*.parquet"):
        if path not in wanted:
            path.unlink()
    for source in folder.iterdir():
        if source.is_dir():
            with suppress(OSError):  # not empty
                source.rmdir()


def _csv(store: Store) -> Path:
    return store.frames_table.with_suffix(".csv")


def _csv_is_cut(store: Store, state: _State) -> bool:
    """Whether there is none, or less than was written; more is what a power cut has left."""
    try:
        return not 0 < state.csv_bytes <= _csv(store).stat().st_size
    except FileNotFoundError:
        return True


def _append(store: Store, names: list[str], state: _State) -> int:
    """Add rows to the CSV file, after its whole lines; returns its size.

    The size is written down after it: who reads meanwhile, or after a power cut, may find a cut
    last line, until the next addition.
    """
    with _csv(store).open("r+b") as file:
        file.truncate(state.csv_bytes)
        file.seek(0, os.SEEK_END)
        for rows in _rows(store, names):
            csv.write_csv(rows, file, csv.WriteOptions(include_header=False))
        file.flush()
        os.fsync(file.fileno())
        return file.tell()


def _write_csv(store: Store, names: Mapping[str, _Held]) -> int:
    """Write the CSV file anew; returns its size."""
    with whole_file(_csv(store)) as part:
        with csv.CSVWriter(part, SCHEMA) as writer:
            for rows in _rows(store, names):
                writer.write_table(rows)
        return part.stat().st_size


def _rows(store: Store, names: Mapping[str, _Held] | list[str]) -> Iterator[pa.Table]:
    """Of one session after the other."""
    for name in names:
        yield parquet.read_table(_part(store.frames_table, name), partitioning=None)


def _summary(folder: Path, sessions: Mapping[str, _Held], unusable: tuple[str, ...]) -> Summary:
    frames = sum(held.frames for held in sessions.values())
    accepted = sum(held.accepted for held in sessions.values())
    shown = list(sessions.items())[-_SHOWN:]
    rows = [
        {
            "source": _part(folder, name).parent.name,
            "session": _part(folder, name).stem,
            "frames": held.frames,
            "solved": held.solved,
            "accepted": held.accepted,
        }
        for name, held in shown
    ]
    return Summary(
        figures={
            "frames": frames,
            "accepted": accepted,
            "rejected": frames - accepted,
            "sessions": len(sessions),
        },
        digest=provenance.fingerprint(*(f"{name} {of.stamp}" for name, of in sessions.items())),
        path=folder,
        rows=pd.DataFrame(rows) if rows else None,
        unusable=unusable,
    )
