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
    sequence = folder.next_sequence()
    part = folder.part(sequence).with_suffix(".fits")
    write_fits(part, np.full((4, 6), sequence, np.uint16), {"IMAGETYP": "Light Frame"})
    return folder.publish(part, "light", moment, sequence, {"IMAGETYP": "Light Frame"}).path


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
    part = folder.part(folder.next_sequence()).with_suffix(".cr3")
    part.write_bytes(b"raw")
    path = folder.publish(part, "light", NOW, 1, {"GAIN": "800"}).path
    assert path.name == "light-20261120T213000Z-000001.cr3"
    assert json.loads(Path(f"{path}.json").read_text()) == {"GAIN": "800"}
    assert folder.lines()[path.name]["facts"] == {"GAIN": "800"}


def test_what_a_kill_left_is_put_in_order(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    first, second = take(folder), take(folder)
    manifest = folder.folder / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(lines[0] + lines[1][:20])
    folder.part(9).with_suffix(".fits").write_bytes(b"half")
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


CHILD = """
import os, signal, sys
import astropy.io.fits  # once, before the forks
from pathlib import Path
from astro_assets_tests.capture.test_frames import opened, take
kill_at, seen = int(sys.argv[2]), 0
WATCHED = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}
def hook(event, arguments):
    global seen
    if event in WATCHED and any(str(sys.argv[1]) in str(a) for a in arguments):
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
for point in range(int(sys.argv[2]), int(sys.argv[3])):
    pid = os.fork()
    if pid == 0:
        kill_at, seen = point, 0
        sys.addaudithook(hook)
        night = opened(folder)
        for _ in range(3):
            take(night)
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_killed_at_any_point_there_is_no_part_no_gap_and_no_duplicate(tmp_path: Path) -> None:
    """A hundred and twenty points one after another, in one and the same night."""
    subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), "1", "121"],
        check=True, timeout=120, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    folder = opened(tmp_path)
    take(folder)
    frames = sorted(folder.folder.glob("light-*.fits"))
    assert len(frames) > 100
    assert [f.name for f in frames] == sorted(folder.lines())
    numbers = [int(f.name[-11:-5]) for f in frames]
    assert len(set(numbers)) == len(numbers)
    for frame in frames:
        assert frame.stat().st_size == folder.lines()[frame.name]["size"]
    assert list(folder.parts.iterdir()) == []
