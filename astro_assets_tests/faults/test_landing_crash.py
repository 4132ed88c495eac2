"""Rows of the landing disk: killed at any step, power cut at any step, two at once."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from astro_assets.sources.manifest import Manifest
from astro_assets.store import Store
from astro_assets_tests.faults.disk import watched
from astro_assets_tests.faults.landing_scene import FAR, KEY, Scene, everything
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import sha256

FORKED = multiprocessing.get_context("fork")
MOST_CALLS = 400


def killed_at(number: int, scene: Scene, root: Path) -> None:
    """Fetch, and be killed at the given call of what changes the disk."""
    calls = 0

    def count(name: str, path: Path, target: Path | None) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    with watched(root, count):
        scene.fetch(root, connections=2)


@cells(41, "L", "converges, no duplicates")
def test_killed_at_any_step_the_next_fetch_converges(cell: Cell, tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    scene.fetch(tmp_path / "calm")
    expected = everything(tmp_path / "calm")
    for number in range(1, MOST_CALLS, 3):
        root = tmp_path / f"killed-{number}"
        process = FORKED.Process(target=killed_at, args=(number, scene, root))
        process.start()
        process.join()
        assert scene.visible(root).items() <= scene.expected.items(), number
        with watched(root):
            scene.fetch(root)
        assert everything(root) == expected, f"killed at call {number}"
        if process.exitcode == 0:
            break
    assert process.exitcode == 0, "the sweep goes over all calls"
    cell.server = FAR
    cell.saw(f"killed at each third of {number} calls: the same tree and manifest")


class Platter:
    """What a power cut at this very moment would leave: only what was synced.

    Names are durable once their folder was synced after they were made, bytes once their file was
    synced after they were written. ``deaf_to`` are syncs that do not count.
    """

    def __init__(self, deaf_to: Callable[[Path], bool] = lambda path: False) -> None:
        self.deaf_to = deaf_to
        self.unsynced_bytes: set[Path] = set()
        self.unsynced_names: set[Path] = set()
        self.lost: list[str] = []

    def __call__(self, name: str, path: Path, target: Path | None) -> None:
        if name in ("open", "write", "truncate"):
            self.unsynced_bytes.add(path)
        if name in ("open", "mkdir"):
            self.unsynced_names.add(path)
        if name == "fsync" and not self.deaf_to(path):
            self._synced(path)
        if name in ("link", "replace", "rename"):
            assert target is not None
            self._appeared(path, target)

    def _synced(self, path: Path) -> None:
        if path.is_dir():
            self.unsynced_names -= {name for name in self.unsynced_names if name.parent == path}
            return
        self.unsynced_bytes.discard(path)
        if path.name == ".journal":
            self._recorded(path.parent, path.read_bytes().splitlines()[1:])

    def _appeared(self, part: Path, path: Path) -> None:
        """A name that somebody may rely on holds durable bytes from the start."""
        if part in self.unsynced_bytes:
            self.lost.append(f"{path.name} appears before its bytes are durable")
        self.unsynced_names.add(path)
        if path.name == "manifest.json":
            self._recorded(path.parent, [path.read_bytes()])

    def _recorded(self, folder: Path, said: Sequence[bytes]) -> None:
        """What is on record is durable, down from the root."""
        for name in sorted(self.unsynced_names):
            hidden = any(part.startswith(".") for part in name.relative_to(folder.parents[3]).parts)
            at = name.relative_to(folder).as_posix() if folder in name.parents else None
            if at and not hidden and any(at.encode() in text for text in said):
                self.lost.append(f"{at} is recorded before its name is durable")
            if name in (folder, *folder.parents):
                self.lost.append(f"{name.name} is the folder of a record and not durable")


def power_cut_by(scene: Scene, root: Path, platter: Platter) -> list[str]:
    root.parent.mkdir(exist_ok=True)
    with watched(root.parent, after=platter):
        scene.fetch(root)
    visible = {root / path for path in scene.visible(root)}
    platter.lost += [
        f"{path.name} is not durable at the end"
        for path in sorted(visible)
        if {path, *path.parents} & platter.unsynced_names
    ]
    return platter.lost


@cells(42, "L", "published means whole")
def test_what_is_visible_would_survive_a_power_cut(cell: Cell, tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    assert power_cut_by(scene, tmp_path / "disk/data", Platter()) == []
    cell.server = FAR
    cell.saw("bytes synced before a name, names before a record, folders before both")


@cells(42, "L", "published means whole")
def test_also_after_a_process_was_killed_before_it_synced(cell: Cell, tmp_path: Path) -> None:
    """What it had made is there, and nobody would sync it again unless the next one does."""
    scene = Scene.made(tmp_path)
    cuts = 0
    for number in range(1, MOST_CALLS, 7):
        root = tmp_path / f"{number}/data"
        root.mkdir(parents=True)
        process = FORKED.Process(target=killed_at, args=(number, scene, root))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        platter = Platter()
        platter.unsynced_names = set(root.rglob("*"))
        assert power_cut_by(scene, root, platter) == [], f"killed at call {number}"
        cuts += 1
    assert process.exitcode == 0
    cell.server = FAR
    cell.saw(f"also after SIGKILL at {cuts} calls")


@pytest.mark.parametrize(
    ("deaf_to", "lost"),
    [
        (lambda path: path.suffix == ".fits" or "part" in path.name, "before its bytes"),
        (lambda path: path.is_dir() and path.name == "b", "before its name"),
        (lambda path: path.is_dir() and path.name == "raw", "not durable"),
        (lambda path: path.is_dir() and path.parent.name == "quarantine", "not durable"),
    ],
)
def test_a_sync_that_is_missing_is_seen(
    deaf_to: Callable[[Path], bool], lost: str, tmp_path: Path
) -> None:
    told = power_cut_by(Scene.made(tmp_path), tmp_path / "disk/data", Platter(deaf_to))
    assert any(lost in sentence for sentence in told), told


@cells(43, "L", "published once, recorded once")
def test_two_processes_and_two_connections_each(cell: Cell, tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    root = tmp_path / "data"
    processes = [FORKED.Process(target=scene.fetch, args=(root, 2)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert scene.visible(root) == scene.expected
    assert scene.recorded(root) == ["a/0.fits", "b/7.zip", "b/broken.fits"]
    manifest = Manifest.load(Store(root).raw("far", KEY))
    assert manifest is not None
    hashes = [file.sha256 for record in manifest.records for file in record.files]
    assert sorted(hashes) == sorted(
        sha256(content) for path, content in scene.expected.items() if path.startswith("raw")
    )
    cell.server = FAR
    cell.saw("3 processes: each file once, each record once")
