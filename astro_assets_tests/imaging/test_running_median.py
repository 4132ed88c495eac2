"""Running medians against medians of windows, one by one."""

import numpy as np
import pytest

from astro_assets.imaging.running_median import middle_of, running_medians


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


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 41), (130, 41), (257, 300)])
@pytest.mark.parametrize("kind", ["noise", "whole numbers", "far apart", "two levels", "a slope"])
@pytest.mark.parametrize("missing", [0.0, 0.1, 0.95])
def test_the_median_of_an_image(shape, kind, missing):
    """A sample of rows may tell nothing of the others, and may have nothing at all."""
    rng = np.random.default_rng(shape[1])
    image = rng.normal(0, 3, shape).astype(np.float32)
    if kind == "whole numbers":
        image = np.rint(image)
    if kind == "far apart":
        image *= (10.0 ** rng.integers(-30, 30, shape)).astype(np.float32)
    if kind == "two levels":
        image[:: max(1, shape[0] // 64)] += 1000
    if kind == "a slope":
        image += np.arange(shape[0], dtype=np.float32)[:, None]
    lost = rng.random(shape)
    image[lost < missing] = np.nan
    image[lost < missing / 2] = np.inf
    image[lost < missing / 4] = -np.inf
    finite = image[np.isfinite(image)]
    if finite.size:
        assert middle_of(image) == np.median(finite)
    else:
        assert np.isnan(middle_of(image))
