"""Many frames into one: the sigma-clipped weighted mean, in strips of rows.

What belongs here: the combination of aligned frames pixel by pixel. What does not: the pixel loops
(`clip`), which frames go together, their levels and weights (`masters`).

Memory is bounded by `_STRIP_BYTES` per thread besides the result, whatever the number of frames.
"""

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import NothingToDo
from astro_assets.imaging.clip import (
    combine_counts,
    combine_values,
    mad_factors,
    sorting_network,
)
from astro_assets.imaging.threads import threads

_STRIP_BYTES = 2_000_000
"""It is to stay in the processor's cache between reading and combining."""


class Rows(Protocol):
    """A 2-d image that hands out rows: an ndarray, a memmap, a FITS section.

    Several threads slice it at once.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> Any: ...


@runtime_checkable
class WordRows(Protocol):
    """Rows of 16-bit counts that can also be had as FITS writes them: signed words, 32768 less than
    the count, the high byte first. The kernels turn them round on the way.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: slice, /) -> Any: ...

    def read_words(self, rows: slice, into: NDArray[np.uint16], /) -> None:
        """Fill (rows, nx) contiguous words, bits as they are in the file."""
        ...


@dataclass(frozen=True, slots=True)
class Combined:
    """The outcome of `sigma_clipped_mean`.

    image : (ny, nx) float32, NaN where no input had a value
    count : (ny, nx) uint16, values that went into each pixel
    rejected : values that the clip took away, over all pixels
    """

    image: NDArray[np.float32]
    count: NDArray[np.uint16]
    rejected: int


@dataclass(frozen=True, slots=True)
class Correction:
    """What is done with the values of a frame before they are combined.

    ``(value - bias - dark * dark_factor) * scale``

    bias, dark : (ny, nx), or None
    dark_factors : (n,), one per frame
    scales : (n, 2, 2), for the pixels [y % 2, x % 2] of a 2 × 2 cell
    """

    bias: Rows | None
    dark: Rows | None
    dark_factors: NDArray[np.float32]
    scales: NDArray[np.float32]


def sigma_clipped_mean(
    frames: Sequence[Rows],
    *,
    weights: Sequence[float] | None = None,
    correction: Correction | None = None,
    less: Rows | None = None,
    sigma: float = 3.0,
    max_iterations: int = 5,
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
    weights : one per frame, above 0; relative, as inverse variances are
    correction : comes before the clip
    less : (ny, nx), taken off the mean
    sigma : half width of the clip in standard deviations
    max_iterations : clips after the first

    Raises
    ------
    NothingToDo : there are no frames
    ValueError : the frames differ in shape, or the weights in number
    """
    if len(frames) == 0:
        raise NothingToDo("there are no frames to combine")
    shape = _shape(frames[0])
    for index, frame in enumerate(frames):
        if _shape(frame) != shape:
            raise ValueError(f"frames[{index}] is {_shape(frame)}, the first frame is {shape}")
    corrected = correction is not None
    job = _Job(
        frames=frames,
        plain=weights is None and not corrected,
        kind=kind_of(frames),
        weights=_weights(weights, len(frames)),
        correction=correction or _no_correction(len(frames)),
        less=less,
        # What is corrected has fractions.
        least_spread=0.0 if corrected else _step(frames[0]),
        sigma=float(sigma),
        max_iterations=max_iterations,
    )
    out = Combined(np.empty(shape, np.float32), np.empty(shape, np.uint16), 0)
    return Combined(out.image, out.count, _run(job, out))


@dataclass(frozen=True, slots=True)
class _Job:
    """plain : neither weights nor a correction. kind : of the frames' pixels as they are read"""

    frames: Sequence[Rows]
    plain: bool
    kind: str
    weights: NDArray[np.float32]
    correction: Correction
    less: Rows | None
    least_spread: float
    sigma: float
    max_iterations: int


def _no_correction(n: int) -> Correction:
    return Correction(None, None, np.ones(n, np.float32), np.ones((n, 2, 2), np.float32))


def _weights(weights: Sequence[float] | None, n: int) -> NDArray[np.float32]:
    array = np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32)
    if array.shape != (n,) or not (np.isfinite(array) & (array > 0)).all():
        raise ValueError(f"weights: expected {n} numbers above 0, one for each frame")
    return array


def _shape(rows: Rows) -> tuple[int, int]:
    if len(rows.shape) != 2:
        raise ValueError(f"expected a 2-d image, found the shape {rows.shape}")
    return rows.shape[0], rows.shape[1]


def kind_of(frames: Sequence[Rows]) -> str:
    """What `read_rows` gets of the frames: words, counts, or values."""
    if all(isinstance(frame, WordRows) for frame in frames):
        return "words"
    kinds = {np.asarray(frame[0:1]).dtype.newbyteorder("=") for frame in frames}
    return "counts" if kinds == {np.dtype(np.uint16)} else "values"


def read_rows(frames: Sequence[Rows], rows: slice, words: bool, into: NDArray[Any]) -> None:
    """Fill (n, rows, nx), of all frames; float32 unless all are of 16 bits.

    words : as they are in the files, which all frames then can give
    """
    for index, frame in enumerate(frames):
        if words and isinstance(frame, WordRows):
            frame.read_words(rows, into[index])
        else:
            into[index] = frame[rows]


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
    dtype = np.dtype(np.float32 if job.kind == "values" else np.uint16)
    height = _STRIP_BYTES // (n * max(nx, 1) * dtype.itemsize)
    height = max(1, min(math.ceil(ny / threads()), height))
    pairs, factors = sorting_network(n), mad_factors(n)
    floor, sigma, rounds = job.least_spread, job.sigma, job.max_iterations
    words = job.kind == "words"
    local = threading.local()

    def strip(y0: int) -> int:
        rows = slice(y0, min(y0 + height, ny))
        if not hasattr(local, "values"):
            local.values = np.empty(n * height * nx, dtype)
        lines = rows.stop - y0
        values = local.values[: n * lines * nx].reshape(n, lines, nx)
        read_rows(job.frames, rows, words, values)
        image, count = out.image[rows], out.count[rows]
        rejected = combined(values, y0, rows, image, count)
        if job.less is not None:
            image -= _strip_of(job.less, rows, nx)
        return rejected

    def combined(values: Any, y0: int, rows: slice, image: Any, count: Any) -> int:
        if job.plain and dtype == np.uint16:
            return int(
                combine_counts(values, words, pairs, factors, floor, sigma, rounds, image, count)
            )
        bias, dark = (_strip_of(m, rows, nx) for m in (job.correction.bias, job.correction.dark))
        dark_factors, scales = job.correction.dark_factors, job.correction.scales
        return int(
            combine_values(
                values, words, bias, dark, dark_factors, scales, y0,
                job.weights, pairs, factors, floor, sigma, rounds, image, count,
            )
        )  # fmt: skip

    with ThreadPoolExecutor(threads(), thread_name_prefix="combine") as pool:
        return sum(pool.map(strip, range(0, ny, height)))


def _strip_of(master: Rows | None, rows: slice, nx: int) -> NDArray[np.float32]:
    if master is None:
        return np.zeros((rows.stop - rows.start, nx), np.float32)
    return np.ascontiguousarray(master[rows], dtype=np.float32)
