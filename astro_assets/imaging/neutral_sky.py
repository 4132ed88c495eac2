"""The sky's level in several filters of one field, from the same places.

What belongs here: where the field is darkest, and what each filter shows there. What does not: the
sky below single stars (`local_sky`), a mesh for finding stars (`background`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.order import median
from astro_assets.imaging.threads import over_rows

_BOX_PX = 32
_SHARE = 0.1
"""of the boxes, the darkest, are taken for sky"""
_LARGE = 2_000_000
_BAND_ROWS = 4
"""wider than what resampling correlates"""


def sky_levels(planes: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """The level of each plane in the boxes that are darkest in all of them together.

    In a field that a nebula fills, the commonest level is the nebula's: taken off, it would leave
    its complement as the colour of the sky.

    Parameters
    ----------
    planes : name → (ny, nx), of one shape; NaN is no data

    Returns
    -------
    name → level; 0 for all where no box has data in every plane
    """
    # Chosen by some rows and measured on others: what noise makes dark would come out too dark.
    chosen = np.array([_box_medians(plane, 0) for plane in planes.values()])
    noise = np.array([_spread(values) for values in chosen])[:, None]
    darkness = (chosen / np.maximum(noise, 1e-6)).sum(axis=0)
    known = np.flatnonzero(np.isfinite(darkness))
    darkest = known[np.argsort(darkness[known])][: max(1, round(_SHARE * known.size))]
    medians = np.array([_box_medians(plane, 1, darkest) for plane in planes.values()])
    medians = medians[:, np.isfinite(medians).all(axis=0)]
    if medians.size == 0:
        return dict.fromkeys(planes, 0.0)
    levels = np.median(medians, axis=1)
    return {name: float(level) for name, level in zip(planes, levels, strict=True)}


def _box_medians(
    image: NDArray[np.float32], which: int, boxes: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Medians of boxes over the image, row by row of boxes; NaN where most of a box is blank.

    Of each box every other band of rows is taken, the even ones or the odd ones.

    boxes : the numbers of those that are wanted, or all
    """
    side = max(1, min(_BOX_PX, *image.shape))
    if boxes is None:
        boxes = np.arange((image.shape[0] // side) * (image.shape[1] // side))
    taken = np.arange(side)
    if side > _BAND_ROWS:
        taken = taken[taken // _BAND_ROWS % 2 == which]
    # Of a large image every other column is plenty.
    step = 2 if image.size > _LARGE else 1
    medians = np.empty(boxes.size)
    plane = np.ascontiguousarray(image, np.float32)
    over_rows(
        lambda first, last: _medians(
            plane, side, taken, step, boxes[first:last], medians[first:last]
        ),
        boxes.size,
    )
    return medians


@njit(cache=True, nogil=True)
def _medians(image: Any, side: int, taken: Any, step: int, boxes: Any, medians: Any) -> None:
    across = image.shape[1] // side
    values = np.empty(taken.size * side, np.float32)
    for k in range(boxes.size):
        top, left = boxes[k] // across * side, boxes[k] % across * side
        n = seen = 0
        for row in taken:
            for x in range(left, left + side, step):
                value = image[top + row, x]
                values[seen] = value
                seen += not np.isnan(value)
                n += 1
        medians[k] = median(values[:seen]) if 2 * seen >= n else np.nan


def _spread(values: NDArray[np.float64]) -> float:
    """How much the darker half of the boxes differs: what sky and gradients do, not the object."""
    low, middle = np.nanpercentile(values, (5, 50)) if np.isfinite(values).any() else (0.0, 0.0)
    return float(middle - low)
