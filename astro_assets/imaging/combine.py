"""Many frames into one: the sigma-clipped weighted mean, in strips of rows.

What belongs here: the combination of aligned frames pixel by pixel, for masters and for stacks
alike. What does not: the pixel loops (`clip`), which frames go together, their levels and weights
(`masters`, `stack`).

Memory is bounded by `_STRIP_BYTES` per thread besides the result, whatever the number of frames.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.clip import combine_strip, mad_factors, sorting_network

_THREADS = 2
_STRIP_BYTES = 24_000_000


class Rows(Protocol):
    """A 2-d image that hands out rows: an ndarray, a memmap, a FITS section.

    Several threads slice it at once.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Combined:
    """The outcome of `sigma_clipped_mean`.

    image : (ny, nx) float32, NaN where no input had a value
    count : (ny, nx) uint16, values that went into each pixel
    rejected : values that the clip took away, over all pixels
    weight : (ny, nx) float32, the sum of the weights used; None when none were given
    limits : lowest and highest value used, each (ny, nx) float32, for `rejections`; None unless
        asked for
    """

    image: NDArray[np.float32]
    count: NDArray[np.uint16]
    rejected: int
    weight: NDArray[np.float32] | None = None
    limits: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None


def sigma_clipped_mean(
    frames: Sequence[Rows],
    *,
    weights: Sequence[float] | None = None,
    weight_maps: Sequence[Rows] | None = None,
    masks: Sequence[Rows] | None = None,
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
    tolerance: Rows | None = None,
    sigma: float = 3.0,
    max_iterations: int = 5,
    keep_limits: bool = False,
) -> Combined:
    """Weighted mean of the frames without the values that stand apart.

    The clip of a pixel starts from the median and the MAD (with its correction for few values,
    Croux & Rousseeuw 1992) and goes on with the mean and the standard deviation of what it
    keeps; a value may come back. A spread is never taken to be smaller than the median spread of
    the 256 pixels around in the row: by chance 5 values lie close together often enough to
    cost a good part of the signal to noise otherwise. Nor is it smaller than one step of
    integer data. One or two values are not clipped.

    Parameters
    ----------
    frames : each (ny, nx), any number type; NaN and infinities are left out
    weights : one per frame; relative, as inverse variances are
    weight_maps : (ny, nx) per frame, multiplied onto the weight; zero leaves the pixel out
    masks : (ny, nx) per frame, a value with a non-zero mask is left out
    scales, offsets : one per frame; the value that counts is ``frame * scale + offset``
    tolerance : (ny, nx), a further spread of one standard deviation, in units of the result, that
        is added in quadrature (star cores under changing seeing)
    sigma : half width of the clip in standard deviations
    max_iterations : clips after the first
    keep_limits : fill ``limits``, which `rejections` needs

    Raises
    ------
    NothingToDo : there are no frames
    ValueError : the frames, maps and masks differ in shape or number
    """
    if len(frames) == 0:
        raise NothingToDo("there are no frames to combine")
    _check_shapes(frames, {"masks": masks, "weight_maps": weight_maps}, tolerance)
    all_scales = _per_frame(scales, len(frames), "scales")
    job = _Job(
        frames=frames,
        weights=_per_frame(weights, len(frames), "weights"),
        weight_maps=weight_maps,
        masks=masks,
        scales=all_scales,
        offsets=_per_frame(offsets, len(frames), "offsets", default=0.0),
        tolerance=tolerance,
        least_spread=_step(frames[0]) * float(np.abs(all_scales).max()),
        sigma=sigma,
        max_iterations=max_iterations,
    )
    shape = _shape(frames[0])
    weighted = weights is not None or weight_maps is not None
    out = Combined(
        image=np.empty(shape, np.float32),
        count=np.empty(shape, np.uint16),
        rejected=0,
        weight=np.empty(shape, np.float32) if weighted else None,
        limits=(np.empty(shape, np.float32), np.empty(shape, np.float32)) if keep_limits else None,
    )
    rejected = _run(job, out)
    return Combined(out.image, out.count, rejected, out.weight, out.limits)


def rejections(
    frame: Rows,
    combined: Combined,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    mask: Rows | None = None,
) -> NDArray[np.bool_]:
    """Where the clip rejected this input: (ny, nx) bool.

    Pixels that the mask (or NaN) had left out before the clip are not among them.

    Parameters
    ----------
    frame, scale, offset, mask : as they were given to `sigma_clipped_mean`
    combined : its result, with ``keep_limits=True``

    Raises
    ------
    ValueError : the limits were not kept
    """
    if combined.limits is None:
        raise ValueError("rejections need the limits: combine with keep_limits=True")
    low, high = combined.limits
    values = np.asarray(frame[:], dtype=np.float32) * np.float32(scale) + np.float32(offset)
    outside: NDArray[np.bool_] = np.isfinite(values) & ((values < low) | (values > high))
    if mask is not None:
        outside &= np.asarray(mask[:]) == 0
    return outside


@dataclass(frozen=True, slots=True)
class _Job:
    frames: Sequence[Rows]
    weights: NDArray[np.float32]
    weight_maps: Sequence[Rows] | None
    masks: Sequence[Rows] | None
    scales: NDArray[np.float32]
    offsets: NDArray[np.float32]
    tolerance: Rows | None
    least_spread: float
    sigma: float
    max_iterations: int


def _per_frame(
    values: Sequence[float] | None, n: int, name: str, default: float = 1.0
) -> NDArray[np.float32]:
    array = np.full(n, default, np.float32) if values is None else np.asarray(values, np.float32)
    if array.shape != (n,) or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected {n} finite numbers, one for each frame")
    return array


def _shape(rows: Rows) -> tuple[int, int]:
    if len(rows.shape) != 2:
        raise ValueError(f"expected a 2-d image, found the shape {rows.shape}")
    return rows.shape[0], rows.shape[1]


def _check_shapes(
    frames: Sequence[Rows],
    companions: Mapping[str, Sequence[Rows] | None],
    tolerance: Rows | None,
) -> None:
    shape = _shape(frames[0])
    for name, images in ({"frames": frames} | dict(companions)).items():
        if images is not None and len(images) != len(frames):
            raise ValueError(f"{name}: expected {len(frames)}, found {len(images)}")
        for index, image in enumerate(() if images is None else images):
            if _shape(image) != shape:
                raise ValueError(f"{name}[{index}] is {_shape(image)}, the first frame is {shape}")
    if tolerance is not None and _shape(tolerance) != shape:
        raise ValueError(f"tolerance is {_shape(tolerance)}, the frames are {shape}")


def _step(frame: Rows) -> float:
    """The step of whole-numbered data (16 for 12 bits stored in 16), seen in the middle row."""
    middle = frame.shape[0] // 2
    row = np.asarray(frame[middle : middle + 1], dtype=np.float64).ravel()
    row = row[np.isfinite(row)]
    if row.size == 0 or np.any(row != np.rint(row)) or np.abs(row).max() > 2**52:
        return 0.0
    return float(np.gcd.reduce((row - row[0]).astype(np.int64)) or 1)


def _run(job: _Job, out: Combined) -> int:
    """Two threads take strips in turn: while one computes, the other reads."""
    n = len(job.frames)
    ny, nx = out.image.shape
    planes = n * (1 + (job.weight_maps is not None))
    height = max(1, min(math.ceil(ny / _THREADS), _STRIP_BYTES // (planes * max(nx, 1) * 4)))
    pairs = sorting_network(n)
    spread_factors = mad_factors(n)
    reading = threading.Lock()
    local = threading.local()

    def strip(y0: int) -> int:
        y1 = min(y0 + height, ny)
        if not hasattr(local, "values"):
            local.values = np.empty((n, height, nx), np.float32)
            local.maps = np.empty_like(
                local.values[:, :0] if job.weight_maps is None else local.values
            )
        values, maps, tolerance = _read(job, y0, y1, local.values, local.maps, reading)
        rows = slice(y0, y1)
        nothing = np.empty((0, 0), np.float32)
        return int(
            combine_strip(
                values,
                job.weights,
                maps,
                tolerance,
                pairs,
                spread_factors,
                job.least_spread,
                job.sigma,
                job.max_iterations,
                out.image[rows],
                out.count[rows],
                nothing if out.weight is None else out.weight[rows],
                nothing if out.limits is None else out.limits[0][rows],
                nothing if out.limits is None else out.limits[1][rows],
            )
        )

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="combine") as pool:
        return sum(pool.map(strip, range(0, ny, height)))


def _read(
    job: _Job,
    y0: int,
    y1: int,
    values: NDArray[np.float32],
    maps: NDArray[np.float32],
    reading: threading.Lock,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The strip's values (left out: +inf, which sorts to the end), weight maps and tolerance."""
    values = values[:, : y1 - y0]
    maps = maps[:, : y1 - y0]

    def take(image: Rows) -> Any:
        with reading:
            return image[y0:y1]

    for index, frame in enumerate(job.frames):
        plane = values[index]
        plane[...] = take(frame)
        if job.scales[index] != 1:
            plane *= job.scales[index]
        if job.offsets[index] != 0:
            plane += job.offsets[index]
        if job.masks is not None:
            plane[np.asarray(take(job.masks[index])) != 0] = np.inf
        if job.weight_maps is not None:
            maps[index] = take(job.weight_maps[index])
            plane[~(maps[index] > 0)] = np.inf
        if job.weights[index] <= 0:
            plane[...] = np.inf
    if job.tolerance is None:
        tolerance = np.empty((0, 0), np.float32)
    else:
        tolerance = np.ascontiguousarray(take(job.tolerance), dtype=np.float32)
    return values, maps, tolerance
