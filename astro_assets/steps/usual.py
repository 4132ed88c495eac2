"""What a source's frames usually reach: from its earlier sessions.

What belongs here: reading back what earlier sessions found. What does not: the comparison within a
session (`imaging.quality`).
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

_SESSIONS = 20
"""so many of the latest tell; older ones are of a dirtier or a cleaner mirror"""
_COLUMNS = ["camera", "filter", "accepted", "zero_point_mag"]

Equipment = tuple[str, str]
"""camera configuration and filter"""


def usual_zero_points(folder: Path, session: str, table: str) -> Mapping[Equipment, float]:
    """Zero point (mag) that the source usually has: the median of its earlier sessions' medians.

    Only sessions before ``session`` count, so that making one again tells the same.

    Parameters
    ----------
    folder : of the source's solved sessions
    table : name of the table in each
    """
    earlier = sorted(path.name for path in folder.iterdir() if path.name < session)
    medians = [_medians(folder / name / table) for name in earlier[-_SESSIONS:]]
    known = [each for each in medians if len(each)]
    if not known:
        return {}
    usual = pd.concat(known).groupby(level=[0, 1]).median()
    return {(str(camera), str(band)): float(mag) for (camera, band), mag in usual.items()}


def _medians(path: Path) -> pd.Series:
    """Of one session; nothing where it has no such table. A broken one is told by `frames`."""
    try:
        rows = pd.read_parquet(path, columns=_COLUMNS)
    except (OSError, ValueError, KeyError):
        return pd.Series(dtype=float)
    good = rows[rows["accepted"].astype(bool)].dropna()
    return good.groupby(["camera", "filter"])["zero_point_mag"].median()
