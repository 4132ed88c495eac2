"""The sky's level and noise, pixel by pixel, for finding and measuring stars.

What belongs here: the quick mesh background. What does not: stars (`stars`), gradients that are to
be taken out of a picture, the loops over pixels (`mesh`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.errors import Unusable
from astro_assets.imaging.mask import UNUSABLE
from astro_assets.imaging.mesh import box_sky, spread
from astro_assets.imaging.order import median
from astro_assets.imaging.threads import over_rows

_BOX_PX = 64
_MIN_BOXES = 3
_MIN_BOX_PX = 8
_THINNED_FROM_PX = 48
"""In boxes from this size every second pixel of every second row tells enough."""
_SAMPLES = 500_000
_LEAST_RMS = 0.2
"""of the frame's, so that constant pixels do not make a star of all that is above them"""


@dataclass(frozen=True)
class Background:
    """The sky below the stars.

    shape : (ny, nx) of the image
    nodes_e, nodes_rms_e : (rows, columns) float32, electrons, level and noise of one pixel without
        stars in the middle of each box
    box_px : side of a box
    median_e, rms_e : one figure of each for the whole frame; the median is that of all its pixels
    """

    shape: tuple[int, int]
    nodes_e: NDArray[np.float32]
    nodes_rms_e: NDArray[np.float32]
    box_px: int
    median_e: float
    rms_e: float

    @property
    def sky_e(self) -> float:
        """The level without the stars, electrons: the median of the boxes."""
        return float(np.median(self.nodes_e))

    @cached_property
    def level(self) -> NDArray[np.float32]:
        """(ny, nx) float32, electrons: the nodes, interpolated."""
        return self._spread(self.nodes_e)

    @cached_property
    def rms(self) -> NDArray[np.float32]:
        """(ny, nx) float32, electrons: the noise, interpolated."""
        return np.maximum(self._spread(self.nodes_rms_e), np.float32(_LEAST_RMS * self.rms_e))

    def rms_at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """The noise at some positions, electrons."""
        places = [
            y / self.box_px - 0.5 + 0.5 / self.box_px,
            x / self.box_px - 0.5 + 0.5 / self.box_px,
        ]
        noise = ndimage.map_coordinates(self.nodes_rms_e, places, order=1, mode="nearest")
        return np.asarray(np.maximum(noise, _LEAST_RMS * self.rms_e), np.float64)

    def _spread(self, nodes: NDArray[np.float32]) -> NDArray[np.float32]:
        result = np.empty(self.shape, np.float32)
        over_rows(
            lambda top, bottom: spread(nodes, self.box_px, top, bottom, result), self.shape[0]
        )
        return result


def background(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> Background:
    """Estimate the sky in boxes, clipped of stars, and interpolate between the boxes.

    Boxes are 64 px wide, and smaller in small images. The estimate is that of Source Extractor
    (Bertin & Arnouts 1996, A&AS 117, 393): the mode of what is within 3 σ of the mean, or the
    median where the box is crowded; of each 3 × 3 boxes the median.

    Parameters
    ----------
    image : (ny, nx) float32, electrons; what is not finite counts as masked
    mask : (ny, nx) uint8 with the bits of `MaskBit`

    Raises
    ------
    Unusable : no pixel is usable
    """
    shape = (image.shape[0], image.shape[1])
    image = np.ascontiguousarray(image, np.float32)
    sample = _sample(image, mask)
    box_px = max(_MIN_BOX_PX, min(_BOX_PX, min(shape) // _MIN_BOXES))
    rows, columns = (-(-side // box_px) for side in shape)
    level, rms = (np.empty((rows, columns), np.float32) for _ in range(2))
    step = 2 if box_px >= _THINNED_FROM_PX else 1
    unusable = int(UNUSABLE)
    over_rows(
        lambda top, bottom: box_sky(image, mask, unusable, box_px, step, top, bottom, level, rms),
        rows,
    )
    level, rms = _filled(level), _filled(rms)
    level, rms = (ndimage.median_filter(nodes, size=3, mode="nearest") for nodes in (level, rms))
    rms_e = float(np.median(rms)) or float(sample.std()) or 1.0
    return Background(
        shape=shape,
        nodes_e=level,
        nodes_rms_e=rms,
        box_px=box_px,
        median_e=median(sample),
        rms_e=rms_e,
    )


def _sample(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Some usable pixels from all over the frame; all of them where a few would be none."""
    step = max(1, int(np.sqrt(image.size / _SAMPLES)))
    for every in (step, 1):
        part, bits = image[::every, ::every], mask[::every, ::every]
        usable = part[((bits & np.uint8(UNUSABLE)) == 0) & np.isfinite(part)]
        if usable.size:
            return np.asarray(usable)
    raise Unusable(
        "No pixel of this frame is usable (all are masked or saturated): expose for less time, "
        "or check the camera"
    )


def _filled(nodes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes that hold nothing usable take the value of the nearest that does."""
    empty = ~np.isfinite(nodes)
    if empty.all():
        return np.zeros_like(nodes)
    if not empty.any():
        return nodes
    nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)
    return np.asarray(nodes[tuple(nearest)])
