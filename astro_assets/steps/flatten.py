"""Taking the sky's gradient off a frame before it is stacked.

What belongs here: frames with and without a colour matrix, whole and row by row, and what is told
of it. What does not: finding a gradient (`imaging.gradient`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.gradient import Gradient, find_gradient, slope_of, without_gradient
from astro_assets.imaging.laid import FrameReader, FrameRows
from astro_assets.imaging.planes import Workspace


@dataclass(frozen=True, slots=True)
class FlatRows:
    """A frame whose rows come without its gradient."""

    frame: FrameReader
    gradient: Gradient

    def rows(self, y0: int, y1: int, space: Workspace) -> FrameRows:
        rows = self.frame.rows(y0, y1, space)
        return replace(rows, image=rows.image - slope_of(self.gradient, y0, y1))


def flattened(
    image: NDArray[np.float32], mask: NDArray[np.uint8], order: int, *, bayer: bool
) -> tuple[NDArray[np.float32], list[Gradient]]:
    """The frame without its gradient; of a Bayer frame each of the four kinds of pixels by itself.

    order : 0 leaves the frame as it is
    """
    if order == 0:
        return image, []
    if not bayer:
        gradient = find_gradient(image, mask, order)
        return without_gradient(image, gradient), [gradient]
    result, found = image.copy(), []
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        part, bits = image[y::2, x::2], mask[y::2, x::2]
        gradient = find_gradient(part, bits, order)
        result[y::2, x::2] = without_gradient(part, gradient)
        found.append(gradient)
    return result, found


def sentence(frame: str, gradients: Sequence[Gradient]) -> str:
    """What was taken off a frame, for its stack's history."""
    order = min(gradient.order for gradient in gradients)
    if order == 0:
        return f"frame {frame}: no gradient taken off, for too little sky is seen"
    span_e = max(gradient.peak_to_peak_e for gradient in gradients)
    share = min(gradient.sky_share for gradient in gradients)
    return (
        f"frame {frame}: gradient of {span_e:.1f} e- peak to peak taken off (order {order}, on "
        f"{100 * share:.0f} % of the field)"
    )
