"""What a source usually reaches, from its earlier sessions."""

from pathlib import Path

import pandas as pd
import pytest

from astro_assets.steps.usual import usual_zero_points

TABLE = "frames.parquet"


def put(root: Path, session: str, *mags: float, accepted: bool = True, band: str = "Red") -> None:
    (root / session).mkdir()
    pd.DataFrame(
        {"camera": "T20", "filter": band, "accepted": accepted, "zero_point_mag": list(mags)}
    ).to_parquet(root / session / TABLE)


def test_the_median_of_earlier_sessions_medians(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-01_M31_T20", 20.0, 20.2, 20.1)
    put(tmp_path, "2026-11-02_M31_T20", 20.4)
    put(tmp_path, "2026-11-03_M31_T20", 20.3, 17.0, 20.3)
    put(tmp_path, "2026-11-04_M31_T20", 10.0, accepted=False)
    put(tmp_path, "2026-11-05_M31_T20", 19.0, band="Blue")
    put(tmp_path, "2026-11-20_M31_T20", 15.0)
    (tmp_path / "2026-11-06_M31_T20").mkdir()
    (tmp_path / "2026-11-07_M31_T20").mkdir()
    (tmp_path / "2026-11-07_M31_T20" / TABLE).write_bytes(b"broken")
    found = usual_zero_points(tmp_path, "2026-11-20_M31_T20", TABLE)
    assert found == {("T20", "Red"): pytest.approx(20.3), ("T20", "Blue"): 19.0}


def test_a_first_session_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-20_M31_T20", 20.0)
    assert usual_zero_points(tmp_path, "2026-11-20_M31_T20", TABLE) == {}
