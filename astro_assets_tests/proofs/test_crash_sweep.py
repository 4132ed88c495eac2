"""The small crash sweep: a few points per source. `make crash-sweep` does hundreds."""

import pytest

from astro_assets_tests.proofs.crash_sweep import sweep
from astro_assets_tests.proofs.far_side import SOURCES


@pytest.mark.parametrize("letter", list(SOURCES))
def test_killed_anywhere_the_next_run_makes_the_same(letter: str) -> None:
    swept = sweep(letter, points=8)
    assert swept.kills >= 8
    assert not swept.differing
    assert len(swept.steps) > 200


def test_also_while_it_deletes_on_the_far_side() -> None:
    swept = sweep("V", points=8, deleting=True)
    assert swept.kills >= 8
    assert not swept.differing
    assert "before delete" in swept.steps
