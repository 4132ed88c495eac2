"""Rows of the landing disk: it is full, fails, is read-only, or is not what it seems."""

import errno
import multiprocessing
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from astro_assets.errors import StorageFailed
from astro_assets_tests.faults.disk import watched
from astro_assets_tests.faults.landing_scene import FAR, KEY, Scene, everything
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame, put

MOST_CALLS = 400
NOBODY = 65534


class Disk:
    """Fails at one call; a full one from there on, for all that takes room."""

    def __init__(self, number: int, code: int) -> None:
        self.number = number
        self.code = code
        self.calls = 0
        self.name = ""

    def __call__(self, name: str, path: Path, target: Path | None) -> None:
        self.calls += 1
        full = self.code == errno.ENOSPC and self.name and name in ("open", "write", "mkdir")
        if self.calls == self.number or full:
            self.name = self.name or name
            raise OSError(self.code, os.strerror(self.code), str(path))


@cells(40, "L", "nothing published, R later")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_a_failure_at_any_call_publishes_nothing_that_is_not_whole(
    cell: Cell, code: int, tmp_path: Path
) -> None:
    scene = Scene.made(tmp_path)
    scene.fetch(tmp_path / "calm")
    expected = everything(tmp_path / "calm")
    failed: Counter[str] = Counter()
    for number in range(1, MOST_CALLS):
        root = tmp_path / f"failed-{number}"
        root.mkdir()
        disk = Disk(number, code)
        told = False
        with watched(root, disk):
            try:
                scene.fetch(root)
            except StorageFailed as error:
                told = os.strerror(code) in str(error)
        if not disk.name:
            break
        failed[disk.name] += 1
        where = f"call {number}, {disk.name}"
        visible = scene.visible(root)
        assert visible.items() <= scene.expected.items(), where
        # In tidying up at the end a failure costs nothing, and is not told.
        assert told or visible == scene.expected, where
        with watched(root):
            scene.fetch(root)
        assert everything(root) == expected, where
    assert not disk.name, "the sweep goes over every call"
    assert {"open", "write", "fsync", "close", "link", "unlink", "mkdir"} <= failed.keys()
    cell.server = FAR
    cell.saw(f"{os.strerror(code)} at each of {failed.total()} calls: told; then all there")


@cells(40, "L", "nothing published, R later")
def test_a_full_disk_is_not_taken_for_a_broken_archive(cell: Cell, tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)

    def full(name: str, path: Path, target: Path | None) -> None:
        if name in ("open", "close") and path.name.startswith("member-"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    root = tmp_path / "data"
    with watched(root, full), pytest.raises(StorageFailed, match="free some space"):
        scene.fetch(root)
    assert "b/7.zip" not in scene.recorded(root)
    scene.fetch(root)
    assert scene.visible(root) == scene.expected
    cell.server = FAR
    cell.saw("an archive that cannot be unpacked for lack of room is not quarantined")


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, for those who may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    with mounted(tmp_path / "small", "1m") as root:
        put(root / "ballast", bytes(2**20 - 40_000))
        with pytest.raises(StorageFailed, match=r"No space left on device.*free some space"):
            scene.fetch(root)
        whole = {
            path: scene.visible(root)[path] for path in scene.visible(root) if path != "ballast"
        }
        assert whole.items() <= scene.expected.items()
        (root / "ballast").unlink()
        scene.fetch(root)
        assert scene.visible(root) == scene.expected


def refused(root: Path, scene: Scene) -> str:
    with pytest.raises(StorageFailed) as caught:
        scene.fetch(root)
    return str(caught.value)


@cells(44, "L", "a clear failure")
@pytest.mark.parametrize("below", ["raw", "raw/far", f"raw/far/{KEY}", f"raw/far/{KEY}/b"])
def test_a_file_in_the_place_of_a_folder(cell: Cell, below: str, tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    root = tmp_path / "data"
    put(root / below, "somebody's notes")
    told = refused(root, scene)
    assert "a file lies where a folder belongs; move it away" in told
    assert (root / below).read_text() == "somebody's notes"
    (root / below).unlink()
    scene.fetch(root)
    assert scene.visible(root) == scene.expected
    cell.server = FAR
    cell.saw(told.partition(" (")[2])


@cells(44, "L", "a clear failure")
def test_no_permission(cell: Cell, tmp_path: Path) -> None:
    """In a child that is nobody: root may write anywhere."""
    scene = Scene.made(tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    root.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    told = tmp_path / "told"
    told.touch()
    told.chmod(0o666)
    child = multiprocessing.get_context("fork").Process(
        target=fetch_as_nobody, args=(scene, root, told)
    )
    child.start()
    child.join()
    assert "Permission denied" in told.read_text()
    assert "give its user the right to write there" in told.read_text()
    root.chmod(0o755)
    scene.fetch(root)
    assert scene.visible(root) == scene.expected
    cell.server = FAR
    cell.saw(told.read_text().partition(" (")[2])


def fetch_as_nobody(scene: Scene, root: Path, told: Path) -> None:
    if os.getuid() == 0:
        os.setuid(NOBODY)
    try:
        scene.fetch(root)
    except StorageFailed as error:
        told.write_text(str(error))


def test_a_read_only_file_system(tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    with mounted(tmp_path / "data", "9m") as root:
        scene.fetch(root)
        put(scene.far / "b/9.fits", frame(9))
        subprocess.run(["mount", "-o", "remount,ro", str(root)], check=True)
        assert "Read-only file system): mount it so that it can be written" in refused(root, scene)
        assert scene.visible(root) == scene.expected
        subprocess.run(["mount", "-o", "remount,rw", str(root)], check=True)
        scene.fetch(root)
        assert len(scene.visible(root)) == len(scene.expected) + 1


def test_quarantine_on_another_file_system(tmp_path: Path) -> None:
    scene = Scene.made(tmp_path)
    root = tmp_path / "data"
    root.mkdir()
    with mounted(root / "quarantine", "9m"):
        told = refused(root, scene)
        assert "keep raw and quarantine on one file system" in told
    scene.fetch(root)
    assert scene.visible(root) == scene.expected


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on FAT: a rename takes their place, and still nothing is overwritten."""

    def no_links(*args: object, **more: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    scene = Scene.made(tmp_path)
    root = tmp_path / "data"
    monkeypatch.setattr(os, "link", no_links)
    scene.fetch(root)
    put(scene.far / "a/0.fits", frame(99))
    scene.fetch(root)
    assert scene.visible(root).items() > scene.expected.items()
