"""Row 21, as its user meets it: what is not listed any more is told, and that is all."""

from collections.abc import Iterator

import pytest
from dagster import DagsterInstance

from astro_assets.definitions import build_defs
from astro_assets.defs.sync import sync
from astro_assets_tests.defs.conftest import Hand
from astro_assets_tests.faults.far import Far
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame, zipped


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as opened:
        yield opened


def filled(far: Far, frames: int) -> list[str]:
    paths = []
    for number in range(frames):
        name, content = f"img-{number:04d}", frame(number)
        if far.name == "itelescope":
            name, content = f"{name}.fit.zip", zipped({f"calibrated-{name}.fit": content})
        else:
            name = f"{name}.fits"
        paths.append(far.put(name, content))
    return paths


@pytest.mark.parametrize("left", [0, 2], ids=["nothing left", "a part left"])
@cells(21, "FV", "no absence inferred, told")
def test_a_listing_that_lost_most_of_what_it_had_is_told(
    where: str, cell: Cell, far: Far, left: int, instance: DagsterInstance
) -> None:
    paths = filled(far, 6)
    before = far.fetch()
    assert len(before.published) == 6
    sensor = f"watch_{far.name}"
    hand = Hand.over(far.settings, instance)
    hand.tick(sensor)
    for path in paths[left:]:
        (far.served / path).unlink()
    requests, reason = Hand.over(far.settings, instance).tick(sensor)
    settings = far.settings
    outcome = sync(settings, build_defs(settings), instance, settings.active_sources, _quiet)
    told = f"{far.name} lists {f'{left} files' if left else 'nothing'} where it listed 6"
    assert any(note.startswith(told) for note in outcome.notes)
    if not requests:
        assert told in str(reason)
    assert far.outcome().published == before.published
    cell.saw(f"told by sensor and sync; {left} of 6 listed, 6 of 6 still here")


def _quiet(text: str, done: int, known: int) -> None:
    """Nobody looks."""
