"""A line per session: what was fetched, calibrated, solved, rejected and why, and the composite."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from astro_assets.steps import calibrate, solve
from astro_assets.steps.inventory import COMPOSITE_STATE, stacks
from astro_assets.store import Store


@dataclass(frozen=True, slots=True)
class Row:
    """One session, in numbers. ``rejected`` has the reason for each frame that is left out."""

    source: str
    session: str
    fetched: int
    calibrated: int
    solved: int
    accepted: int
    rejected: Mapping[str, str]
    composite: str | None
    picture: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def overview(store: Store) -> Iterator[Row]:
    """Every session that has come as far as its stack, by source and key."""
    for state in stacks(store):
        source, session = state["source"], state["session"]
        table = solve.read_table(store.solved(source, session))
        ledger = pd.read_parquet(store.calibrated(source, session) / calibrate.LEDGER)
        rejected = table[~table["accepted"].astype(bool)] if len(table) else table
        made = store.composite(state["target"])
        picture = store.stacks(source, session) / "color.png"
        yield Row(
            source=source,
            session=session,
            fetched=len(table),
            calibrated=int((ledger["reason"] == "").sum()),
            solved=int(table["solved"].sum()) if len(table) else 0,
            accepted=len(table) - len(rejected),
            rejected=dict(zip(rejected["frame"], rejected["reason"], strict=True))
            if len(rejected)
            else {},
            composite=str(made) if (made / COMPOSITE_STATE).is_file() else None,
            picture=str(picture) if picture.is_file() else None,
        )
