"""The table of every frame, as sessions come, change and break."""

import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
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


class PowerCut(BaseException):
    """What nothing catches."""


@contextmanager
def power_for(syncs: int) -> Iterator[None]:
    """The power goes at the sync after so many."""
    left = syncs
    real = os.fsync

    def sync(descriptor: int) -> None:
        nonlocal left
        if not left:
            raise PowerCut
        left -= 1
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch, suppress(PowerCut):
        patch.setattr(os, "fsync", sync)
        yield


def both_agree(store: Store, names: list[str]) -> None:
    """Sorted, for the text is in the order in which sessions came."""
    assert sorted(table_of(store)["frame"]) == names
    text = pd.read_csv(csv_of(store), dtype=str)
    assert sorted(text["frame"]) == names
    assert set(text["source"]) == {"attic"}, "a line is cut, or runs into another"


@pytest.mark.parametrize("change", ["first", "one more", "one changed", "one gone"])
def test_whenever_it_is_cut_short_the_next_one_makes_it_whole(tmp_path: Path, change: str) -> None:
    names = {
        "first": ["a", "b", "c"],
        "one more": ["a", "b", "c", "z"],
        "one changed": ["b", "longer name than before", "second"],
        "one gone": ["a", "b"],
    }[change]
    for syncs in range(100):
        store = Store(tmp_path / str(syncs))
        put(store, "2026-11-20_M31_T20", *names[:2] if change == "first" else "ab")
        put(store, "2026-11-21_M31_T20", "c")
        if change != "first":
            frames.write_table(store)
        if change == "one more":
            put(store, "2026-11-19_M42_T20", "z")
        if change == "one changed":
            put(store, "2026-11-20_M31_T20", "longer name than before", "second")
            put(store, "2026-11-21_M31_T20", "b")
        if change == "one gone":
            (store.solved("attic", "2026-11-21_M31_T20") / solve.TABLE).unlink()
        done = False
        with power_for(syncs):
            frames.write_table(store)
            done = True
        if store.frames_table.is_dir() and any(store.frames_table.glob("**/*.parquet")):
            table_of(store)  # who reads it meanwhile is not told that it is broken
        frames.write_table(store)
        both_agree(store, names)
        if done:
            assert syncs > 2, "it was cut nowhere"
            return
    raise AssertionError("it syncs without end")


def test_what_is_noted_is_on_stable_storage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, {}

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    frames.write_table(store)
    text = csv_of(store).stat().st_ino
    synced.pop(text)
    put(store, "2026-11-22_M31_T20", "d")
    frames.write_table(store)
    for path in [csv_of(store), *store.frames_table.rglob("*.parquet")]:
        assert synced[path.stat().st_ino] == path.stat().st_size, path
    assert csv_of(store).stat().st_ino == text


@pytest.mark.parametrize("left_bytes", [None, 0, 600])
@pytest.mark.parametrize("more", [[], ["z"]])
def test_a_text_that_lost_its_end_is_made_anew(
    store: Store, left_bytes: int | None, more: list[str]
) -> None:
    frames.write_table(store)
    csv_of(store).unlink() if left_bytes is None else os.truncate(csv_of(store), left_bytes)
    if more:
        put(store, "2026-11-19_M42_T20", *more)
    frames.write_table(store)
    both_agree(store, ["a", "b", "c", *more])


def test_sessions_that_come_and_go_at_once(store: Store) -> None:
    frames.write_table(store)
    (store.solved("attic", "2026-11-21_M31_T20") / solve.TABLE).unlink()
    put(store, "2026-11-19_M42_T20", "z")
    frames.write_table(store)
    both_agree(store, ["a", "b", "z"])


def test_two_at_a_time_take_turns(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sync` by hand, while the daemon's morning runs: each sees other sessions."""
    frames.write_table(store)
    put(store, "2026-11-22_M31_T20", "d")
    real, waiting, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        """The first one is held up when its rows are in the text, before it notes that."""
        at_text = Path(f"/proc/self/fd/{descriptor}").readlink() == csv_of(store)
        if at_text and not waiting.is_set():
            waiting.set()
            assert go_on.wait(10)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(frames.write_table, store)
        assert waiting.wait(10)
        put(store, "2026-11-19_M31_T20", "a frame with a much longer name")
        second = pool.submit(frames.write_table, store)
        wait([second], 0.3)  # it has its turn afterwards
        go_on.set()
        first.result()
        second.result()
    frames.write_table(store)
    both_agree(store, ["a", "a frame with a much longer name", "b", "c", "d"])


@pytest.mark.parametrize("damage", [b"", b"PAR1 and nonsense"])
def test_a_part_that_was_damaged_is_made_anew(store: Store, damage: bytes) -> None:
    frames.write_table(store)
    (store.frames_table / "attic/2026-11-20_M31_T20.parquet").write_bytes(damage)
    frames.write_table(store)
    both_agree(store, ["a", "b", "c"])


def test_folders_of_sources_that_are_gone_go(store: Store) -> None:
    frames.write_table(store)
    shutil.rmtree(store.root / "solved")
    frames.write_table(store)
    assert len(table_of(store)) == 0
    assert [path.name for path in store.frames_table.iterdir() if path.is_dir()] == []


def test_a_table_that_has_all_is_left_as_it_is(store: Store) -> None:
    frames.write_table(store)
    before = csv_of(store).stat()
    frames.write_table(store)
    after = csv_of(store).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


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
    table = parquet.read_table(Store(tmp_path).frames_table)
    assert len(table) == 0
    assert {"source", "session", "frame", "fwhm_px"} <= set(table.column_names)


def test_the_page_on_the_reduction_names_every_figure() -> None:
    page = Path(__file__).parents[2] / "docs" / "reduction.md"
    named = page.read_text(encoding="utf-8").split("## The table of frames")[1]
    missing = [field.name for field in fields(Figures) if f"`{field.name}`" not in named]
    assert not missing
