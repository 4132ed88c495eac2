"""The scatter of pixels over frames against the plain figure, for all kinds of frames."""

import numpy as np
import pytest

from astro_assets.imaging.scatter import scatter


def reference(frames):
    """Standard deviation without the highest value, changes of level taken off."""
    values = np.array(frames, float)
    values -= np.nanmedian(values - values[0], axis=(1, 2))[:, None, None]
    values -= values[0]
    return np.sort(values, axis=0)[:-1].std(axis=0, ddof=1)


@pytest.mark.parametrize("shape", [(1, 5), (63, 20), (130, 41)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_equals_the_plain_figure(shape, dtype):
    rng = np.random.default_rng(shape[0])
    frames = rng.normal(500, 4, (6, *shape)) + np.arange(6)[:, None, None] * 7
    frames[2, 0, 3] += 60_000
    frames[0, 0, 1] += 60_000
    frames = np.rint(frames).astype(dtype)
    np.testing.assert_allclose(scatter(list(frames)), reference(frames), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_pixel_without_a_number_has_no_scatter(which, value):
    frames = np.random.default_rng(1).normal(500, 4, (5, 70, 30)).astype(np.float32)
    frames[which, 66, 7] = value
    found = scatter(list(frames))
    assert np.isnan(found[66, 7])
    assert np.isnan(found).sum() == 1
