"""One frame resampled onto a grid: Lanczos-3, masks respected, flux conserved.

What belongs here: moving pixels, whole frames at once. What does not: which grid (`grid`), how the
frame lies on it (`placement`), row by row as a stack asks for it (`laid`), the kernels themselves
(`lanczos_rows`, `two_pass`), and what becomes of the frames that lie on it (`stack`).
"""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from astro_assets.imaging.grid import Grid
from astro_assets.imaging.laid import FrameRows, Laid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.placement import place
from astro_assets.imaging.planes import Workspace
from astro_assets.imaging.threads import over_rows

_STRIP_ROWS = 128


@dataclass(frozen=True, slots=True)
class Warped:
    """A frame on the grid.

    image : (ny, nx) float32, electrons per grid pixel, 0 where there is no data
    weight : (ny, nx) float32, 0 where there is no data, else `MIN_WEIGHT` … 1: the share of the
        kernel that fell on good pixels
    mask : (ny, nx) uint8, NO_DATA and SATURATED
    area : of a grid pixel in the frame's pixels; the sky's level has become so many times as
        high, and the noise, as far as it is independent from pixel to pixel, √area times
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    mask: NDArray[np.uint8]
    area: float


@dataclass(frozen=True, slots=True)
class InMemory:
    """A frame that is held as it is."""

    image: NDArray[np.float32]
    mask: NDArray[np.uint8] | None

    def rows(self, y0: int, y1: int, space: Workspace) -> FrameRows:  # noqa: ARG002
        return FrameRows(self.image[y0:y1], None if self.mask is None else self.mask[y0:y1])


def warp(
    image: NDArray[np.float32], mask: NDArray[np.uint8] | None, wcs_in: WCS, grid: Grid
) -> Warped:
    """Resample a frame.

    A masked or non-finite pixel contributes nothing; the kernel is renormalised over the others.
    Around saturated pixels the result is held within the range of its nearest inputs, so that
    their steep edges do not ring. Values are multiplied by the ratio of the pixels' areas. Where a
    grid pixel spans several of the frame's, those are averaged first, so that none is passed over.
    On another scale than the frame's each grid pixel is the mean of its four quarters: samples that
    drift through the kernel's phases would give single stars up to 2 % too much or too little.

    Parameters
    ----------
    image : (ny, nx), electrons
    mask : (ny, nx) uint8 of `MaskBit`, or None
    wcs_in : the frame's own WCS, distortions included

    Raises
    ------
    ValueError : image and mask differ in shape
    """
    if mask is not None and mask.shape != image.shape:
        raise ValueError(f"the image is {image.shape}, its mask {mask.shape}")
    frame = InMemory(np.ascontiguousarray(image, np.float32), mask)
    placement = place(wcs_in, (image.shape[0], image.shape[1]), grid)
    laid = Laid(frame, placement, 0.0)
    out = Warped(
        np.zeros(grid.shape, np.float32),
        np.zeros(grid.shape, np.float32),
        np.full(grid.shape, MaskBit.NO_DATA, np.uint8),
        placement.area,
    )

    def rows(first: int, last: int) -> None:
        space = Workspace()
        for y0 in range(first, last, _STRIP_ROWS):
            y1 = min(y0 + _STRIP_ROWS, last)
            strip = laid.strip(y0, y1, space)
            if strip is not None and strip.mask is not None:
                out.image[y0:y1], out.weight[y0:y1] = strip.image, strip.weight
                out.mask[y0:y1] = strip.mask

    over_rows(rows, grid.shape[0])
    return out
