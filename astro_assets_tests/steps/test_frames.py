"""The table of every frame, as sessions come, change and break."""

import shutil
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from astro_assets.imaging.figures import Figures
from astro_assets.steps import frames, solve
from astro_assets.store import Store


def put(store: Store, session: str, *names: str, **columns: object) -> Path:
    """A session's own table."""
    path = store.solved("attic", session) / solve.TABLE
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"source": "attic", "session": session, "frame": name, "accepted": True, "solved": True,
         "start_utc": pd.Timestamp("2026-11-20T19:10:00Z"), "sky_mag_arcsec2": float("nan"),
         **columns}
        for name in names
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(path, index=False)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    put(store, "2026-11-20_M31_T20", "a", "b", fwhm_px=3.0)
    put(store, "2026-11-21_M31_T20", "c", fwhm_px=4.0, airmass=1.2)
    return store


def csv_of(store: Store) -> Path:
    return store.frames_table.with_suffix(".csv")


def table_of(store: Store) -> pd.DataFrame:
    return pd.read_parquet(store.frames_table)


def test_both_files_have_every_frame_and_every_column(store: Store) -> None:
    summary = frames.write_table(store)
    table = table_of(store)
    assert list(table["frame"]) == ["a", "b", "c"]
    assert summary.figures == {"frames": 3, "accepted": 3, "rejected": 0, "sessions": 2}
    text = pd.read_csv(store.frames_table.with_suffix(".csv"), parse_dates=["start_utc"])
    assert list(text.columns) == list(table.columns)
    assert "sky_mag_arcsec2" in text.columns  # which nothing has filled yet
    assert list(text["start_utc"]) == list(table["start_utc"])


def test_a_new_session_reads_no_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    frames.write_table(store)
    put(store, "2026-11-19_M42_T20", "z")
    read: list[str] = []
    monkeypatch.setattr(
        frames, "read_table", lambda path: read.append(path.parent.name) or pd.read_parquet(path)
    )
    frames.write_table(store)
    assert read == ["2026-11-19_M42_T20"]
    assert list(table_of(store)["frame"]) == ["z", "a", "b", "c"]


def test_changed_and_removed_sessions_are_followed(store: Store) -> None:
    first = frames.write_table(store)
    assert frames.write_table(store).digest == first.digest
    put(store, "2026-11-20_M31_T20", "a", "b", "late", fwhm_px=3.5)
    (store.solved("attic", "2026-11-21_M31_T20") / solve.TABLE).unlink()
    changed = frames.write_table(store)
    assert list(table_of(store)["frame"]) == ["a", "b", "late"]
    assert set(table_of(store)["fwhm_px"]) == {3.5}
    assert changed.digest != first.digest


def test_as_if_made_at_once(store: Store, tmp_path: Path) -> None:
    frames.write_table(store)
    put(store, "2026-11-22_M31_T20", "d", n_matched=5)
    grown = frames.write_table(store)
    shutil.rmtree(store.frames_table)
    assert frames.write_table(store).digest == grown.digest


def test_a_broken_session_is_told_each_time_and_leaves_the_others(store: Store) -> None:
    path = store.solved("attic", "2026-11-20_M31_T20") / solve.TABLE
    path.write_bytes(b"no table")
    for _ in range(2):
        summary = frames.write_table(store)
        assert len(summary.unusable) == 1
        assert "2026-11-20_M31_T20" in summary.unusable[0]
        assert list(table_of(store)["frame"]) == ["c"]


@pytest.mark.parametrize("broken", [b"", b"[]", b'{"sessions": {"a": 1}, "csv_bytes": 0}'])
def test_an_export_that_does_not_know_what_it_holds_is_made_anew(
    store: Store, broken: bytes
) -> None:
    frames.write_table(store)
    (store.frames_table / "_sessions.json").write_bytes(broken)
    (store.frames_table / "attic/2026-11-20_M31_T20.parquet").write_bytes(b"PAR1 nonsense")
    csv_of(store).write_bytes(b"frame\n")
    frames.write_table(store)
    assert list(table_of(store)["frame"]) == ["a", "b", "c"]
    assert list(pd.read_csv(csv_of(store))["frame"]) == ["a", "b", "c"]


def test_what_is_missing_comes_back(store: Store) -> None:
    frames.write_table(store)
    (store.frames_table / "attic/2026-11-20_M31_T20.parquet").unlink()
    csv_of(store).unlink()
    frames.write_table(store)
    assert list(table_of(store)["frame"]) == ["a", "b", "c"]
    assert sorted(pd.read_csv(csv_of(store))["frame"]) == ["a", "b", "c"]


def test_the_single_file_of_older_versions_gives_way(store: Store) -> None:
    store.frames_table.write_bytes(b"PAR1")
    csv_of(store).write_text("frame\nof an older version\n")
    frames.write_table(store)
    assert list(table_of(store)["frame"]) == ["a", "b", "c"]
    assert list(pd.read_csv(csv_of(store))["frame"]) == ["a", "b", "c"]


def test_a_new_session_rewrites_nothing_of_the_others(store: Store) -> None:
    frames.write_table(store)
    before = {path: path.stat().st_ino for path in store.frames_table.rglob("*.parquet")}
    text, file = csv_of(store).read_bytes(), csv_of(store).stat().st_ino
    put(store, "2026-11-19_M42_T20", "z")
    frames.write_table(store)
    after = {path: path.stat().st_ino for path in store.frames_table.rglob("*.parquet")}
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1
    assert csv_of(store).stat().st_ino == file
    assert csv_of(store).read_bytes().startswith(text)


def test_what_a_power_cut_left_at_the_end_of_the_text_is_dropped(store: Store) -> None:
    frames.write_table(store)
    with csv_of(store).open("ab") as file:
        file.write(b'"attic","2026-11-2')
    put(store, "2026-11-19_M42_T20", "z")
    frames.write_table(store)
    assert list(pd.read_csv(csv_of(store))["frame"]) == ["a", "b", "c", "z"]


def test_a_column_that_only_some_sessions_fill_reads_as_one(store: Store) -> None:
    put(store, "2026-11-19_M42_T20", "z", site="Roque", n_stars=5, circular=True)
    put(store, "2026-11-18_M42_T20", "y", site=None, n_stars=float("nan"))
    frames.write_table(store)
    table = table_of(store).set_index("frame")
    assert table["site"].dropna().to_dict() == {"z": "Roque"}
    assert table["n_stars"].dropna().to_dict() == {"z": 5}
    assert table["circular"].dropna().to_dict() == {"z": True}


def test_a_table_with_a_word_for_a_number_is_damaged(store: Store) -> None:
    put(store, "2026-11-19_M42_T20", "z", fwhm_px="wide")
    summary = frames.write_table(store)
    assert "2026-11-19_M42_T20" in summary.unusable[0]
    assert list(table_of(store)["frame"]) == ["a", "b", "c"]


def test_another_version_is_made_anew(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    frames.write_table(store)
    monkeypatch.setattr("astro_assets.steps.versions.FRAMES", "next")
    read: list[Path] = []
    monkeypatch.setattr(
        frames, "read_table", lambda path: read.append(path) or pd.read_parquet(path)
    )
    frames.write_table(store)
    assert len(read) == 2


def test_nothing_yet(tmp_path: Path) -> None:
    summary = frames.write_table(Store(tmp_path))
    assert summary.figures["frames"] == 0
    assert len(parquet.read_table(Store(tmp_path).frames_table)) == 0


def test_the_page_on_the_reduction_names_every_figure() -> None:
    page = Path(__file__).parents[2] / "docs" / "reduction.md"
    named = page.read_text(encoding="utf-8").split("## The table of frames")[1]
    missing = [field.name for field in fields(Figures) if f"`{field.name}`" not in named]
    assert not missing
