"""The small soak: some files per source, with faults. `make soak` fetches ten thousand."""

import pytest

from astro_assets_tests.proofs.far_side import SOURCES
from astro_assets_tests.proofs.soak import soak


@pytest.mark.parametrize("letter", list(SOURCES))
def test_whatever_goes_wrong_all_files_arrive_exactly_and_once(letter: str) -> None:
    soaked = soak(letter, files=50)
    assert soaked.faults
    assert soaked.holds, soaked
