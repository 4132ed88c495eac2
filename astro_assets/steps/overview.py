"""A line per session: what was fetched, calibrated, solved, rejected and why, and the composite."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from astro_assets.errors import BrokenFile
from astro_assets.steps import calibrate, solve
from astro_assets.steps.frames import read_table
from astro_assets.steps.inventory import COMPOSITE_STATE, stacks
from astro_assets.store import Store


@dataclass(frozen=True, slots=True)
class Row:
    """One session, in numbers.

    rejected : the reason for each frame that is left out
    damaged : why there are no numbers
    """

    source: str
    session: str
    fetched: int
    calibrated: int
    solved: int
    accepted: int
    rejected: Mapping[str, str]
    composite: str | None
    picture: str | None
    damaged: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def overview(store: Store, most: int | None = None) -> Iterator[Row]:
    """Sessions that have come as far as their stack, by night: the newest ``most``, or all.

    Only of these are tables read, so that a look at many nights costs what one at few does.
    """
    known = sorted(stacks(store), key=lambda state: str(state["session"]))
    for state in known if most is None else known[-most:]:
        source, session = state["source"], state["session"]
        made = store.composite(state["target"])
        picture = store.stacks(source, session) / "color.png"
        row = Row(
            source=source,
            session=session,
            fetched=0,
            calibrated=0,
            solved=0,
            accepted=0,
            rejected={},
            composite=str(made) if (made / COMPOSITE_STATE).is_file() else None,
            picture=str(picture) if picture.is_file() else None,
        )
        try:
            table = read_table(store.solved(source, session) / solve.TABLE)
            ledger = read_table(store.calibrated(source, session) / calibrate.LEDGER)
        except BrokenFile as error:
            yield replace(row, damaged=str(error))
            continue
        rejected = table[~table["accepted"].astype(bool)] if len(table) else table
        yield replace(
            row,
            fetched=len(table),
            calibrated=int((ledger["reason"] == "").sum()),
            solved=int(table["solved"].sum()) if len(table) else 0,
            accepted=len(table) - len(rejected),
            rejected=dict(zip(rejected["frame"], rejected["reason"], strict=True))
            if len(rejected)
            else {},
        )
