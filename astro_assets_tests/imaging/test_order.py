"""Order statistics without sorting are those of sorting."""

import numpy as np
import pytest
from hypothesis import given, settings
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


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.one_of(st.integers(1, 40), st.integers(100, 1100)),
    kind=st.sampled_from(["normal", "whole", "two", "far", "wide", "sorted", "equal"]),
)
def test_the_median_of_any_values(seed: int, n: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    values = {
        "normal": rng.normal(300, 20, n),
        "whole": np.round(rng.normal(300, 3, n)),
        "two": rng.integers(0, 2, n) * 1e6,
        "far": rng.normal(0, 1e-3, n) + 1e7 * (rng.random(n) < 0.48),
        "wide": rng.choice([-1, 1], n) * 10 ** rng.uniform(-30, 30, n),
        "sorted": np.sort(rng.normal(0, 1, n)),
        "equal": np.full(n, rng.normal()),
    }[kind].astype(np.float32)
    before = values.copy()
    ordered = np.sort(values)
    assert np.float32(median(values)) == (ordered[(n - 1) // 2] + ordered[n // 2]) / np.float32(2)
    np.testing.assert_array_equal(values, before)
