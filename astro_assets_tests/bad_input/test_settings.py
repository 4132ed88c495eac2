"""Mistakes in the settings, as the command line tells them: one sentence and status 1."""

from pathlib import Path

import pytest

from astro_assets_tests.bad_input.bench import Bench, folder_source
from astro_assets_tests.bad_input.frames import write_lights

GOOD = """
root = "data"
[site]
name = "Roof"
latitude_deg = 53.2
longitude_deg = 6.6
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("root", "rot"), ("rot", "did you mean 'root'?")),
        (GOOD.replace("latitude_deg", "lattitude_deg"), ("site.lattitude_deg", "'latitude_deg'")),
        (GOOD.replace("53.2", "153.2"), ("site.latitude_deg", "90", "153.2")),
        (GOOD.replace("[site]", "[site"), ("is not TOML", "line 3")),
        (GOOD, ("sources", "add")),
    ],
    ids=["top level", "in a table", "impossible", "bad TOML", "no source"],
)
def test_a_mistake_is_one_sentence_with_file_and_key(
    tmp_path: Path, text: str, words: tuple[str, ...]
):
    bench = Bench(tmp_path)
    bench.settings.write_text(text)
    ended = bench.sync()
    assert ended.status == 1
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert str(bench.settings) in line
    assert all(word in line for word in words), line


def test_a_missing_file_says_how_to_make_one(tmp_path: Path):
    ended = Bench(tmp_path).sync()
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert str(tmp_path / "observatory.toml") in line
    assert "astro-assets init" in line


def test_a_source_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.write(folder_source("garden", "garden"))
    ended = bench.sync("gardn")
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert "there is no source 'gardn'; there are: garden" in line


def test_a_root_that_is_a_file_is_named(tmp_path: Path):
    bench = Bench(tmp_path)
    (tmp_path / "data").write_text("in the way")
    (tmp_path / "garden").mkdir()
    bench.write(folder_source("garden", "garden"))
    ended = bench.sync()
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert str(tmp_path / "data") in line
    assert "root" in line
    assert (tmp_path / "data").read_text() == "in the way"


def test_records_that_cannot_be_kept_are_named(tmp_path: Path):
    bench = Bench(tmp_path)
    (tmp_path / "garden").mkdir()
    bench.write(folder_source("garden", "garden"))
    home = bench.store.root / "dagster"
    (home / "history/runs.db").mkdir(parents=True)
    ended = bench.sync()
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert f"{home}: Dagster's records cannot be read or written" in line
    assert "check the disk" in line


@pytest.mark.parametrize("product", ["raw", "stacks"])
def test_a_folder_that_takes_no_files_is_named_and_mended_later(tmp_path: Path, product: str):
    bench = Bench(tmp_path)
    write_lights(tmp_path / "garden", 1)
    bench.write(folder_source("garden", "garden"))
    bench.store.root.mkdir()
    obstacle = bench.store.root / product
    obstacle.write_text("in the way")
    ended = bench.sync()
    assert ended.status == 1
    (line,) = [line for line in ended.err.splitlines() if line.startswith("failed: ")]
    assert str(obstacle) in line
    assert "move it away" in line or "check the disk" in line
    obstacle.unlink()
    ended = bench.sync()
    assert ended.status == 0, ended.said
    assert list(bench.store.root.glob("stacks/garden/*/color.png"))
