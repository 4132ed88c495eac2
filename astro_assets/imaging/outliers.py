"""What does not belong into a stack: satellites, planes, rays, in layers whose noise is known.

What belongs here: the judgement of one layer's pixels. What does not: what they are judged by
(`expected`), levels and weights (`stack`), sums (`tally`).

A clip that learns the spread of each pixel from its own few values is blind with three of them.
Here the spread follows from the layers' noise, so that three are enough.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.planes import Planes, Strip, Workspace

OUTLIER_SIGMA = 3.5
REACH_PX = 2
"""around an outlier, within which others make it a crowd, and which goes with a crowd"""
_CROWD = 4
BLOCK_PX = 64
"""of a row, that are looked at together for outliers"""


@dataclass(frozen=True, slots=True)
class Levelled:
    """A layer and what brings it to the stack's level: ``image * scale + plane``.

    offset : the plane: at the pixel (0, 0), per pixel along x, per pixel along y; electrons
    noise_e : standard deviation of its background after that
    """

    planes: Planes
    scale: float
    offset: tuple[float, float, float]
    noise_e: float


class Verdict(IntEnum):
    """What is said of one value of a layer."""

    NO_DATA = 0
    KEPT = 1
    HIGH = 2
    LOW = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """What the pixels of some rows are judged by.

    first : the first of the rows
    level : (rows, nx) median of some layers, NaN where fewer than three layers have data
    leeway : (rows, nx) further standard deviation that changing seeing brings, electrons
    variance : of ``level``, in units of a layer's
    """

    first: int
    level: NDArray[np.float32]
    leeway: NDArray[np.float32]
    variance: float


def levelled(
    layer: Levelled, y0: int, y1: int, values: NDArray[np.float32], space: Workspace
) -> Strip | None:
    """A strip of a layer at the stack's level, in ``values``; NaN for what has no weight.

    None where it has no data.
    """
    strip = layer.planes.strip(y0, y1, space)
    if strip is None:
        return None
    _level(strip.image, strip.weight, layer.scale, np.array(layer.offset), y0, values)
    return replace(strip, image=values)


def judge(
    layer: Levelled,
    values: NDArray[np.float32],
    weight: NDArray[np.float32],
    expected: Expected,
    apart: NDArray[np.uint8],
    verdict: NDArray[np.uint8],
    *,
    crowds_only: bool = False,
) -> None:
    """Judge the values of ``expected``'s rows: fill ``verdict`` with a `Verdict` on each.

    A value is an outlier when it differs from the expected by more than `OUTLIER_SIGMA` standard
    deviations of background, photon noise and leeway together. Where several stand together, as
    in a satellite's trail, everything within `REACH_PX` of them goes too: the trail's wings.
    Where nothing is expected, nothing is an outlier. The first and the last 2 `REACH_PX` rows do
    not know of all crowds.

    Parameters
    ----------
    values, weight : (rows, nx), levelled, so that the sky is 0
    apart : (rows, nx), scratch
    crowds_only : let single values pass
    """
    variance = layer.noise_e**2 * (1 + expected.variance)
    _judge(
        values, weight, expected.level, expected.leeway, np.float32(layer.scale),
        np.float32(variance), np.float32(OUTLIER_SIGMA**2), apart, verdict,
    )  # fmt: skip
    _crowds(apart, crowds_only, verdict)


@njit(cache=True, nogil=True, error_model="numpy")
def _level(image: Any, weight: Any, scale: float, offset: Any, first: int, out: Any) -> None:
    by, along = np.float32(scale), np.float32(offset[1])
    for y in range(image.shape[0]):
        begin = np.float32(offset[0] + offset[2] * (first + y))
        line, share, to = image[y], weight[y], out[y]
        if along == 0:
            for x in range(line.size):
                to[x] = line[x] * by + begin if share[x] > 0 else np.float32(np.nan)
        else:
            for x in range(line.size):
                value = line[x] * by + (begin + along * np.float32(np.int32(x)))
                to[x] = value if share[x] > 0 else np.float32(np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(
    values: Any,
    weight: Any,
    level: Any,
    leeway: Any,
    scale: Any,
    variance: Any,
    sigma2: Any,
    apart: Any,
    verdict: Any,
) -> None:
    """Say which values there are, and mark those that stand apart from the expected."""
    none = np.float32(0)
    for y in range(values.shape[0]):
        value, share, usual, more = values[y], weight[y], level[y], leeway[y]
        to, far = verdict[y], apart[y]
        for x in range(value.size):
            signal = max(none, usual[x])
            # Multiplied by the weight, which may be 0.
            spread = variance + share[x] * (signal * scale + more[x] * more[x])
            miss = value[x] - usual[x]
            out = miss * miss * share[x] > sigma2 * spread
            far[x] = (2 if miss > none else 3) if out else 0
            to[x] = 1 if share[x] > none else 0


@njit(cache=True, nogil=True)
def _crowds(apart: Any, crowds_only: bool, verdict: Any) -> None:
    """What stands apart gets its verdict, and what surrounds it in a crowd goes with it."""
    ny, nx = apart.shape
    for y in range(ny):
        for begin in range(0, nx, BLOCK_PX):
            line = apart[y, begin : begin + BLOCK_PX]
            if not any_above(line, 0):
                continue
            for k in range(line.size):
                if line[k] == 0:
                    continue
                if not crowds_only:
                    verdict[y, begin + k] = line[k]
                _with_neighbours(apart, y, begin + k, verdict)


@njit(cache=True, nogil=True)
def _with_neighbours(apart: Any, y: int, x: int, verdict: Any) -> None:
    """What surrounds a pixel goes with it if it stands in a crowd."""
    ny, nx = apart.shape
    top, bottom = max(y - REACH_PX, 0), min(y + REACH_PX + 1, ny)
    left, right = max(x - REACH_PX, 0), min(x + REACH_PX + 1, nx)
    if np.count_nonzero(apart[top:bottom, left:right]) < _CROWD:
        return
    for v in range(top, bottom):
        for u in range(left, right):
            if verdict[v, u] == 1:
                verdict[v, u] = apart[y, x]


@njit(cache=True, nogil=True)
def any_above(values: Any, most: int) -> bool:
    """Whether one of these bytes is larger: a look at many costs what one at a single one does."""
    highest = np.uint8(0)
    for k in range(values.size):
        highest = max(highest, values[k])
    return bool(highest > most)
