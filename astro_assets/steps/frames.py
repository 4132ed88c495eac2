"""The table of every frame, over all sources and nights."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from astro_assets.errors import BrokenFile
from astro_assets.steps import provenance, solve
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, whole_file


def session_tables(store: Store) -> list[pd.DataFrame]:
    """The sessions' own tables that can be read, in the order of source and session."""
    return [table for table in _read_all(store) if not isinstance(table, BrokenFile)]


def read_table(path: Path) -> pd.DataFrame:
    """A table of a session. Raises `BrokenFile`."""
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise BrokenFile(
            f"{path} is damaged ({str(error).splitlines()[0]}) and left out: delete {path.parent}, "
            "then materialize its session again in the web UI"
        ) from error


def _read_all(store: Store) -> Iterator[pd.DataFrame | BrokenFile]:
    for path in sorted(store.root.glob(f"solved/*/*/{solve.TABLE}")):
        try:
            yield read_table(path)
        except BrokenFile as error:
            yield error


def write_table(store: Store) -> Summary:
    """Put the sessions' tables into one ``frames.parquet`` and one ``frames.csv``."""
    read = list(_read_all(store))
    tables = [table for table in read if not isinstance(table, BrokenFile) and len(table)]
    table = (
        pd.concat([t.dropna(axis=1, how="all") for t in tables], ignore_index=True)
        if tables
        else pd.DataFrame()
    )
    with whole_file(store.frames_table) as part:
        table.to_parquet(part, index=False)
    csv = table.to_csv(index=False)
    with whole_file(store.frames_table.with_suffix(".csv")) as part:
        part.write_text(csv, encoding="utf-8")
    accepted = int(table["accepted"].sum()) if len(table) else 0
    overview = (
        table.groupby(["source", "session"], as_index=False)
        .agg(frames=("frame", "size"), solved=("solved", "sum"), accepted=("accepted", "sum"))
        .tail(100)
        if len(table)
        else None
    )
    return Summary(
        figures={
            "frames": len(table),
            "accepted": accepted,
            "rejected": len(table) - accepted,
            "sessions": len(tables),
        },
        digest=provenance.fingerprint(csv),
        path=store.frames_table,
        rows=overview,
        unusable=tuple(str(error) for error in read if isinstance(error, BrokenFile)),
    )
