"""Running medians against medians of windows, one by one."""

import numpy as np
import pytest

from astro_assets.imaging.running_median import running_medians


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (65, 101), (70, 333), (129, 260)])
@pytest.mark.parametrize("kind", ["noise", "whole numbers", "far apart"])
def test_equals_the_plain_medians(shape, kind):
    rng = np.random.default_rng(shape[1])
    values = rng.normal(0, 3, shape).astype(np.float32)
    if kind == "whole numbers":
        values = np.rint(values)
    if kind == "far apart":
        values *= (10.0 ** rng.integers(-30, 30, shape)).astype(np.float32)
    width, every = 21, 4
    reach = width // 2
    padded = np.pad(values, ((0, 0), (reach, reach + every)), mode="symmetric")
    expected = np.empty_like(values)
    for x in range(shape[1]):
        left, rest = divmod(x, every)
        windows = [padded[:, every * k : every * k + width] for k in (left, left + 1)]
        before, after = (np.median(window, axis=1) for window in windows)
        share = np.float32(rest / every)
        expected[:, x] = before * (1 - share) + after * share
    np.testing.assert_array_equal(running_medians(values, width, every), expected)
