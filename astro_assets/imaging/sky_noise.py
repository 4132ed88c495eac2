"""The noise of a frame's darkest part, whatever nebulosity lies over it.

What belongs here: one figure for a frame's pixels. What does not: noise in boxes (`background`),
which takes a slope within a box for noise.
"""

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.mask import UNUSABLE

_APART_PX = 3
"""Farther than neighbours that share noise, nearer than sky and nebulae change."""
_SAMPLES = 400_000
_LEAST = 100
_CLIP_SIGMA = 3.0
_OF_CLIPPED = 0.98658
"""Standard deviation of a normal distribution that is cut at 3 σ, over that of the whole."""


def sky_noise(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> float:
    """Standard deviation of a sky pixel, from the differences of pixels 3 apart in a row.

    Of the pairs the darkest quarter counts, so that the photons of stars and nebulae do not. NaN
    where too few pixels are usable.

    Parameters
    ----------
    image, mask : (ny, nx)
    """
    every = max(1, image.size // _SAMPLES)
    rows = np.asarray(image[::every], np.float32)
    usable = np.isfinite(rows) & ((mask[::every] & np.uint8(UNUSABLE)) == 0)
    first, second = rows[:, :-_APART_PX], rows[:, _APART_PX:]
    both = usable[:, :-_APART_PX] & usable[:, _APART_PX:]
    total, difference = (first + second)[both], (first - second)[both]
    if total.size < _LEAST:
        return float("nan")
    dark = difference[total <= np.percentile(total, 25)].astype(np.float64)
    # The median alone would come in steps where counts are whole numbers.
    rough = 1.4826 * np.median(np.abs(dark))
    kept = dark[np.abs(dark) <= _CLIP_SIGMA * rough] if rough > 0 else dark
    return float(np.sqrt(np.mean(kept**2) / 2) / _OF_CLIPPED)
