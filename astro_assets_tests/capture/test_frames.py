"""Frames on the card: whole, in the manifest, under names that are never used twice."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from astro_assets.capture.frames import NightFolder
from astro_assets.capture.header import write_fits
from astro_assets.errors import StorageFailed

NOW = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)


def opened(tmp_path: Path) -> NightFolder:
    folder = NightFolder(tmp_path, "2026-11-20")
    folder.open()
    return folder


def take(folder: NightFolder, moment: datetime = NOW) -> Path:
    part = folder.part().with_suffix(".fits")
    write_fits(part, np.full((4, 6), 7, np.uint16), {"IMAGETYP": "Light Frame"})
    return folder.publish([part], "light", moment, {"IMAGETYP": "Light Frame"})[0].path


def test_a_name_is_never_used_twice_whatever_the_clock_does(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    back = NOW - timedelta(days=20_000)
    names = [take(folder, moment).name for moment in (NOW, NOW, back, NOW)]
    assert len({name[-11:-5] for name in names}) == 4
    (tmp_path / ".sequence").unlink()
    names.append(take(opened(tmp_path)).name)
    assert names[-1].endswith("-000005.fits")
    assert len(folder.lines()) == 5


def test_a_camera_s_own_file_has_its_facts_beside_it(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    part = folder.part().with_suffix(".cr3")
    part.write_bytes(b"raw")
    path = folder.publish([part], "light", NOW, {"GAIN": "800"})[0].path
    assert path.name == "light-20261120T213000Z-000001.cr3"
    assert json.loads(Path(f"{path}.json").read_text()) == {"GAIN": "800"}
    assert folder.lines()[path.name]["facts"] == {"GAIN": "800"}


def test_what_a_kill_left_is_put_in_order(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    first, second = take(folder), take(folder)
    manifest = folder.folder / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(lines[0] + lines[1][:20])
    folder.part().with_suffix(".fits").write_bytes(b"half")
    again = opened(tmp_path)
    assert list(again.parts.iterdir()) == []
    assert set(again.lines()) == {first.name, second.name}
    assert again.lines()[second.name]["facts"]["IMAGETYP"] == "Light Frame"
    third = take(again)
    assert manifest.read_text().count("\n") == 3
    assert third.name in again.lines()


def test_a_card_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="does not take files"):
        opened(tmp_path / "file")


def take_pair(folder: NightFolder) -> None:
    """RAW and JPEG, as a camera writes them."""
    parts = [folder.part().with_suffix(ending) for ending in (".cr3", ".jpg")]
    for part in parts:
        part.write_bytes(b"picture")
    folder.publish(parts, "light", NOW, {"IMAGETYP": "Light Frame"})


CHILD = """
import os, signal, sys
import astropy.io.fits  # once, before the forks
from pathlib import Path
from astro_assets_tests.capture.test_frames import opened, take, take_pair
kill_at, seen = 0, 0
WATCHED = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}
def hook(event, arguments):
    global seen
    if event in WATCHED and any(str(sys.argv[1]) in str(a) for a in arguments):
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
folder, killed = Path(sys.argv[1]), 0
for point in range(1, int(sys.argv[2]) + 1):
    pid = os.fork()
    if pid == 0:
        kill_at, seen = point, 0
        sys.addaudithook(hook)
        night = opened(folder)
        for _ in range(10):
            take(night)
            take_pair(night)
        os._exit(0)
    killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
print(killed)
"""


def test_killed_at_any_point_there_is_no_part_no_gap_and_no_duplicate(tmp_path: Path) -> None:
    """A hundred and twenty points one after another, in one and the same night."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), "120"], capture_output=True, text=True,
        check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.stdout == "120\n"
    folder = opened(tmp_path)
    take(folder)
    frames = sorted(f for f in folder.folder.glob("light-*") if f.suffix != ".json")
    assert len(frames) > 100
    assert [f.name for f in frames] == sorted(folder.lines())
    numbers = {(int(f.stem[-6:]), f.suffix) for f in frames}
    assert len(numbers) == len(frames)
    assert {number for number, _ in numbers} == set(range(1, max(numbers)[0] + 1))
    for frame in frames:
        assert frame.stat().st_size == folder.lines()[frame.name]["size"]
    assert list(folder.parts.iterdir()) == []
    # Each of the camera's own files has its keywords beside it, and nothing else has.
    owned = sorted(f"{f.name}.json" for f in frames if f.suffix != ".fits")
    assert sorted(f.name for f in folder.folder.glob("light-*.json")) == owned
