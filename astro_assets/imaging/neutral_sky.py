"""The sky's level in several filters of one field, from the same places.

What belongs here: where the field is darkest, and what each filter shows there. What does not: the
sky below single stars (`local_sky`), a mesh for finding stars (`background`).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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
    chosen, medians = (
        np.array([_box_medians(plane, rows) for plane in planes.values()]) for rows in (0, 1)
    )
    noise = np.array([_spread(values) for values in chosen])[:, None]
    darkness = (chosen / np.maximum(noise, 1e-6)).sum(axis=0)
    known = np.flatnonzero(np.isfinite(darkness) & np.isfinite(medians).all(axis=0))
    if known.size == 0:
        return dict.fromkeys(planes, 0.0)
    darkest = known[np.argsort(darkness[known])][: max(1, round(_SHARE * known.size))]
    levels = np.median(medians[:, darkest], axis=1)
    return {name: float(level) for name, level in zip(planes, levels, strict=True)}


def _box_medians(image: NDArray[np.float32], which: int) -> NDArray[np.float64]:
    """Medians of boxes over the image, row by row of boxes; NaN where most of a box is blank.

    Of each box every other band of rows is taken, the even ones or the odd ones.
    """
    side = max(1, min(_BOX_PX, *image.shape))
    ny, nx = image.shape[0] // side, image.shape[1] // side
    boxes = image[: ny * side, : nx * side].reshape(ny, side, nx, side).swapaxes(1, 2)
    taken = np.arange(side) // _BAND_ROWS % 2 == which if side > _BAND_ROWS else slice(None)
    # Of a large image every other column is plenty.
    columns = slice(None, None, 2 if image.size > _LARGE else 1)
    values = boxes[:, :, taken, columns].reshape(ny * nx, -1)
    holes = np.isnan(values)
    if not holes.any():
        return np.asarray(np.median(values, axis=1), np.float64)
    blank = holes.mean(axis=1) > 0.5
    values = values.copy()
    values[blank] = 0.0
    medians = np.nanmedian(values, axis=1).astype(np.float64)
    medians[blank] = np.nan
    return np.asarray(medians)


def _spread(values: NDArray[np.float64]) -> float:
    """How much the darker half of the boxes differs: what sky and gradients do, not the object."""
    low, middle = np.nanpercentile(values, (5, 50)) if np.isfinite(values).any() else (0.0, 0.0)
    return float(middle - low)
