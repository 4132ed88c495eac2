"""The small version of `make validate`: every subject with one seed."""

import pytest

from astro_assets_tests.validation.__main__ import measured, subjects


@pytest.mark.parametrize("subject", subjects())
def test_every_line_holds(subject: str) -> None:
    missed = [line for line in measured(subject, (1,)) if line.missed]
    assert not missed, missed
