"""Parts of several files that are published together, or not at all."""

from pathlib import Path

import pytest

from astro_assets.files import parts_in, publish, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_part_is_published_or_vanishes(tmp_path: Path) -> None:
    with parts_in(tmp_path / "new") as new_part:
        first, second = new_part(), new_part()
        first.write_text("first")
        second.write_text("second")
        write_text(tmp_path / "new" / "beside.txt", "another writer tidies up nobody's parts")
        publish(first, tmp_path / "new" / "a.txt", replace=True)
    assert names(tmp_path / "new") == ["a.txt", "beside.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "first"


def test_nothing_is_left_when_the_work_fails(tmp_path: Path) -> None:
    def work() -> None:
        with parts_in(tmp_path) as new_part:
            new_part().write_text("half")
            raise ValueError("work")

    with pytest.raises(ValueError, match="work"):
        work()
    assert names(tmp_path) == []


def test_what_a_killed_process_left_goes_unless_somebody_is_writing(tmp_path: Path) -> None:
    left = tmp_path / ".left.part"
    left.write_text("half")
    with parts_in(tmp_path) as new_part:
        assert not left.exists()
        mine = new_part()
        with parts_in(tmp_path):
            assert mine.exists()
