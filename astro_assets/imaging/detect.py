"""Where in a frame there are stars: peaks of what the matched filter sees.

What belongs here: what makes a peak, and which are saturated. What does not: the filter
(`matched_filter`), telling one peak from the next (`watershed`), measuring what was found (`stars`,
`moments`, `aperture`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.background import Background
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.matched_filter import WEIGHTS, Above, Signal
from astro_assets.imaging.watershed import peak_sums, watershed

_LEAST_PIXELS = 5
_SATURATED = int(MaskBit.SATURATED)
_SATURATED_SHARE = 0.95
_NEAR_PX = 2


@dataclass(frozen=True, slots=True)
class Peaks:
    """One value per peak, float64.

    x, y : 0-based centre of its light
    sigma_px : geometric mean of its axes, of what is above the threshold
    peak_e : highest pixel above the sky
    peak_x, peak_y : where the filtered frame is highest
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    sigma_px: NDArray[np.float64]
    peak_e: NDArray[np.float64]
    peak_x: NDArray[np.float64]
    peak_y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)


def find_peaks(
    signal: Signal, above: Above, sky: Background, *, gain: float, correlation: float
) -> Peaks:
    """Peaks of at least five pixels above the noise of the matched filter.

    Parameters
    ----------
    gain : electrons per unit of the image, for the photon noise at saddles
    correlation : from `noise_correlation`
    """
    rows, columns, height = above.rows, above.columns, above.height
    order = np.argsort(height)[::-1]
    photons = 1 / (float(WEIGHTS.sum()) ** 2 * gain * sky.rms_e)
    owner = watershed(rows, columns, height, order, correlation, photons)
    n, sums = peak_sums(rows, columns, height, owner, signal.light)
    keep = n >= _LEAST_PIXELS
    sums = sums[keep]
    x, y = sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
    xx = np.maximum(sums[:, 3] / sums[:, 0] - x**2, 1 / 12)
    yy = np.maximum(sums[:, 4] / sums[:, 0] - y**2, 1 / 12)
    xy = sums[:, 5] / sums[:, 0] - x * y
    sigma = np.maximum(xx * yy - xy**2, 1 / 16) ** 0.25
    return Peaks(x, y, sigma, sums[:, 6], sums[:, 7], sums[:, 8])


def near_saturation(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    saturation_e: float | None,
) -> NDArray[np.bool_]:
    """(n,) bool: positions with a saturated pixel within two pixels.

    A pixel is saturated when its mask says so, which is known from the raw data; or when it comes
    within 5 % of ``saturation_e``, where that is known.
    """
    level = np.inf if saturation_e is None else _SATURATED_SHARE * saturation_e
    return np.asarray(_any_saturated(image, mask, x, y, level))


@njit(cache=True, nogil=True)
def _any_saturated(image: Any, mask: Any, x: Any, y: Any, level: float) -> Any:
    ny, nx = image.shape
    found = np.zeros(len(x), np.bool_)
    for k in range(len(x)):
        column, row = round(x[k]), round(y[k])
        for j in range(max(0, row - _NEAR_PX), min(ny, row + _NEAR_PX + 1)):
            for i in range(max(0, column - _NEAR_PX), min(nx, column + _NEAR_PX + 1)):
                if mask[j, i] & _SATURATED or image[j, i] >= level:
                    found[k] = True
    return found
