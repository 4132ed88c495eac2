"""The step that fetches: what it tells on the way, and what it lets go of at the source."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from astro_assets.errors import NothingToDo, SourceUnreachable
from astro_assets.settings import load_settings
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sources.ftp import FtpTransport
from astro_assets.sources.manifest import Manifest
from astro_assets.sources.progress import Progress
from astro_assets.steps.fetch import TELL_EVERY_S, fetch_raw, sentence, teller
from astro_assets.steps.summary import Summary
from astro_assets_tests.sources.conftest import VESPERA, Night, make_tree, night, put

__all__ = ["night"]

M31 = "2026-11-20_M31_Vespera"


def progress(done: int, files: int) -> Progress:
    return Progress(done, files, done * 10**6, files * 10**6, "a.fits", 8.14e6, 63.7)


def test_a_line_says_how_far_how_fast_and_how_long() -> None:
    assert sentence(progress(3, 10)) == (
        "3 of 10 files, 3.0 of 10.0 MB, 8.1 MB/s, 1:04 left: a.fits"
    )


def test_the_log_gets_a_line_every_few_seconds_and_one_at_the_end() -> None:
    now, lines = 0.0, list[str]()
    tell = teller(lines.append, lambda: now)
    for done in range(10_000):
        now = done * 0.01
        tell(progress(done, 10_000))
    tell(progress(10_000, 10_000))
    tell(progress(10_000, 10_000))
    assert len(lines) == 100 // TELL_EVERY_S
    assert lines[-1].startswith("10000 of 10000 files")
    assert sum(line.startswith("10000 of") for line in lines) == 1


def fetched(night: Night, source: str, key: str) -> Summary:
    return fetch_raw(night.settings, night.settings.source(source), key, lambda line: None)


def stays(night: Night) -> list[str]:
    folder = night.served / "vespera/user" / VESPERA
    return sorted(path.name for path in folder.rglob("*.fits"))


ALL = ["img-0001-dark.fits", "img-0001.fits", "img-0001.fits", "img-0002.fits"]


@pytest.fixture
def deleting(tmp_path: Path) -> Iterator[Night]:
    """A Vespera that lets us delete, and settings that wish for it."""
    served = make_tree(tmp_path / "sim")
    with SimulatedObservatory(tmp_path / "sim", vespera_deletion=True) as observatory:
        text = observatory.settings_toml(tmp_path / "data")
        kind = 'kind = "vespera"'
        assert kind in text
        text = text.replace(kind, f"{kind}\ndelete_after_fetch = true")
        file = put(tmp_path / "observatory.toml", text)
        observatory.write_environment(tmp_path / ".env")
        yield Night(observatory, load_settings(file), served, file)


def test_nothing_is_deleted_unless_that_is_wished_for(night: Night) -> None:
    summary = fetched(night, "vespera", M31)
    assert stays(night) == ALL
    assert summary.figures["deleted_at_source"] == 0
    assert summary.remarks == ()


def test_deletion_is_of_what_was_fetched_alone(deleting: Night) -> None:
    summary = fetched(deleting, "vespera", M31)
    assert summary.figures["frames"] == 2
    assert summary.remarks == ()
    # Beside the frames, their JSON files came along.
    assert summary.figures["deleted_at_source"] == 4
    assert stays(deleting) == ["img-0001-dark.fits", "img-0001.fits"], "not pointing, nor the dark"
    again = fetched(deleting, "vespera", M31)
    assert again.digest == summary.digest, "what is not listed any more is no loss"
    manifest = Manifest.load(deleting.store.raw("vespera", M31))
    assert manifest is not None
    assert all(record.released_utc is not None for record in manifest.records)


def test_a_deletion_that_fails_is_a_note(deleting: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*args: object) -> None:
        raise SourceUnreachable("vespera: it is off")

    monkeypatch.setattr(FtpTransport, "delete", gone)
    summary = fetched(deleting, "vespera", M31)
    assert summary.figures["frames"] == 2
    assert summary.remarks == ("vespera: it is off; vespera keeps what it has for now",)
    assert stays(deleting) == ALL


def test_a_batch_that_nobody_knows_is_nothing_to_do(night: Night) -> None:
    with pytest.raises(NothingToDo, match="none were fetched before"):
        fetched(night, "vespera", "2020-01-01_M1_Vespera")
