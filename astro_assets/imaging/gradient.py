"""A slope of the sky, found beside nebulae and not below them, and taken out.

What belongs here: gradients that are to go from a picture. What does not: the sky for finding and
measuring stars (`background`), which follows everything that is wider than a box, nebulae too.

A surface that is a polynomial of low order cannot follow a nebula; what remains is to keep the
nebula from lifting it. The levels of small boxes are clipped of stars; the surface is fitted again
and again to the boxes that do not stand above it, so that it sinks to the sky, and in the end to
those that do not stand above it with their neighbours, either, in whom faint light adds up.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astro_assets.imaging.mask import UNUSABLE

_BOXES_ACROSS = 32
_SMALLEST_BOX_PX, _LARGEST_BOX_PX = 8, 64
_SAMPLES_OF_A_BOX = 256
_LEAST_SHARE_OF_A_BOX = 0.3
_STARS_SIGMA, _HOLES_SIGMA = 2.0, 3.0
_ABOVE_SIGMA, _BELOW_SIGMA = 2.0, 5.0
_NEIGHBOURHOODS = (1, 3, 5, 9)
"""boxes across, over which faint light adds up"""
_ROUNDS, _ROUNDS_ALONE = 40, 12
_WORST_ERROR = 1.0
"""of the surface anywhere, in units of a box's noise, or it would be guessed there"""

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gradient:
    """A surface through the sky: a polynomial in x and y that count from -1 to 1.

    order : of the polynomial; 0 where too little sky is to be seen for a slope
    terms_e : electrons, of the powers in `_powers`
    sky_share : of the boxes that it rests on
    peak_to_peak_e : between its highest and its lowest point
    """

    shape: tuple[int, int]
    order: int
    terms_e: tuple[float, ...]
    sky_share: float
    peak_to_peak_e: float


def find_gradient(image: NDArray[np.float32], mask: NDArray[np.uint8], order: int) -> Gradient:
    """Fit a surface to what is sky.

    Parameters
    ----------
    image : (ny, nx) float32, electrons; what is not finite counts as masked
    mask : (ny, nx) uint8 with the bits of `MaskBit`
    order : 1 for a plane, 2 or 3 for a curved surface; less is taken where the sky that is seen
        does not carry it
    """
    shape = (image.shape[0], image.shape[1])
    level, y, x = _boxes(image, mask)
    # A plane's sky is sought with a bend, too: what bends is sky, what stands above it is not.
    for seeking in range(max(order, 2), 0, -1):
        sky = _sky(level, x, y, seeking)
        if not _carries(sky, x, y, seeking):
            continue
        lower = min(order, seeking)
        design = _terms(x, y, lower)
        terms = _least_squares(design[sky], level[sky])
        span = float(np.ptp(design @ terms))
        return Gradient(shape, lower, tuple(terms.tolist()), float(sky.mean()), span)
    return Gradient(shape, 0, (0.0,), 0.0, 0.0)


def without_gradient(image: NDArray[np.float32], gradient: Gradient) -> NDArray[np.float32]:
    """``image`` less the surface's slope; its level, which is the surface's mean, stays."""
    if gradient.order == 0:
        return image.copy()
    return np.asarray(image - slope_of(gradient, 0, gradient.shape[0]))


def slope_of(gradient: Gradient, y0: int, y1: int) -> NDArray[np.float32]:
    """The rows y0 … y1 of the surface less its mean, (rows, nx)."""
    ny, nx = gradient.shape
    x, y = np.linspace(-1, 1, nx), np.linspace(-1, 1, ny)
    # A polynomial in x and y is, row by row, one in x alone.
    by_power = np.zeros((gradient.order + 1, ny))
    for term, (p, q) in zip(gradient.terms_e, _powers(gradient.order), strict=True):
        by_power[p] += term * y**q
    powers = np.array([x**p for p in range(gradient.order + 1)])
    mean = by_power.mean(axis=1) @ powers.mean(axis=1)
    return np.asarray(by_power[:, y0:y1].T @ powers - mean, np.float32)


def _boxes(image: NDArray[np.float32], mask: NDArray[np.uint8]) -> tuple[_Array, _Array, _Array]:
    """Level of each box without its stars, NaN where too little is usable; and where its middle is.

    All (rows, columns).
    """
    ny, nx = image.shape
    box = int(np.clip(min(ny, nx) // _BOXES_ACROSS, _SMALLEST_BOX_PX, _LARGEST_BOX_PX))
    box = min(box, ny, nx)
    rows, columns = ny // box, nx // box
    every = max(1, int(np.sqrt(box * box / _SAMPLES_OF_A_BOX)))
    top, left = (ny - rows * box) // 2, (nx - columns * box) // 2
    inside = np.s_[top : top + rows * box, left : left + columns * box]
    usable = ((mask[inside] & np.uint8(UNUSABLE)) == 0) & np.isfinite(image[inside])
    values = np.where(usable, image[inside], np.float32(np.nan))
    cells = values.reshape(rows, box, columns, box)[:, ::every, :, ::every]
    samples = cells.transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    level = _clipped_level(samples).reshape(rows, columns)
    middle_y = (top + (np.arange(rows) + 0.5) * box - 0.5) / (max(ny - 1, 1) / 2) - 1
    middle_x = (left + (np.arange(columns) + 0.5) * box - 0.5) / (max(nx - 1, 1) / 2) - 1
    y, x = np.meshgrid(middle_y, middle_x, indexing="ij")
    return level, y, x


def _clipped_level(samples: NDArray[np.float32]) -> _Array:
    """Mean of each row's sky pixels, without the stars above them; (n,)."""
    ordered = np.sort(samples, axis=1).astype(np.float64)  # NaN come last
    count = np.isfinite(ordered).sum(axis=1)
    enough = count >= max(_LEAST_SHARE_OF_A_BOX * samples.shape[1], 8)
    position = np.arange(samples.shape[1])
    low, high = np.zeros(len(ordered)), count.astype(np.float64)
    for _ in range(6):
        # Of what is kept, the median, and the width of its lower half: stars do not widen that.
        middle = _at(ordered, (low + high - 1) / 2)
        sigma = (middle - _at(ordered, low + 0.1587 * (high - low))) + 1e-9
        kept = (ordered >= (middle - _HOLES_SIGMA * sigma)[:, None]) & (
            ordered <= (middle + _STARS_SIGMA * sigma)[:, None]
        )
        low, high = kept.argmax(axis=1).astype(np.float64), low * 0
        high = np.where(kept, position + 1, 0).max(axis=1).astype(np.float64)
    # Both sides equally far, so that the clip itself does not move the mean.
    kept &= ordered >= (middle - _STARS_SIGMA * sigma)[:, None]
    total = np.where(kept, ordered, 0.0).sum(axis=1)
    return np.where(enough, total / np.maximum(kept.sum(axis=1), 1), np.nan)


def _at(ordered: _Array, position: _Array) -> _Array:
    """The values at these places of each row."""
    place = np.clip(np.rint(position), 0, ordered.shape[1] - 1).astype(np.intp)
    return np.asarray(ordered[np.arange(len(ordered)), place])


def _sky(level: _Array, x: _Array, y: _Array, order: int) -> NDArray[np.bool_]:
    """Which boxes show nothing but sky, if that is a surface of this order."""
    design = _terms(x, y, order)
    usable = np.isfinite(level)
    values = np.where(usable, level, 0.0)
    terms = _least_squares(design[usable], values[usable])
    noise = _noise(level)
    sky = usable
    for number in range(_ROUNDS):
        off = np.where(usable, values - design @ terms, 0.0)
        if number < _ROUNDS_ALONE:
            now = usable & (off < _ABOVE_SIGMA * noise)
        else:
            now = usable & (np.abs(off - np.median(off[sky])) < _BELOW_SIGMA * noise)
            for across in _NEIGHBOURHOODS:
                now &= _not_above(_around(off, usable, across), sky, noise / across)
        settled = number > _ROUNDS_ALONE and np.array_equal(now, sky)
        sky = now
        if settled or sky.sum() < 3 * design.shape[-1]:
            break
        terms = _least_squares(design[sky], values[sky])
    return sky


def _not_above(off: _Array, sky: NDArray[np.bool_], noise: float) -> NDArray[np.bool_]:
    """What does not stand above what counts as sky so far, by its own spread below its middle.

    That is more than noise where the true sky has more bends than the surface.
    """
    low, middle = np.quantile(off[sky], [0.16, 0.5])
    return np.asarray(off < middle + _ABOVE_SIGMA * max(noise, middle - low))


def _least_squares(design: _Array, values: _Array) -> _Array:
    return np.asarray(np.linalg.lstsq(design, values, rcond=None)[0], dtype=np.float64)


def _noise(level: _Array) -> float:
    """Standard deviation of one box, from neighbours, so that neither slope nor nebula counts."""
    apart = np.concatenate(
        [(level[:, 2:] + level[:, :-2] - 2 * level[:, 1:-1]).ravel(),
         (level[2:] + level[:-2] - 2 * level[1:-1]).ravel()]
    )  # fmt: skip
    apart = apart[np.isfinite(apart)]
    if not len(apart):
        return 1e-6
    # The quieter half is the sky's, where a nebula has structure.
    return float(np.quantile(np.abs(apart), 0.3) / (0.3853 * np.sqrt(6)) + 1e-6)


def _around(off: _Array, usable: NDArray[np.bool_], across: int) -> _Array:
    """Mean of the usable boxes around each."""
    total = ndimage.uniform_filter(off, across, mode="constant")
    share = ndimage.uniform_filter(usable.astype(np.float64), across, mode="constant")
    return np.asarray(total / np.maximum(share, 1e-3) * np.sqrt(np.maximum(share, 1e-3)))


def _carries(sky: NDArray[np.bool_], x: _Array, y: _Array, order: int) -> bool:
    """Whether the sky that is seen determines the surface all over the frame."""
    design = _terms(x, y, order)
    rows = design[sky]
    if len(rows) < 3 * design.shape[-1]:
        return False
    spread = design @ np.linalg.pinv(rows.T @ rows)
    return bool((spread * design).sum(axis=-1).max() < _WORST_ERROR**2)


def _powers(order: int) -> list[tuple[int, int]]:
    return [(total - q, q) for total in range(order + 1) for q in range(total + 1)]


def _terms(x: _Array, y: _Array, order: int) -> _Array:
    """(..., terms): the powers of x and y."""
    return np.stack([x**p * y**q for p, q in _powers(order)], axis=-1)
