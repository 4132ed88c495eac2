"""Aligned frames into one deep image: normalised, weighted, clipped.

What belongs here: levels, weights, the pass over the layers, and the record of what was used. What
does not: the alignment (`warp`), the outliers (`outliers`), the common level (`levels`), the sums
(`tally`), drops (`drizzle`).

The grid is taken in strips of rows, and in each strip one layer after the other, so that they may
lie in files: memory is that of the stack and a few strips, whatever the number of layers.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.combine import Rows
from astro_assets.imaging.drizzle import LEAST_FRAMES, Mosaic, cover_of, drop
from astro_assets.imaging.expected import MARGIN_PX, Judges
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.levels import shared_levels
from astro_assets.imaging.outliers import Expected, Levelled, judge, levelled
from astro_assets.imaging.planes import Held, Planes, Strip, Workspace
from astro_assets.imaging.tally import Tally
from astro_assets.imaging.threads import threads

_STRIP_ROWS = 128

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Layer:
    """One frame on the common grid.

    planes : its image, weight, mask and exposure
    background_e : its sky level, electrons per grid pixel
    noise_e : standard deviation of its background, electrons
    scale : what brings its star fluxes to those of the others (1 / relative transparency)
    independent_noise_e : noise of a pixel as an aperture sees it, where ``noise_e`` is smaller
        since neighbours share it (debayered planes); weights go by it
    mosaic : the raw pixels, of which this layer is the debayered image
    worth : what its weight is multiplied by beside the inverse variance, as for sharper stars
    """

    planes: Planes
    background_e: float
    noise_e: float
    scale: float = 1.0
    independent_noise_e: float | None = None
    mosaic: Mosaic | None = None
    worth: float = 1.0

    @classmethod
    def held(
        cls,
        image: Rows,
        weight: Rows,
        background_e: float,
        noise_e: float,
        scale: float = 1.0,
        mask: Rows | None = None,
        exposure_s: Rows | float = 0.0,
    ) -> "Layer":
        """A layer of planes (ny, nx) as `warp` makes them; ``exposure_s`` may be one of times."""
        return cls(Held(image, weight, mask, exposure_s), background_e, noise_e, scale)


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
    if len({layer.planes.shape for layer in layers}) > 1:
        raise ValueError("the layers differ in shape")
    at_level, background_e = _levelled(layers)
    judges = Judges(at_level) if len(layers) > 2 else None
    mosaics = [layer.mosaic for layer in layers if layer.mosaic is not None]
    if grid is None or len(mosaics) < len(layers):
        return _summed(layers, at_level, judges, background_e)
    if len(layers) < LEAST_FRAMES:
        debayered = _summed(layers, at_level, judges, background_e)
        return replace(
            debayered,
            method=f"debayered: {len(layers)} frames, and drizzle needs {LEAST_FRAMES}",
        )
    drizzled = _drizzled(layers, at_level, judges, background_e, grid)
    cover = cover_of(drizzled.weight, drizzled.count)
    if cover.serves:
        return replace(drizzled, method=f"Bayer drizzle: {cover}")
    debayered = _summed(layers, at_level, judges, background_e)
    return replace(debayered, method=f"debayered: {cover}")


def _summed(
    layers: Sequence[Layer],
    at_level: Sequence[Levelled],
    judges: Judges | None,
    background_e: float,
) -> Stacked:
    """One pass over the strips: in each, all layers are judged and added."""
    tally = Tally.blank(layers[0].planes.shape)
    weights = [_weight(layer) for layer in layers]
    per_weight = _variance_per_weight(layers)

    def strip(y0: int, y1: int, space: Workspace) -> NDArray[np.int64]:
        sums = tally.rows(y0, y1)
        expected, pilots = (None, []) if judges is None else judges.of(y0, y1, space)
        left_out = np.zeros(len(layers), np.int64)
        for i, layer in enumerate(at_level):
            pilot = None if judges is None else judges.pilots.get(i)
            judged = _judged(
                layer, expected, y0, y1, space, None if pilot is None else pilots[pilot]
            )
            if judged is not None:
                left_out[i] = sums.add(*judged, weights[i])
        sums.finish(background_e, per_weight)
        return left_out

    rejected = np.sum(_over_strips(strip, tally), axis=0)
    return _stacked(tally, background_e, tuple(rejected.tolist()))


def _judged(
    layer: Levelled,
    expected: Expected | None,
    y0: int,
    y1: int,
    space: Workspace,
    known: Strip | None = None,
) -> tuple[Strip, NDArray[np.uint8], int] | None:
    """A layer's rows y0 … y1 at the stack's level, the verdict on them, and how many rows too many
    come first; None where it has no data.

    Parameters
    ----------
    known : the levelled strip of ``expected``'s rows, where somebody has it
    """
    nx = layer.planes.shape[1]
    first, last = (y0, y1) if expected is None else (
        expected.first, expected.first + len(expected.level)
    )  # fmt: skip
    shape = (last - first, nx)
    strip = known
    if strip is None:
        strip = levelled(layer, first, last, space.array("values", shape), space)
    if strip is None:
        return None
    verdict = space.array("verdict", shape, np.uint8)
    if expected is None:
        np.greater(strip.weight, 0, out=verdict.view(bool))
    else:
        apart = space.array("apart", shape, np.uint8)
        judge(layer, strip.image, strip.weight, expected, apart, verdict)
    return strip, verdict, y0 - first


def _drizzled(
    layers: Sequence[Layer],
    at_level: Sequence[Levelled],
    judges: Judges | None,
    background_e: float,
    grid: Grid,
) -> Stacked:
    """One pass over the layers: each is judged, and what passes of its raw pixels is dropped."""
    tally = Tally.blank(layers[0].planes.shape)
    ny, nx = layers[0].planes.shape
    level, leeway = (np.empty((ny, nx), np.float32) for _ in range(2))
    variance = 0.0

    def keep(y0: int, y1: int, space: Workspace) -> float:
        if judges is None:
            return 0.0
        expected, _ = judges.of(y0, y1, space)
        inner = slice(y0 - expected.first, y1 - expected.first)
        level[y0:y1], leeway[y0:y1] = expected.level[inner], expected.leeway[inner]
        return expected.variance

    variance = max(_over_strips(keep, tally))
    verdict = np.zeros((ny, nx), np.uint8)
    rejected = []
    for layer, at in zip(layers, at_level, strict=True):

        def strip(y0: int, y1: int, space: Workspace, at: Levelled = at) -> int:
            first, last = max(y0 - MARGIN_PX, 0), min(y1 + MARGIN_PX, ny)
            known = Expected(first, level[first:last], leeway[first:last], variance)
            judged = _judged(at, None if judges is None else known, y0, y1, space)
            if judged is None:
                verdict[y0:y1] = 0
                return 0
            verdict[y0:y1] = judged[1][judged[2] : judged[2] + y1 - y0]
            return tally.rows(y0, y1).add(*judged, 0.0)

        rejected.append(sum(_over_strips(strip, tally)))
        if layer.mosaic is not None:
            drop(
                layer.mosaic, grid, verdict, scale=at.scale, offset=at.offset, worth=layer.worth,
                value=tally.value, weight=tally.weight,
            )  # fmt: skip
    tally.finish(background_e, _variance_per_weight(layers))
    return _stacked(tally, background_e, tuple(rejected))


def _over_strips(work: Callable[[int, int, Workspace], _Result], tally: Tally) -> list[_Result]:
    """``work(y0, y1, space)`` of each strip, on threads with a workspace of their own."""
    ny = len(tally.value)
    spaces: SimpleQueue[Workspace] = SimpleQueue()
    for _ in range(threads()):
        spaces.put(Workspace())

    def strip(y0: int) -> _Result:
        space = spaces.get()
        try:
            return work(y0, min(y0 + _STRIP_ROWS, ny), space)
        finally:
            spaces.put(space)

    with ThreadPoolExecutor(threads(), thread_name_prefix="stack") as pool:
        return list(pool.map(strip, range(0, ny, _STRIP_ROWS)))


def _stacked(tally: Tally, background_e: float, rejected: tuple[int, ...]) -> Stacked:
    return Stacked(
        image=tally.value,
        weight=tally.weight,
        count=tally.count,
        exposure_s=tally.exposure_s,
        low=tally.low,
        high=tally.high,
        mask=tally.mask,
        background_e=background_e,
        rejected=rejected,
    )


def _weight(layer: Layer) -> float:
    return layer.worth / ((layer.independent_noise_e or layer.noise_e) * layer.scale) ** 2


def _variance_per_weight(layers: Sequence[Layer]) -> float:
    """What makes the sum of weights the inverse variance of the mean: 1 when all are worth 1."""
    weights = np.array([_weight(layer) for layer in layers])
    worth = np.array([layer.worth for layer in layers])
    return float(weights.sum() / (worth * weights).sum())


def _levelled(layers: Sequence[Layer]) -> tuple[list[Levelled], float]:
    """What brings each layer to the common level, and that level."""
    background_e = float(np.median([layer.background_e * layer.scale for layer in layers]))
    by_own_sky = [
        Levelled(
            layer.planes,
            layer.scale,
            # As differences from the common level, so that float32 serves.
            (-layer.background_e * layer.scale, 0.0, 0.0),
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
