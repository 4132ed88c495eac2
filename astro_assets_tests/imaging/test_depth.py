"""A stack's usual weight is the median of those above 0, however they are spread."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from astro_assets.imaging.depth import usual_weight

WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 2.0**60, width=32)


@settings(max_examples=300, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=WEIGHTS))
def test_it_is_the_median_of_what_is_covered(weight: np.ndarray) -> None:
    covered = weight[weight > 0].astype(np.float64)
    wanted = np.median(covered) if covered.size else np.nan
    assert usual_weight(weight) == pytest.approx(wanted, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("shape", [(700, 1001), (699, 1000)])
@pytest.mark.parametrize("spread", ["noise", "steps", "one", "ramp", "columns"])
def test_of_a_plane_of_which_a_sample_is_taken(shape: tuple[int, int], spread: str) -> None:
    rng = np.random.default_rng(5)
    y, x = np.indices(shape)
    weight = {
        "noise": rng.gamma(4.0, 1.0, shape),
        "steps": rng.integers(0, 4, shape) * 0.1,
        "one": np.where(y > 20, 0.01, 0.0),
        "ramp": y * 1.0 + x / 2000,
        # Every third pixel is what the sample has: it knows nothing of the others.
        "columns": np.where(np.arange(y.size).reshape(shape) % 3 == 0, 7.0 + y / 1e4, 1.0 + x),
    }[spread].astype(np.float32)
    covered = weight[weight > 0]
    assert usual_weight(weight) == pytest.approx(float(np.median(covered)), rel=1e-6)
