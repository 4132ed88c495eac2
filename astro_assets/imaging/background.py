"""The sky's level and noise, pixel by pixel, for finding and measuring stars.

What belongs here: the quick mesh background. What does not: stars (`stars`), gradients that are to
be taken out of a picture.
"""

from dataclasses import dataclass

import numpy as np
import sep
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.imaging.mask import UNUSABLE

_BOX_PX = 64
_MIN_BOXES = 3
_MIN_BOX_PX = 8


@dataclass(frozen=True, slots=True)
class Background:
    """The sky below the stars.

    level : (ny, nx) float32, electrons
    rms : (ny, nx) float32, electrons, the noise of one pixel without stars
    median_e, rms_e : one figure of each for the whole frame
    """

    level: NDArray[np.float32]
    rms: NDArray[np.float32]
    median_e: float
    rms_e: float


def background(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> Background:
    """Estimate the sky in boxes, clipped of stars, and interpolate between the boxes.

    Boxes are 64 px wide, and smaller in small images. The estimate is that of Source Extractor
    (Bertin & Arnouts 1996, A&AS 117, 393).

    Parameters
    ----------
    image : (ny, nx) float32, electrons; what is not finite counts as masked
    mask : (ny, nx) uint8 with the bits of `MaskBit`

    Raises
    ------
    Unusable : no pixel is usable
    """
    excluded = ((mask & np.uint8(UNUSABLE)) != 0) | ~np.isfinite(image)
    if excluded.all():
        raise Unusable(
            "No pixel of this frame is usable (all are masked or saturated): expose for less time, "
            "or check the camera"
        )
    filled = np.where(excluded, np.float32(0), image).astype(np.float32)
    box_px = max(_MIN_BOX_PX, min(_BOX_PX, min(image.shape) // _MIN_BOXES))
    mesh = sep.Background(filled, mask=excluded, bw=box_px, bh=box_px)
    rms = mesh.rms(dtype=np.float32)
    rms_e = float(np.median(rms))
    # A mesh cell that holds no noise (constant pixels) would make everything above it a star.
    floor = rms_e if rms_e > 0 else _plain_rms(image[~excluded])
    return Background(
        level=mesh.back(dtype=np.float32),
        rms=np.maximum(rms, np.float32(0.2 * floor)),
        median_e=float(np.median(image[~excluded][:: max(1, image.size // 500_000)])),
        rms_e=floor,
    )


def _plain_rms(values: NDArray[np.float32]) -> float:
    """Standard deviation, never zero: the noise of last resort."""
    return float(values.std()) or 1.0
