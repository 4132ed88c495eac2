"""How far each pixel of a calibrated image may be off: photons, read-out, rounding.

What belongs here: the variance of one frame. What does not: gain and read noise themselves
(`noise`), the noise of a sky background (`background`).
"""

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.mask import MaskBit


def variance_e2(
    image_e: NDArray[np.float32],
    mask: NDArray[np.uint8],
    *,
    read_noise_e: float,
    gain_e_per_adu: float,
    flat: NDArray[np.float32] | None = None,
    dark_e: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """(ny, nx) float32, squared electrons; NaN where the mask says NO_DATA.

    ``(signal + dark + read noise² + gain²/12) / flat²``, the signal being what the pixel collected
    before the flat was divided out (Howell 2006, Handbook of CCD Astronomy, 4.4). The noise of the
    masters themselves is not in it; neither is anything for cosmic rays, which the mask tells.

    Parameters
    ----------
    image_e : (ny, nx), calibrated, electrons
    mask : (ny, nx), `MaskBit`
    read_noise_e : of one frame
    gain_e_per_adu : the rounding to whole ADU has its share
    flat : (ny, nx), as it was divided out
    dark_e : (ny, nx), the electrons that were taken off, without the bias
    """
    collected = image_e if flat is None else image_e * flat
    if dark_e is not None:
        collected = collected + dark_e
    constant = np.float32(read_noise_e**2 + gain_e_per_adu**2 / 12)
    variance = np.maximum(collected, np.float32(0)) + constant
    none = (mask & MaskBit.NO_DATA) != 0
    if flat is not None:
        variance = variance / np.where(none, np.float32(1), flat) ** 2
    return np.asarray(np.where(none, np.float32(np.nan), variance), np.float32)
