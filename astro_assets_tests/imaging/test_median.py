"""The median by counting is NumPy's."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.imaging.median import median


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.one_of(st.integers(1, 40), st.integers(100, 1100)),
    kind=st.sampled_from(["normal", "whole", "two", "far", "wide", "sorted", "equal"]),
)
def test_any_values(seed, n, kind):
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
    wanted = (ordered[(n - 1) // 2] + ordered[n // 2]) / np.float32(2)
    for near, off in ((0.0, 0.0), (float(wanted), 1.0), (280.0, 30.0), (1e9, 1.0)):
        assert median(values, near, off) == wanted
    np.testing.assert_array_equal(values, before)
