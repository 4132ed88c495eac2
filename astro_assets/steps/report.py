"""The morning's page: pictures first, then numbers, then what went wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape

from astro_assets import __version__
from astro_assets.errors import BrokenFile, NothingToDo
from astro_assets.steps.frames import session_tables
from astro_assets.steps.inventory import COMPOSITE_STATE, nights, read_state, stacks
from astro_assets.steps.quarantine import SetAside, as_rows, set_aside_of_night
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, write_text

PAGE = "index.html"


def write_report(store: Store, night: str) -> Summary:
    """Write ``index.html`` for one night.

    Raises
    ------
    NothingToDo : there is nothing of that night
    """
    folder = store.report(night)
    sessions = [
        _session(store, folder, state) for state in stacks(store) if state["night"] == night
    ]
    kept = set_aside_of_night(store, night)
    if not (sessions or kept):
        raise NothingToDo(f"there is no session of the night {night} yet")
    targets = sorted({session["target"] for session in sessions})
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            night=night,
            version=__version__,
            sessions=sessions,
            composites=[_composite(store, folder, target) for target in targets],
            quarantined=[_quarantined(folder, entry) for entry in kept],
        )
    )
    write_text(folder / PAGE, page)
    return Summary(
        figures={
            "sessions": len(sessions),
            "frames": sum(s["frames"] for s in sessions),
            "accepted": sum(s["accepted"] for s in sessions),
            "rejected": sum(len(s["rejected"]) for s in sessions),
            "quarantined": len(kept),
            "targets": ", ".join(targets),
        },
        digest=nights(store)[night],
        path=folder / PAGE,
        rows=as_rows(kept),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("astro_assets.steps", "templates"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    return environment


def _figure(value: Any, digits: int = 2) -> str:
    """A number for people; a dash where there is none."""
    return "–" if value is None or pd.isna(value) else f"{value:.{digits}f}"


def _session(store: Store, folder: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    table = next(
        (
            t
            for t in session_tables(store)
            if len(t)
            and t["source"].iloc[0] == state["source"]
            and t["session"].iloc[0] == state["session"]
        ),
        pd.DataFrame(columns=["accepted", "solved"]),
    )
    accepted = table[table["accepted"].astype(bool)]
    return {
        **state,
        "picture": _link(folder, store.stacks(state["source"], state["session"]) / "color.png"),
        "folder": _link(folder, store.stacks(state["source"], state["session"])),
        "frames": len(table),
        "solved": int(table["solved"].sum()),
        "accepted": len(accepted),
        "rejected": table[~table["accepted"].astype(bool)].to_dict("records"),
        "filters": [
            {"name": name, "frames": len(rows), **rows.median(numeric_only=True).to_dict()}
            for name, rows in accepted.groupby("filter")
        ]
        if len(accepted)
        else [],
    }


def _composite(store: Store, folder: Path, target: str) -> dict[str, Any]:
    path = store.composite(target)
    state = path / COMPOSITE_STATE
    return {
        "target": target,
        "picture": _link(folder, path / "color.png"),
        "folder": _link(folder, path),
        "nights": _nights_of(state),
    }


def _nights_of(state: Path) -> list[str]:
    """The nights in a composite; none where it is not made yet, or says nothing (`damaged`)."""
    try:
        return list(read_state(state)["nights"]) if state.is_file() else []
    except BrokenFile:
        return []


def _quarantined(folder: Path, entry: SetAside) -> dict[str, str | None]:
    return {
        "source": entry.source,
        "batch": entry.batch,
        "file": entry.file,
        "reason": entry.reason,
        "bytes": _link(folder, entry.bytes_at) if entry.bytes_at else None,
    }


def _link(folder: Path, path: Path) -> str | None:
    """A relative address, so that the tree can be moved or served as it is."""
    return quote(Path(os.path.relpath(path, folder)).as_posix()) if path.exists() else None
