"""Aligned frames into one deep image: normalised, weighted, clipped.

What belongs here: levels, weights, and the record of what was used. What does not: the alignment
(`warp`), the outliers (`outliers`) and the mean itself (`combine`).

Layers are read in strips of rows, so that they may lie in memory maps and memory stays bounded
whatever their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Rows, sigma_clipped_mean
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.outliers import Judged, Levelled, expect

_CLIP_SIGMA = 4.0
"""For what the judgement by known noise leaves, such as places that the median did not reach."""
_COVERED = 0.9


@dataclass(frozen=True, slots=True)
class Layer:
    """One frame on the common grid.

    image, weight, mask : (ny, nx) as `warp` makes them; ``mask`` may be None
    background_e : its sky level, electrons per grid pixel
    noise_e : standard deviation of its background, electrons
    scale : what brings its star fluxes to those of the others (1 / relative transparency)
    """

    image: Rows
    weight: Rows
    background_e: float
    noise_e: float
    scale: float = 1.0
    mask: Rows | None = None


@dataclass(frozen=True, slots=True)
class Stacked:
    """The stack.

    image : (ny, nx) float32, electrons of one layer of scale 1; NaN where no layer has data
    weight : (ny, nx) float32, inverse variance of the background, 1 / electrons²
    count : (ny, nx) uint16, layers that went into each pixel
    mask : (ny, nx) uint8, NO_DATA and SATURATED
    background_e : the level that the layers were brought to
    rejected : for each layer the number of its pixels that were rejected
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    count: NDArray[np.uint16]
    mask: NDArray[np.uint8]
    background_e: float
    rejected: tuple[int, ...]


def stack(layers: Sequence[Layer]) -> Stacked:
    """Combine layers that lie on one grid.

    Each layer is brought to the median background (additive) and to the flux scale of 1
    (multiplicative) and weighted by its inverse variance. Outliers are left out (`outliers`), with
    room for seeing that changes. One or two layers give the plain weighted mean.

    Raises
    ------
    NothingToDo : there are no layers
    ValueError : the layers differ in shape, or one has no noise
    """
    if not layers:
        raise NothingToDo("there are no frames to stack")
    if not all(layer.noise_e > 0 and layer.scale > 0 for layer in layers):
        raise ValueError("each layer needs a noise and a scale above 0")
    levelled, background_e = _levelled(layers)
    judged: list[Judged] = []
    leeway = None
    if len(layers) > 2:
        expected = expect(levelled, background_e)
        judged = [Judged(layer, expected) for layer in levelled]
        leeway = expected.leeway
    combined = sigma_clipped_mean(
        [layer.image for layer in levelled],
        weights=[layer.noise_e**-2 for layer in levelled],
        weight_maps=judged or [layer.weight for layer in levelled],
        scales=[layer.scale for layer in levelled],
        offsets=[layer.offset for layer in levelled],
        tolerance=leeway,
        sigma=_CLIP_SIGMA,
    )
    if combined.weight is None:
        raise ValueError("the combination kept no weights")
    return Stacked(
        image=combined.image,
        weight=combined.weight,
        count=combined.count,
        mask=_mask(layers, combined.count),
        background_e=background_e,
        rejected=tuple(layer.rejected for layer in judged) or (0,) * len(layers),
    )


def well_covered(weight: NDArray[np.float32]) -> tuple[slice, slice]:
    """Rows and columns of the part that most layers cover: what a picture shows of a stack.

    Edges are taken off, the poorest first, until each is well covered (half of the typical
    weight) over nine tenths of its length.

    Parameters
    ----------
    weight : (ny, nx), of a `Stacked`
    """
    seen = weight[weight > 0]
    ny, nx = weight.shape
    if seen.size == 0:
        return slice(0, ny), slice(0, nx)
    good = weight >= np.float32(np.median(seen) / 2)
    y0, y1, x0, x1 = 0, ny, 0, nx
    while y1 - y0 > 1 and x1 - x0 > 1:
        edges = (
            good[y0, x0:x1].mean(),
            good[y1 - 1, x0:x1].mean(),
            good[y0:y1, x0].mean(),
            good[y0:y1, x1 - 1].mean(),
        )
        worst = int(np.argmin(edges))
        if edges[worst] >= _COVERED:
            break
        y0, y1, x0, x1 = (
            y0 + (worst == 0),
            y1 - (worst == 1),
            x0 + (worst == 2),
            x1 - (worst == 3),
        )
    return slice(y0, y1), slice(x0, x1)


def _levelled(layers: Sequence[Layer]) -> tuple[list[Levelled], float]:
    """What brings each layer to the common level, and that level."""
    background_e = float(np.median([layer.background_e * layer.scale for layer in layers]))
    return [
        Levelled(
            layer.image,
            layer.weight,
            layer.scale,
            background_e - layer.background_e * layer.scale,
            layer.noise_e * layer.scale,
        )
        for layer in layers
    ], background_e


def _mask(layers: Sequence[Layer], count: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """A pixel is saturated when it is in two layers, or in every layer that there is."""
    saturated = np.zeros(count.shape, np.uint16)
    for layer in layers:
        if layer.mask is not None:
            saturated += (np.asarray(layer.mask[:]) & MaskBit.SATURATED) != 0
    mask = np.zeros(count.shape, np.uint8)
    mask[saturated >= np.clip(count, 1, 2)] = MaskBit.SATURATED
    mask[count == 0] = MaskBit.NO_DATA
    return mask
