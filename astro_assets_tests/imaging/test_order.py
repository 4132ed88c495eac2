"""Order statistics without sorting are those of sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astro_assets.imaging.order import median, quantile

FLOATS = st.floats(-(2.0**127), 2.0**127, width=32) | st.sampled_from([0.0, -0.0, 1.0])


@given(arrays(np.float32, st.integers(1, 70), elements=FLOATS))
def test_the_median_is_the_middle_of_the_sorted_values(values: np.ndarray) -> None:
    ordered = np.sort(values).astype(np.float64)
    half = len(values) // 2
    wanted = ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
    assert median(values) == pytest.approx(wanted, rel=1e-9, abs=1e-30)


@pytest.mark.parametrize("share", [0.0, 0.1587, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3, 1000, 262_144])
def test_quantiles_are_numpys(share: float, count: int) -> None:
    values = np.random.default_rng(count).normal(-5, 40, count).astype(np.float32)
    values[::7] = values[0]  # some are equal
    wanted = np.quantile(values.astype(np.float64), share)
    assert quantile(values, share) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_values_stay_as_they_were() -> None:
    values = np.array([3, -1, 2], np.float32)
    assert median(values) == 2
    assert values.tolist() == [3, -1, 2]
    assert median(values[::2]) == 2.5
