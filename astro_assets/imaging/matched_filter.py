"""Where in a frame there is light: what lies above the noise of a matched filter.

What belongs here: the sky taken off, the filter, the threshold. What does not: stars (`detect`).

The filter is a Gaussian of 3 px FWHM, 5 × 5.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.background import Background
from astro_assets.imaging.mask import UNUSABLE, MaskBit
from astro_assets.imaging.mesh import spread_row
from astro_assets.imaging.order import quantile
from astro_assets.imaging.profile import GAUSSIAN_FWHM
from astro_assets.imaging.threads import over_rows

_FILTER_FWHM_PX = 3.0
_REACH = 2
_SOME = 64
"""pixels that are looked at together"""
_LEAST_RMS = 0.2
"""of the frame's noise, as in `background`"""
_CORRELATION_PX = 512
_PLAINLY_CORRELATED, _MOST_CORRELATED = 1.1, 4.0
"""Faint stars make independent pixels seem a little correlated."""
_HIDING = int(UNUSABLE & ~MaskBit.SATURATED)
"""A saturated core stays: it is a star."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A frame without its sky.

    light : (ny, nx) float32, electrons above the sky; 0 where ``hidden``
    hidden : (ny, nx) bool, pixels that must not be looked at
    """

    light: NDArray[np.float32]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Above:
    """Pixels whose filtered value is above the threshold, row by row.

    rows, columns : (n,) int32
    height : (n,) float32, in sigmas of the filtered noise
    """

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    height: NDArray[np.float32]


def signal_above(
    image: NDArray[np.float32], mask: NDArray[np.uint8], sky: Background, limit: float
) -> tuple[Signal, Above]:
    """The frame above its sky, what is hidden in it, and where the matched filter sees light.

    Parameters
    ----------
    image : (ny, nx) float32, electrons
    mask : (ny, nx) uint8 with the bits of `MaskBit`
    limit : threshold, in sigmas of independent noise
    """
    image = np.ascontiguousarray(image, np.float32)
    light = np.empty(image.shape, np.float32)
    hidden = np.empty(image.shape, np.bool_)
    parts: dict[int, tuple[Any, Any, Any]] = {}

    def strip(top: int, bottom: int) -> None:
        parts[top] = _strip(
            image, mask, _HIDING, sky.nodes_e, sky.nodes_rms_e, sky.box_px, WEIGHTS,
            limit, _LEAST_RMS * sky.rms_e, top, bottom, light, hidden,
        )  # fmt: skip

    over_rows(strip, image.shape[0])
    pieces = [parts[top] for top in sorted(parts)]
    rows, columns, height = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    return Signal(light, hidden), Above(rows, columns, height)


def noise_correlation(
    image: NDArray[np.float32], mask: NDArray[np.uint8], sky: Background
) -> float:
    """By how much smoothing leaves more noise than it would if pixels were independent.

    They are not in debayered, resampled or smoothed images. Without this, a star of five sigma
    would be one of two or three, and noise would be counted as stars. 1 for independent pixels.
    """
    top, left = (max(0, (side - _CORRELATION_PX) // 2) for side in sky.shape)
    light, filtered, seen = _middle_part(
        np.ascontiguousarray(image, np.float32), mask, _HIDING, sky.nodes_e, sky.box_px, WEIGHTS,
        top, left, min(_CORRELATION_PX, sky.shape[0]), min(_CORRELATION_PX, sky.shape[1]),
    )  # fmt: skip
    before, after = _robust_sigma(light[seen]), _robust_sigma(filtered[seen])
    ratio = after / before if before > 0 else 1.0
    return float(min(ratio, _MOST_CORRELATED)) if ratio > _PLAINLY_CORRELATED else 1.0


def _kernel() -> NDArray[np.float32]:
    """The filter is this line times itself, and normalised so that its own noise is 1."""
    line = np.exp(
        -(np.arange(-_REACH, _REACH + 1) ** 2) / (2 * (_FILTER_FWHM_PX / GAUSSIAN_FWHM) ** 2)
    )
    return np.asarray(line / np.sqrt((line**2).sum()), np.float32)


WEIGHTS = _kernel()


def _robust_sigma(values: NDArray[np.float32]) -> float:
    """From the lower half, which stars do not reach."""
    return quantile(values, 0.5) - quantile(values, 0.1587) if values.size else 0.0


@njit(cache=True, nogil=True)
def _strip(
    image: Any, mask: Any, hiding: int, nodes: Any, nodes_rms: Any, box_px: int, weights: Any,
    limit: float, least_rms: float, top: int, bottom: int, light: Any, hidden: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Rows ``top`` to ``bottom`` of ``light`` and ``hidden``; what is above ``limit`` in them.

    Each row is filtered while its neighbours are in the cache. Those beyond the strip, which is
    another thread's, are made here once more.
    """
    ny, nx = image.shape
    beyond, apart = np.zeros((2 * _REACH, nx), np.float32), np.empty(nx, np.bool_)
    level, noise = np.empty(nx, np.float32), np.empty(nx, np.float32)
    row = np.empty(nx, np.float32)
    across = np.zeros(nx + 2 * _REACH, np.float32)
    room = max(1024, (bottom - top) * nx // 200)
    rows, columns = np.empty(room, np.int32), np.empty(room, np.int32)
    height = np.empty(room, np.float32)
    n = 0
    for made in range(top - _REACH, bottom + _REACH):
        if 0 <= made < ny:
            spread_row(nodes, box_px, made, level)
            if top <= made < bottom:
                _take_off(image[made], mask[made], hiding, level, light[made], hidden[made])
            else:
                kept = made - top + _REACH if made < top else made - bottom + _REACH
                _take_off(image[made], mask[made], hiding, level, beyond[kept], apart)
        y = made - _REACH
        if y < top:
            continue
        _filter_row(light, beyond, weights, y, top, bottom, across, row)
        spread_row(nodes_rms, box_px, y, noise)
        for x in range(nx):
            noise[x] = max(noise[x], np.float32(least_rms))
        if n + nx > len(rows):
            rows, columns, height = _longer(rows), _longer(columns), _longer(height)
        n = _collect(row, noise, np.float32(limit), hidden[y], y, rows, columns, height, n)
    return rows[:n].copy(), columns[:n].copy(), height[:n].copy()


@njit(cache=True, nogil=True)
def _longer(values: Any) -> Any:
    result = np.empty(2 * len(values) + _SOME, values.dtype)
    result[: len(values)] = values
    return result


@njit(cache=True, nogil=True)
def _take_off(image: Any, mask: Any, hiding: int, level: Any, light: Any, hidden: Any) -> None:
    """One row above its sky."""
    for x in range(len(image)):
        value = image[x]
        out = ((mask[x] & hiding) != 0) | (not np.isfinite(value))
        hidden[x] = out
        light[x] = np.float32(0) if out else value - level[x]


@njit(cache=True, nogil=True)
def _line(light: Any, beyond: Any, y: int, top: int, bottom: int) -> Any:
    """A row of the strip, or of what lies beyond it: zeros where there is no frame."""
    if y < top:
        return beyond[y - top + _REACH]
    return light[y] if y < bottom else beyond[y - bottom + _REACH]


@njit(cache=True, nogil=True, fastmath=True)
def _filter_row(
    light: Any, beyond: Any, weights: Any, y: int, top: int, bottom: int, across: Any, row: Any
) -> None:
    """One row of the filtered frame; ``across`` has two more values at either end, zeros."""
    a = _line(light, beyond, y - 2, top, bottom)
    b = _line(light, beyond, y - 1, top, bottom)
    c = light[y]
    d = _line(light, beyond, y + 1, top, bottom)
    e = _line(light, beyond, y + 2, top, bottom)
    far, near, middle = weights[0], weights[1], weights[2]
    nx = len(row)
    for x in range(nx):
        across[x + 2] = far * (a[x] + e[x]) + near * (b[x] + d[x]) + middle * c[x]
    for x in range(nx):
        row[x] = (
            far * (across[x] + across[x + 4])
            + near * (across[x + 1] + across[x + 3])
            + middle * across[x + 2]
        )


@njit(cache=True, nogil=True)
def _middle_part(
    image: Any, mask: Any, hiding: int, nodes: Any, box_px: int, weights: Any,
    top: int, left: int, down: int, across_px: int,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Light, filtered light and what is not hidden of a part of the frame, as if it were alone."""
    light, filtered = (
        np.empty((down, across_px), np.float32),
        np.empty((down, across_px), np.float32),
    )
    hidden = np.empty((down, across_px), np.bool_)
    level = np.empty(image.shape[1], np.float32)
    right = left + across_px
    for y in range(down):
        spread_row(nodes, box_px, top + y, level)
        _take_off(
            image[top + y, left:right], mask[top + y, left:right], hiding, level[left:right],
            light[y], hidden[y],
        )  # fmt: skip
    beyond, across = (
        np.zeros((2 * _REACH, across_px), np.float32),
        np.zeros(across_px + 2 * _REACH, np.float32),
    )
    for y in range(down):
        _filter_row(light, beyond, weights, y, 0, down, across, filtered[y])
    return light, filtered, ~hidden


@njit(cache=True, nogil=True)
def _collect(
    row: Any, noise: Any, limit: Any, hidden: Any, y: int, rows: Any, columns: Any, height: Any,
    n: int,
) -> int:  # fmt: skip
    """Write down what is above ``limit`` sigmas in a row; returns how much there is by then.

    Most pixels are not, which is seen of many at a time.
    """
    for start in range(0, len(row), _SOME):
        stop = min(start + _SOME, len(row))
        if _none_above(row[start:stop], noise[start:stop], limit):
            continue
        for x in range(start, stop):
            if row[x] > limit * noise[x] and not hidden[x]:
                rows[n], columns[n] = y, x
                height[n] = row[x] / noise[x]
                n += 1
    return n


@njit(cache=True, nogil=True)
def _none_above(row: Any, noise: Any, limit: Any) -> bool:
    above = np.int32(0)
    for x in range(len(row)):
        above += np.int32(row[x] > limit * noise[x])
    return bool(above == 0)
