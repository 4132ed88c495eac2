"""What one look at a frame must not miss, by the exact level and noise of each pixel."""

import numpy as np
import pytest

from astro_assets.imaging.candidates import candidates
from astro_assets.imaging.tiles import surroundings, usual

NOISE_E, SNR = 4.0, 20.0


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(96, 128), (61, 75), (200, 150)])
@pytest.mark.parametrize("darker", ["borders", "inside", "one corner"])
def test_no_bright_pixel_is_passed_over(shape, stride, darker):
    """The level falls away between and beyond the centres of the tiles, whose figures are known."""
    rng = np.random.default_rng([*shape, stride])
    y, x = np.indices(shape)
    if darker == "one corner":
        level = 6.0 * y + 4.0 * x
    else:
        far = np.minimum(np.minimum(y, shape[0] - 1 - y), np.minimum(x, shape[1] - 1 - x))
        level = 6.0 * (far if darker == "borders" else far.max() - far)
    image = (level + rng.normal(0, 3 + level / 40)).astype(np.float32)
    some = rng.random(shape) < 0.2
    image[some] += rng.uniform(300, 6000, np.count_nonzero(some)).astype(np.float32)
    exact = np.zeros(shape, bool)
    for v in range(stride):
        for u in range(stride):
            plane = image[v::stride, u::stride]
            around, spread = surroundings(plane)
            limit = around + np.float32(SNR) * np.maximum(spread, np.float32(NOISE_E))
            exact[v::stride, u::stride] = plane > limit
    _, bright = candidates(image, usual(image, stride), np.float32(NOISE_E), 5.0, SNR, 0, shape[0])
    found = np.zeros(exact.size, bool)
    found[bright] = True
    assert exact.any()
    assert not (exact.ravel() & ~found).any()
