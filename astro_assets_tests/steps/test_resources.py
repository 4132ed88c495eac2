"""What the settings and a container leave of the machine, and what is done with it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets.definitions import build_defs
from astro_assets.imaging.threads import over_rows, threads
from astro_assets.settings import Resources, load_settings
from astro_assets.steps import resources
from astro_assets.steps.pool import frames_as_done, map_frames
from astro_assets.steps.resources import Allowance, allowance, largest

FRAME_BYTES = 300e6


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What one test allows is not for the next."""
    yield
    resources.use(Resources())


def side_by_side(frames: int, need_bytes: float) -> int:
    """How many frames were really worked on at once, when each waits for the others."""
    busy, most = 0, 0
    lock, full = threading.Lock(), threading.Event()

    def work(_: int) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        full.wait(0.05)
        with lock:
            busy -= 1

    map_frames(work, range(frames), need_bytes)
    return most


def test_without_a_word_all_cores_and_half_of_the_memory(tmp_path: Path) -> None:
    found = allowance(Resources(), tmp_path)
    assert found.cores == len(os.sched_getaffinity(0))
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.memory_bytes == pytest.approx(there / 2)


def test_a_container_is_not_given_what_its_machine_has(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1000000000\n")
    assert allowance(Resources(), tmp_path) == Allowance(1, 5e8)


@pytest.mark.parametrize(("time", "cores"), [("250000 100000", 3), ("50000 100000", 1)])
def test_a_share_of_a_core_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "cpu.max").write_text(time)
    assert allowance(Resources(), tmp_path).cores == cores


def test_a_container_that_may_take_more_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000000 100000\n")
    (tmp_path / "memory.max").write_text(f"{10**15}\n")
    assert allowance(Resources(), tmp_path) == allowance(Resources(), tmp_path / "none")


def test_a_container_without_limits_has_what_its_machine_has(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert allowance(Resources(), tmp_path) == allowance(Resources(), tmp_path / "none")


def test_the_settings_take_less_and_no_more_cores_than_there_are(tmp_path: Path) -> None:
    assert allowance(Resources(cores=1, memory_gb=2.0), tmp_path) == Allowance(1, 2e9)
    assert allowance(Resources(cores=10_000), tmp_path).cores == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("memory_bytes", "frames"), [(8e9, 4), (1.1e9, 2), (0.8e9, 1), (0.5e9, 1)])
def test_memory_bounds_the_frames_side_by_side(memory_bytes: float, frames: int) -> None:
    assert Allowance(4, memory_bytes).side_by_side(FRAME_BYTES) == frames


def test_frames_that_need_nothing_are_bound_by_cores_alone() -> None:
    assert Allowance(4, 1e8).side_by_side(0) == 4


def test_a_frame_needs_what_the_largest_does_and_one_that_is_gone_nothing(tmp_path: Path) -> None:
    for size in (10, 30, 20):
        (tmp_path / f"{size}.fits").write_bytes(bytes(size))
    assert largest([*tmp_path.iterdir(), tmp_path / "gone.fits"]) == 30
    assert largest([]) == 0


def test_frames_are_worked_on_as_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    monkeypatch.setattr(resources, "_CGROUP", Path("/nowhere"))
    resources.use(Resources(memory_gb=8))
    assert side_by_side(6, 0) == 3
    resources.use(Resources(memory_gb=1.1))
    assert side_by_side(6, FRAME_BYTES) == 2
    resources.use(Resources(cores=1))
    assert side_by_side(6, 0) == 1
    assert threads() == 1


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_rows_are_shared_among_the_cores_that_are_allowed(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    resources.use(Resources())
    parts: list[tuple[int, int]] = []
    over_rows(lambda first, last: parts.append((first, last)), 100)
    assert len(parts) == cores
    assert sorted(row for first, last in parts for row in range(first, last)) == list(range(100))


def test_the_settings_hold_for_whatever_dagster_runs(tmp_path: Path) -> None:
    file = tmp_path / "observatory.toml"
    file.write_text(
        'root = "data"\n[site]\nname = "Home"\nlatitude_deg = 53\nlongitude_deg = 6\n'
        "[resources]\ncores = 1\nmemory_gb = 2.5\n"
    )
    build_defs(load_settings(file))
    assert resources.allowed() == Allowance(1, 2.5e9)


def test_one_frame_has_all_cores_and_many_have_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads within threads would take turns, and each keep planes of its own."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    monkeypatch.setattr(resources, "_CGROUP", Path("/nowhere"))
    resources.use(Resources(memory_gb=8))

    def parts_of(_: int) -> int:
        parts: list[int] = []
        over_rows(lambda first, last: parts.append(last - first), 300)
        return len(parts)

    assert map_frames(parts_of, range(1)) == [3]
    assert map_frames(parts_of, range(7)) == [1] * 7


def test_results_come_in_the_order_of_their_frames() -> None:
    first = threading.Event()

    def work(number: int) -> int:
        if number:
            first.set()
        elif resources.allowed().cores > 1:
            assert first.wait(10)
        return number

    assert list(frames_as_done(work, range(6))) == list(range(6))
