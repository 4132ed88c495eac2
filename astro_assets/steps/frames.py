"""The table of every frame, over all sources and nights.

Each session has a table of its own beside its solved frames, and a new session touches no other.
This one is the export of them all in one file, for whoever likes one: it is made from what it held
before and from the sessions' tables that have changed since.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow import csv, parquet

from astro_assets.errors import BrokenFile
from astro_assets.steps import solve, versions
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, sha256_of, whole_file

_STAMPS = b"astro_assets.sessions"
"""Key in the export's own metadata: the version of each session's table that it holds."""
_SHOWN = 100


def read_table(path: Path) -> pd.DataFrame:
    """A table of a session. Raises `BrokenFile`."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise BrokenFile(
            f"{path} is damaged ({str(error).splitlines()[0]}) and left out: delete {path.parent}, "
            "then materialize its session again in the web UI"
        ) from error


def write_table(store: Store) -> Summary:
    """Put the sessions' tables into one ``frames.parquet`` and one ``frames.csv``."""
    stamps = _stamps(store)
    old, held = _held(store.frames_table)
    fresh = {path: stamp for path, stamp in stamps.items() if held.get(path) != stamp}
    read = dict(_read(store, fresh))
    broken = {path: error for path, error in read.items() if isinstance(error, BrokenFile)}
    tables = [table for table in read.values() if not isinstance(table, BrokenFile)]
    stays = {_key(path) for path in stamps.keys() - fresh.keys()}
    table = _joined([_rows_of(old, stays), *tables])
    sound = {path: stamp for path, stamp in stamps.items() if path not in broken}
    digest = _write(store.frames_table, table, sound)
    return _summary(store, table, digest, tuple(str(error) for error in broken.values()))


def _stamps(store: Store) -> dict[str, str]:
    """The sessions' tables, each with a mark of what is in it, so that the export has no times."""
    return {
        path.relative_to(store.root).as_posix(): f"{versions.FRAMES} {sha256_of(path)[:24]}"
        for path in sorted(store.root.glob(f"solved/*/*/{solve.TABLE}"))
    }


def _held(path: Path) -> tuple[pd.DataFrame, Mapping[str, str]]:
    """What the export holds; nothing where there is none, or it cannot be read."""
    try:
        arrow = parquet.read_table(path)
        stamps = json.loads((arrow.schema.metadata or {})[_STAMPS])
        return arrow.to_pandas(), dict(stamps)
    except (OSError, ValueError, KeyError):
        return pd.DataFrame(), {}


def _read(
    store: Store, names: Mapping[str, str]
) -> Iterator[tuple[str, pd.DataFrame | BrokenFile]]:
    for name in names:
        try:
            yield name, read_table(store.root / name)
        except BrokenFile as error:
            yield name, error


def _key(name: str) -> tuple[str, str]:
    """Source and session of a table's path."""
    _, source, session, _ = name.split("/")
    return source, session


def _rows_of(table: pd.DataFrame, keys: set[tuple[str, str]]) -> pd.DataFrame:
    if not len(table):
        return table
    return table[pd.MultiIndex.from_frame(table[["source", "session"]]).isin(list(keys))]


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows, by source and session; columns that nobody has filled stay, empty."""
    filled = [table for table in tables if len(table)]
    if not filled:
        return pd.DataFrame()
    columns = list(dict.fromkeys(column for table in filled for column in table.columns))
    # Columns without a value have no type that the others could agree with.
    rows = [table.dropna(axis=1, how="all") for table in filled]
    joined = pd.concat(rows, ignore_index=True).reindex(columns=columns)
    return joined.sort_values(["source", "session"], kind="stable", ignore_index=True)


def _write(path: Path, table: pd.DataFrame, stamps: Mapping[str, str]) -> str:
    """Both files; returns a hash of what is in them."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with whole_file(path.with_suffix(".csv")) as part:
        csv.write_csv(arrow, part)
        with part.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()[:24]
    metadata = {**(arrow.schema.metadata or {}), _STAMPS: json.dumps(dict(stamps)).encode()}
    with whole_file(path) as part:
        parquet.write_table(arrow.replace_schema_metadata(metadata), part)
    return digest


def _summary(store: Store, table: pd.DataFrame, digest: str, unusable: tuple[str, ...]) -> Summary:
    accepted = int(table["accepted"].sum()) if len(table) else 0
    sessions = (
        table.groupby(["source", "session"], as_index=False).agg(
            frames=("frame", "size"), solved=("solved", "sum"), accepted=("accepted", "sum")
        )
        if len(table)
        else None
    )
    return Summary(
        figures={
            "frames": len(table),
            "accepted": accepted,
            "rejected": len(table) - accepted,
            "sessions": 0 if sessions is None else len(sessions),
        },
        digest=digest,
        path=store.frames_table,
        rows=None if sessions is None else sessions.tail(_SHOWN),
        unusable=unusable,
    )
