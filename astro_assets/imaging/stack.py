"""Aligned frames into one deep image: normalised, weighted, clipped.

What belongs here: levels, weights, the pass over the layers, and the record of what was used. What
does not: the alignment (`warp`), the outliers (`outliers`), the common level (`levels`), the sums
(`tally`), drops (`drizzle`).

Layers are taken one after the other, in strips of rows, so that they may lie in files: memory is
that of a few images of the grid's size, whatever their number.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.drizzle import LEAST_FRAMES, Mosaic, cover_of, drop
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.levels import shared_levels
from astro_assets.imaging.outliers import Expected, Levelled, expect, judge
from astro_assets.imaging.tally import Tally

_THREADS = 2
_STRIP_ROWS = 128


@dataclass(frozen=True, slots=True)
class Layer:
    """One frame on the common grid.

    image, weight, mask : (ny, nx) as `warp` makes them; ``mask`` may be None
    background_e : its sky level, electrons per grid pixel
    noise_e : standard deviation of its background, electrons
    scale : what brings its star fluxes to those of the others (1 / relative transparency)
    exposure_s : its exposure time, or (ny, nx) of times
    independent_noise_e : noise of a pixel as an aperture sees it, where ``noise_e`` is smaller
        since neighbours share it (debayered planes); weights go by it
    mosaic : the raw pixels, of which this layer is the debayered image
    worth : what its weight is multiplied by beside the inverse variance, as for sharper stars
    """

    image: Rows
    weight: Rows
    background_e: float
    noise_e: float
    scale: float = 1.0
    mask: Rows | None = None
    exposure_s: Rows | float = 0.0
    independent_noise_e: float | None = None
    mosaic: Mosaic | None = None
    worth: float = 1.0


@dataclass(frozen=True, slots=True)
class Stacked:
    """The stack.

    image : (ny, nx) float32, electrons of one layer of scale 1; NaN where no layer has data
    weight : (ny, nx) float32, inverse variance of the background, 1 / electrons²; exact where all
        layers have data
    count : (ny, nx) uint16, layers that went into each pixel
    exposure_s : (ny, nx) float32, their exposure times together
    low, high : (ny, nx) uint16, layers that were left out there, too faint or too bright
    mask : (ny, nx) uint8, NO_DATA and SATURATED
    background_e : the level that the layers were brought to
    rejected : for each layer the number of its pixels that were rejected
    method : in Bayer frames, whether pixels were drizzled or debayered, and why; else empty
    """

    image: NDArray[np.float32]
    weight: NDArray[np.float32]
    count: NDArray[np.uint16]
    exposure_s: NDArray[np.float32]
    low: NDArray[np.uint16]
    high: NDArray[np.uint16]
    mask: NDArray[np.uint8]
    background_e: float
    rejected: tuple[int, ...]
    method: str = ""


def stack(layers: Sequence[Layer], grid: Grid | None = None) -> Stacked:
    """Combine layers that lie on one grid.

    Each layer is brought to the median background (additive), matched where layers overlap
    (`levels`), and to the flux scale of 1 (multiplicative), and weighted by its inverse variance.
    Outliers are left out (`outliers`), with room for seeing that changes. Where one or two layers
    have data that is the plain weighted mean. Layers with raw pixels of their own (``mosaic``) are
    drizzled when there are enough of them and they cover the grid (`drizzle`).

    Parameters
    ----------
    grid : that of the layers; needed for drizzling

    Raises
    ------
    NothingToDo : there are no layers
    ValueError : the layers differ in shape, or one has no noise
    """
    if not layers:
        raise NothingToDo("there are no frames to stack")
    if not all(min(layer.noise_e, layer.scale, layer.worth) > 0 for layer in layers):
        raise ValueError("each layer needs a noise, a scale and a worth above 0")
    if len({tuple(rows.shape) for layer in layers for rows in (layer.image, layer.weight)}) > 1:
        raise ValueError("the layers differ in shape")
    levelled, background_e = _levelled(layers)
    expected = expect(levelled, background_e) if len(layers) > 2 else None
    mosaics = [layer.mosaic for layer in layers if layer.mosaic is not None]
    if grid is None or len(mosaics) < len(layers):
        return _summed(layers, levelled, expected, background_e)
    if len(layers) < LEAST_FRAMES:
        debayered = _summed(layers, levelled, expected, background_e)
        return replace(
            debayered,
            method=f"debayered: {len(layers)} frames, and drizzle needs {LEAST_FRAMES}",
        )
    drizzled = _summed(layers, levelled, expected, background_e, grid)
    cover = cover_of(drizzled.weight, drizzled.count)
    if cover.serves:
        return replace(drizzled, method=f"Bayer drizzle: {cover}")
    debayered = _summed(layers, levelled, expected, background_e)
    return replace(debayered, method=f"debayered: {cover}")


def _summed(
    layers: Sequence[Layer],
    levelled: Sequence[Levelled],
    expected: Expected | None,
    background_e: float,
    drizzle_onto: Grid | None = None,
) -> Stacked:
    """One pass over the layers: each is judged and added, or its raw pixels are."""
    ny, nx = levelled[0].weight.shape
    tally = Tally.blank((ny, nx))
    rejected = []
    verdict = np.zeros((ny if drizzle_onto else 0, nx), np.uint8)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="stack") as pool:
        for layer, level in zip(layers, levelled, strict=True):
            # Summed as differences from the common level, so that float32 serves.
            start, along_x, along_y = level.offset
            plane = (start - background_e, along_x, along_y)

            def strip(
                y: int,
                layer: Layer = layer,
                level: Levelled = level,
                plane: tuple[float, float, float] = plane,
            ) -> int:
                rows = slice(y, min(y + _STRIP_ROWS, ny))
                judged = judge(level, expected, rows)
                if drizzle_onto is not None:
                    verdict[rows] = judged.verdict
                tally.add(
                    rows,
                    judged,
                    scale=level.scale,
                    offset=plane,
                    weight=0.0 if drizzle_onto else _weight(layer),
                    exposure_s=_exposures(layer, rows),
                    mask=None if layer.mask is None else np.asarray(layer.mask[rows]),
                )
                return int(np.count_nonzero(judged.verdict > 1))

            rejected.append(sum(pool.map(strip, range(0, ny, _STRIP_ROWS))))
            if drizzle_onto is not None and layer.mosaic is not None:
                drop(
                    layer.mosaic,
                    drizzle_onto,
                    verdict,
                    scale=level.scale,
                    offset=plane,
                    worth=layer.worth,
                    value=tally.value,
                    weight=tally.weight,
                )
    return Stacked(
        image=tally.mean(background_e),
        weight=tally.weight * np.float32(_variance_per_weight(layers)),
        count=tally.count,
        exposure_s=tally.exposure_s,
        low=tally.low,
        high=tally.high,
        mask=tally.mask(),
        background_e=background_e,
        rejected=tuple(rejected),
    )


def _weight(layer: Layer) -> float:
    return layer.worth / ((layer.independent_noise_e or layer.noise_e) * layer.scale) ** 2


def _variance_per_weight(layers: Sequence[Layer]) -> float:
    """What makes the sum of weights the inverse variance of the mean: 1 when all are worth 1."""
    weights = np.array([_weight(layer) for layer in layers])
    worth = np.array([layer.worth for layer in layers])
    return float(weights.sum() / (worth * weights).sum())


def _exposures(layer: Layer, rows: slice) -> NDArray[np.float32]:
    if isinstance(layer.exposure_s, int | float):
        return np.full((1, 1), layer.exposure_s, np.float32)
    return np.ascontiguousarray(layer.exposure_s[rows], np.float32)


def _levelled(layers: Sequence[Layer]) -> tuple[list[Levelled], float]:
    """What brings each layer to the common level, and that level."""
    background_e = float(np.median([layer.background_e * layer.scale for layer in layers]))
    by_own_sky = [
        Levelled(
            layer.image,
            layer.weight,
            layer.scale,
            (background_e - layer.background_e * layer.scale, 0.0, 0.0),
            layer.noise_e * layer.scale,
        )
        for layer in layers
    ]
    return [
        replace(layer, offset=(layer.offset[0] + level, along_x, along_y))
        for layer, (level, along_x, along_y) in zip(
            by_own_sky, shared_levels(by_own_sky), strict=True
        )
    ], background_e
