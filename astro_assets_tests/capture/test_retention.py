"""Nothing is removed that the collecting side has not confirmed by hash."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astro_assets.capture import retention
from astro_assets.capture.config import Retention
from astro_assets.capture.frames import NightFolder
from astro_assets.capture.retention import at_floor, prune
from astro_assets_tests.capture.test_frames import opened, take

NOW = datetime(2026, 12, 20, 12, tzinfo=UTC)
KEEP = Retention(keep_days=14, disk_floor_gb=0.001)


@pytest.fixture
def night(tmp_path: Path) -> NightFolder:
    folder = opened(tmp_path)
    for _ in range(3):
        take(folder)
    return folder


def confirm(folder: NightFolder, name: str, **changes: object) -> None:
    line = {**folder.lines()[name], **changes}
    words = {key: line[key] for key in ("file", "size", "sha256")} | {"time": "2026-11-21"}
    with (folder.folder / "confirmed.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\n")


def dated(folder: NightFolder, moment: str) -> None:
    """Give the frames a date of exposure, which `take` leaves out."""
    manifest = folder.folder / "manifest.jsonl"
    lines = [json.loads(line) | {"time": moment} for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))


def names(folder: NightFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.glob("light-*"))


def test_a_confirmed_frame_goes_when_it_is_old(night: NightFolder, tmp_path: Path) -> None:
    first, second, third = names(night)
    dated(night, "2026-11-20T21:30:00")
    for name in (first, second):
        confirm(night, name)
    assert prune(tmp_path, KEEP, NOW - timedelta(days=20)) == []
    assert [path.name for path in prune(tmp_path, KEEP, NOW)] == [first, second]
    assert names(night) == [third]
    assert prune(tmp_path, KEEP, NOW) == []


@pytest.mark.parametrize(
    "changes", [{"sha256": "0" * 64}, {"size": 1}, {"file": "light-of-another-name.fits"}]
)
def test_a_confirmation_of_something_else_removes_nothing(
    night: NightFolder, tmp_path: Path, changes: dict[str, object]
) -> None:
    dated(night, "2026-11-20T21:30:00")
    confirm(night, names(night)[0], **changes)
    with (night.folder / "confirmed.jsonl").open("a") as file:
        file.write('{"file": "x"\nnonsense\n')
    assert prune(tmp_path, KEEP, NOW) == []
    assert len(names(night)) == 3


def test_a_confirmation_that_comes_twice_is_one(night: NightFolder, tmp_path: Path) -> None:
    dated(night, "2026-11-20T21:30:00")
    for _ in range(2):
        confirm(night, names(night)[0])
    assert len(prune(tmp_path, KEEP, NOW)) == 1


def test_bytes_that_are_no_longer_those_confirmed_stay(night: NightFolder, tmp_path: Path) -> None:
    dated(night, "2026-11-20T21:30:00")
    name = names(night)[0]
    confirm(night, name)
    content = bytearray((night.folder / name).read_bytes())
    content[-1] ^= 1
    (night.folder / name).write_bytes(content)
    assert prune(tmp_path, KEEP, NOW) == []


def test_near_the_floor_the_oldest_confirmed_go_first(
    night: NightFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated(night, "2026-12-20T01:00:00")  # young
    first, second, _ = names(night)
    confirm(night, first)
    confirm(night, second)
    free = iter([1.5e6, 3e6, 3e6, 3e6])  # short once, then no more
    usage = type("Usage", (), {})
    monkeypatch.setattr(retention.shutil, "disk_usage", lambda _: _with(usage(), free=next(free)))
    assert [path.name for path in prune(tmp_path, KEEP, NOW)] == [first]
    assert not at_floor(tmp_path, KEEP)


def _with(thing: object, **values: object) -> object:
    for key, value in values.items():
        setattr(thing, key, value)
    return thing
