"""The morning's page: pictures first, then numbers, then what went wrong."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, Undefined, select_autoescape

from astro_assets import __version__
from astro_assets.errors import BrokenFile, NothingToDo
from astro_assets.steps import solve
from astro_assets.steps.frames import read_table
from astro_assets.steps.inventory import COMPOSITE_STATE, LINES_FOLDER, nights, read_state, stacks
from astro_assets.steps.quarantine import SetAside, as_rows, set_aside_of_night
from astro_assets.steps.summary import Summary
from astro_assets.store import Store, write_text

PAGE = "index.html"
_NOTICED = 0.05
_CLEAR_SIGMA = 3.0
_WORTH_TELLING = 0.15
"""of the FWHM: less than this nobody turns a screw for"""


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
    environment.filters["share"] = _share
    return environment


def _figure(value: Any, digits: int = 2) -> str:
    """A number for people; a dash where there is none."""
    return "–" if _missing(value) else f"{value:.{digits}f}"


def _share(value: Any) -> str:
    return "–" if _missing(value) else f"{100 * value:.0f} %"


def _missing(value: Any) -> bool:
    return value is None or isinstance(value, Undefined) or bool(pd.isna(value))


def _session(store: Store, folder: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    table = _table(store, state)
    accepted = table[table["accepted"].astype(bool)]
    return {
        **state,
        "picture": _link(folder, store.stacks(state["source"], state["session"]) / "color.png"),
        "folder": _link(folder, store.stacks(state["source"], state["session"])),
        "lines": _lines(folder, store.stacks(state["source"], state["session"]), state),
        "frames": len(table),
        "solved": int(table["solved"].sum()),
        "accepted": len(accepted),
        "rejected": table[~table["accepted"].astype(bool)].to_dict("records"),
        "sky": _sky(table),
        "optics": _optics(accepted),
        "filters": [
            {"name": name, "frames": len(rows), **rows.median(numeric_only=True).to_dict()}
            for name, rows in accepted.groupby("filter")
        ]
        if len(accepted)
        else [],
    }


def _table(store: Store, state: Mapping[str, Any]) -> pd.DataFrame:
    """The session's frames; none where their table cannot be read (`frames` says so)."""
    try:
        table = read_table(store.solved(state["source"], state["session"]) / solve.TABLE)
    except BrokenFile:
        table = pd.DataFrame()
    return table if len(table) else pd.DataFrame(columns=["accepted", "solved"])


def _sky(table: pd.DataFrame) -> str:
    """Altitude and Moon in a few words; nothing where nobody knows."""
    parts = []
    if _known(table, "airmass"):
        low, high = table["airmass"].min(), table["airmass"].max()
        parts.append(f"airmass {low:.2f}" + (f" to {high:.2f}" if high - low > _NOTICED else ""))
    if _known(table, "moon_altitude_deg") and _known(table, "moon_illumination"):
        lit = f"Moon {100 * table['moon_illumination'].median():.0f} % lit"
        away = (
            f", {table['moon_separation_deg'].median():.0f}° away"
            if _known(table, "moon_separation_deg")
            else ""
        )
        up = table["moon_altitude_deg"].max() > 0
        parts.append(lit + away if up else "no Moon")
    return ", ".join(parts)


def _optics(accepted: pd.DataFrame) -> str:
    """What the stars over the field say of sensor and focal plane, where it is clear."""
    parts = []
    for column, what in (("psf_tilt", "side to side"), ("psf_curvature", "middle to corners")):
        if not (_known(accepted, column) and _known(accepted, f"{column}_error")):
            continue
        value = float(accepted[column].median())
        error = float(accepted[f"{column}_error"].median())
        if abs(value) > max(_CLEAR_SIGMA * error, _WORTH_TELLING):
            parts.append(f"{100 * value:+.0f} % from {what}")
    return "; ".join(parts)


def _known(table: pd.DataFrame, column: str) -> bool:
    return column in table.columns and bool(table[column].notna().any())


def _composite(store: Store, folder: Path, target: str) -> dict[str, Any]:
    path = store.composite(target)
    told = _told(path / COMPOSITE_STATE)
    return {
        "target": target,
        "picture": _link(folder, path / "color.png"),
        "folder": _link(folder, path),
        "nights": list(told.get("nights", [])),
        "lines": _lines(folder, path, told),
    }


def _told(state: Path) -> Mapping[str, Any]:
    """What a composite says of itself; nothing where it is not made yet, or is `damaged`."""
    try:
        return read_state(state) if state.is_file() else {}
    except BrokenFile:
        return {}


def _lines(folder: Path, products: Path, state: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """Narrow bands without their continuum: what was done, or why not, and the picture."""
    return [
        {
            "name": name.removeprefix("line_"),
            "told": str(told),
            "picture": _link(folder, products / LINES_FOLDER / f"{name.removeprefix('line_')}.png"),
        }
        for name, told in dict(state.get("lines", {})).items()
    ]


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
