"""Pairing by position."""

import numpy as np
import pytest

from astro_assets.imaging.match import common_shift, nearest_pairs


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_shift_among_many_strangers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = rng.uniform(0, 1000, (60, 2))
    shift = rng.uniform(-150, 150, 2)
    seen = expected[:25] + shift + rng.normal(0, 0.5, (25, 2))
    found = np.vstack([rng.uniform(0, 1000, (120, 2)), seen])
    assert common_shift(found, expected, 200) == pytest.approx(tuple(shift), abs=1.0)


def test_pairs_are_mutual_and_near() -> None:
    found = np.array([[10.0, 10.0], [50.0, 50.0], [90.0, 90.0]])
    expected = np.array([[50.5, 50.0], [51.0, 50.0], [10.0, 11.0], [96.0, 90.0]])
    i, j = nearest_pairs(found, expected, 2.0)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 2), (1, 0)]


def test_nothing_to_pair() -> None:
    nothing = np.empty((0, 2))
    assert [len(part) for part in nearest_pairs(nothing, np.ones((3, 2)), 2.0)] == [0, 0]
    assert common_shift(nothing, np.ones((3, 2)), 10.0) == (0.0, 0.0)
