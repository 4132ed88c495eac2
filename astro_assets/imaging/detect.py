"""Where in a frame there is light: peaks above the noise of a matched filter.

What belongs here: the sky taken off, the filter, what lies above the threshold. What does not:
telling one peak from the next (`watershed`), measuring what was found (`stars`, `moments`,
`aperture`).

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
from astro_assets.imaging.profile import GAUSSIAN_FWHM
from astro_assets.imaging.threads import over_rows
from astro_assets.imaging.watershed import peak_sums, watershed

_FILTER_FWHM_PX = 3.0
_REACH = 2
_LEAST_PIXELS = 5
_CORRELATION_PX = 512
_PLAINLY_CORRELATED, _MOST_CORRELATED = 1.1, 4.0
"""Faint stars make independent pixels seem a little correlated."""
_HIDING = int(UNUSABLE & ~MaskBit.SATURATED)
"""A saturated core stays: it is a star."""
_SATURATED = int(MaskBit.SATURATED)
_SATURATED_SHARE = 0.95
_NEAR_PX = 2


@dataclass(frozen=True, slots=True)
class Signal:
    """A frame without its sky.

    light : (ny, nx) float32, electrons above the sky; 0 where ``hidden``
    hidden : (ny, nx) bool, pixels that must not be looked at
    """

    light: NDArray[np.float32]
    hidden: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Peaks:
    """One value per peak, float64.

    x, y : 0-based centre of its light
    sigma_px : geometric mean of its axes, of what is above the threshold
    peak_e : highest pixel above the sky
    peak_x, peak_y : where the filtered frame is highest
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    sigma_px: NDArray[np.float64]
    peak_e: NDArray[np.float64]
    peak_x: NDArray[np.float64]
    peak_y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.x)


def signal_of(image: NDArray[np.float32], mask: NDArray[np.uint8], sky: Background) -> Signal:
    """The frame above its sky, and what is hidden in it.

    Parameters
    ----------
    image : (ny, nx) float32, electrons
    mask : (ny, nx) uint8 with the bits of `MaskBit`
    """
    image = np.ascontiguousarray(image, np.float32)
    light = np.empty(image.shape, np.float32)
    hidden = np.empty(image.shape, np.bool_)
    over_rows(
        lambda top, bottom: _take_off(
            image, mask, _HIDING, sky.nodes_e, sky.box_px, top, bottom, light, hidden
        ),
        image.shape[0],
    )
    return Signal(light, hidden)


def noise_correlation(signal: Signal, sky: Background) -> float:
    """By how much smoothing leaves more noise than it would if pixels were independent.

    They are not in debayered, resampled or smoothed images. Without this, a star of five sigma
    would be one of two or three, and noise would be counted as stars. 1 for independent pixels.
    """
    top, left = (max(0, (side - _CORRELATION_PX) // 2) for side in sky.shape)
    part = np.s_[top : top + _CORRELATION_PX, left : left + _CORRELATION_PX]
    light, seen = np.ascontiguousarray(signal.light[part]), ~signal.hidden[part]
    before = _robust_sigma(light[seen])
    filtered = np.zeros_like(light)
    _filter_rows(light, _WEIGHTS, 0, light.shape[0], filtered)
    after = _robust_sigma(filtered[seen])
    ratio = after / before if before > 0 else 1.0
    return float(min(ratio, _MOST_CORRELATED)) if ratio > _PLAINLY_CORRELATED else 1.0


def find_peaks(
    signal: Signal,
    sky: Background,
    *,
    gain: float,
    correlation: float,
    threshold_sigma: float,
) -> Peaks:
    """Peaks of at least five pixels above the noise of the matched filter.

    Parameters
    ----------
    gain : electrons per unit of the image, for the photon noise at saddles
    correlation : from `noise_correlation`
    """
    rows, columns, height = _above(signal, sky, threshold_sigma * correlation)
    order = np.argsort(height)[::-1]
    photons = 1 / (float(_WEIGHTS.sum()) ** 2 * gain * sky.rms_e)
    owner = watershed(rows, columns, height, order, correlation, photons)
    n, sums = peak_sums(rows, columns, height, owner, signal.light)
    keep = n >= _LEAST_PIXELS
    sums = sums[keep]
    x, y = sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
    xx = np.maximum(sums[:, 3] / sums[:, 0] - x**2, 1 / 12)
    yy = np.maximum(sums[:, 4] / sums[:, 0] - y**2, 1 / 12)
    xy = sums[:, 5] / sums[:, 0] - x * y
    sigma = np.maximum(xx * yy - xy**2, 1 / 16) ** 0.25
    return Peaks(x, y, sigma, sums[:, 6], sums[:, 7], sums[:, 8])


def near_saturation(
    image: NDArray[np.float32],
    mask: NDArray[np.uint8],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    saturation_e: float | None,
) -> NDArray[np.bool_]:
    """(n,) bool: positions with a saturated pixel within two pixels.

    A pixel is saturated when its mask says so, which is known from the raw data; or when it comes
    within 5 % of ``saturation_e``, where that is known.
    """
    level = np.inf if saturation_e is None else _SATURATED_SHARE * saturation_e
    return np.asarray(_any_saturated(image, mask, x, y, level))


def _kernel() -> NDArray[np.float32]:
    """The filter is this line times itself, and normalised so that its own noise is 1."""
    line = np.exp(
        -(np.arange(-_REACH, _REACH + 1) ** 2) / (2 * (_FILTER_FWHM_PX / GAUSSIAN_FWHM) ** 2)
    )
    return np.asarray(line / np.sqrt((line**2).sum()), np.float32)


_WEIGHTS = _kernel()


def _robust_sigma(values: NDArray[np.float32]) -> float:
    """From the lower half, which stars do not reach."""
    low, middle = np.percentile(values, [15.87, 50]) if values.size else (0.0, 0.0)
    return float(middle - low)


def _above(
    signal: Signal, sky: Background, limit: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Pixels whose filtered value is above ``limit`` sigmas: rows, columns, values; row by row."""
    parts: dict[int, tuple[Any, Any, Any]] = {}

    def strip(top: int, bottom: int) -> None:
        room = max(4096, (bottom - top) * sky.shape[1] // 20)
        while True:
            rows, columns = np.empty(room, np.int32), np.empty(room, np.int32)
            height = np.empty(room, np.float32)
            n = _collect(
                signal.light, signal.hidden, _WEIGHTS, sky.nodes_rms_e, sky.box_px,
                0.2 * sky.rms_e, limit, top, bottom, rows, columns, height,
            )  # fmt: skip
            if n <= room:
                parts[top] = rows[:n], columns[:n], height[:n]
                return
            room = n

    over_rows(strip, sky.shape[0])
    pieces = [parts[top] for top in sorted(parts)]
    rows, columns, height = (np.concatenate([piece[i] for piece in pieces]) for i in range(3))
    return rows, columns, height


@njit(cache=True, nogil=True)
def _take_off(
    image: Any, mask: Any, hiding: int, nodes: Any, box_px: int, top: int, bottom: int,
    light: Any, hidden: Any,
) -> None:  # fmt: skip
    level = np.empty(image.shape[1], np.float32)
    for y in range(top, bottom):
        spread_row(nodes, box_px, y, level)
        for x in range(image.shape[1]):
            value = image[y, x]
            out = (mask[y, x] & hiding) != 0 or not np.isfinite(value)
            hidden[y, x] = out
            light[y, x] = np.float32(0) if out else value - level[x]


@njit(cache=True, nogil=True, fastmath=True)
def _filter_row(light: Any, weights: Any, y: int, across: Any, row: Any) -> None:
    """One row of the filtered frame; beyond the borders there is no light."""
    ny, nx = light.shape
    reach = len(weights) // 2
    for x in range(nx):
        across[x] = 0
    for k in range(-reach, reach + 1):
        if 0 <= y + k < ny:
            weight = weights[k + reach]
            for x in range(nx):
                across[x] += weight * light[y + k, x]
    for x in range(nx):
        row[x] = weights[reach] * across[x]
    for k in range(1, reach + 1):
        weight = weights[reach + k]
        for x in range(nx - k):
            row[x] += weight * across[x + k]
        for x in range(k, nx):
            row[x] += weight * across[x - k]


@njit(cache=True, nogil=True)
def _filter_rows(light: Any, weights: Any, top: int, bottom: int, filtered: Any) -> None:
    across = np.empty(light.shape[1], np.float32)
    for y in range(top, bottom):
        _filter_row(light, weights, y, across, filtered[y])


@njit(cache=True, nogil=True)
def _collect(
    light: Any, hidden: Any, weights: Any, nodes: Any, box_px: int, least_rms: float,
    limit: float, top: int, bottom: int, rows: Any, columns: Any, height: Any,
) -> int:  # fmt: skip
    """Write down what is above ``limit`` sigmas; returns how much there is, whatever the room."""
    nx = light.shape[1]
    across, row, rms = (
        np.empty(nx, np.float32), np.empty(nx, np.float32), np.empty(nx, np.float32),
    )  # fmt: skip
    n = 0
    for y in range(top, bottom):
        _filter_row(light, weights, y, across, row)
        spread_row(nodes, box_px, y, rms)
        for x in range(nx):
            if row[x] > limit * max(rms[x], least_rms) and not hidden[y, x]:
                if n < len(rows):
                    rows[n], columns[n] = y, x
                    height[n] = row[x] / max(rms[x], least_rms)
                n += 1
    return n


@njit(cache=True, nogil=True)
def _any_saturated(image: Any, mask: Any, x: Any, y: Any, level: float) -> Any:
    ny, nx = image.shape
    found = np.zeros(len(x), np.bool_)
    for k in range(len(x)):
        column, row = round(x[k]), round(y[k])
        for j in range(max(0, row - _NEAR_PX), min(ny, row + _NEAR_PX + 1)):
            for i in range(max(0, column - _NEAR_PX), min(nx, column + _NEAR_PX + 1)):
                if mask[j, i] & _SATURATED or image[j, i] >= level:
                    found[k] = True
    return found
