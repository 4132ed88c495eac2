"""What is usual around each pixel: level and spread from the medians of tiles.

What belongs here: the neighbourhood against which single pixels and lines are judged, in masters
and frames. What does not: the sky under stars (`background`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TILE = 32
_TINY = np.float32(1e-6)


def surroundings(image: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and standard deviation around each pixel, both (ny, nx) float32.

    Medians and MADs of tiles of `_TILE` pixels, with the median of each 3 × 3 tiles taken, and
    interpolated linearly.

    Parameters
    ----------
    image : (ny, nx), any number type; what is not finite is left out
    """
    ny, nx = image.shape
    pad = ((0, -ny % _TILE), (0, -nx % _TILE))
    padded = np.pad(np.asarray(image, np.float32), pad, mode="symmetric")
    rows, columns = (side // _TILE for side in padded.shape)
    tiles = padded.reshape(rows, _TILE, columns, _TILE).swapaxes(1, 2).reshape(rows, columns, -1)
    tiles = np.where(np.isfinite(tiles), tiles, np.float32(np.nan))
    empty = ~np.isfinite(tiles).any(axis=2)
    tiles[empty] = 0
    level = np.nanmedian(tiles, axis=2)
    spread = 1.4826 * np.nanmedian(np.abs(tiles - level[..., None]), axis=2)
    # A tile that a defect fills must not vouch for itself.
    level = ndimage.median_filter(level, size=3, mode="nearest")
    spread = ndimage.median_filter(spread, size=3, mode="nearest")
    return _spread_out(level, ny, nx), np.maximum(_spread_out(spread, ny, nx), spread.min())


def noise_around(image: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Level and spread as in `surroundings`, the spread no less than whole numbers allow.

    Most pixels of a single dark of a quiet camera have the same count; their MAD is 0.
    """
    level, spread = surroundings(image)
    off = np.asarray(image, np.float32) - level
    low, high = np.nanpercentile(off, (2.3, 97.7))
    return level, np.where(spread > 0, spread, np.float32(high - low) / 4)


def noise_between(image: NDArray[Any]) -> NDArray[np.float32]:
    """Spread from pixel to pixel, so that the edge of a dust shadow does not count."""
    _, difference = surroundings(np.diff(image, axis=1, append=image[:, -2:-1]))
    return np.asarray(difference / np.float32(np.sqrt(2)), np.float32)


def without_vignetting(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """(ny, nx) float32: a flat over a smooth surface, so that no slope is left at its borders.

    A polynomial in both coordinates through the medians of tiles, of a degree that their number
    supports.
    """
    ny, nx = flat.shape
    side = max(min(_TILE, ny // 8, nx // 8), 1)
    rows, columns = ny // side, nx // side
    whole = flat[: rows * side, : columns * side].reshape(rows, side, columns, side)
    medians = np.nan_to_num(np.nanmedian(whole.swapaxes(1, 2).reshape(rows, columns, -1), axis=2))
    degree = next(d for d in (6, 4, 2, 0) if rows * columns >= (d + 1) * (d + 2) or not d)
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in flat.shape)
    centres = side // 2 + side * np.arange(max(rows, columns))
    at_y, at_x = y[centres[:rows]], x[centres[:columns]]
    terms = np.stack([np.outer(at_y**i, at_x**j).ravel() for i, j in powers], axis=1)
    factors, *_ = np.linalg.lstsq(terms, medians.ravel(), rcond=None)
    surface = np.zeros(flat.shape, np.float32)
    for factor, (i, j) in zip(factors.astype(np.float32), powers, strict=True):
        surface += factor * np.outer(y**i, x**j)
    least = np.float32(0.05) * np.abs(np.median(medians)).astype(np.float32)
    return np.asarray(flat / np.maximum(surface, max(least, _TINY)), np.float32)


def _spread_out(tiles: NDArray[Any], ny: int, nx: int) -> NDArray[np.float32]:
    """One value per tile to one per pixel, linear between the centres of the tiles and beyond."""
    down, across = _weights(ny, tiles.shape[0]), _weights(nx, tiles.shape[1])
    return np.asarray(down @ tiles.astype(np.float32) @ across.T, np.float32)


def _weights(n_pixels: int, n_tiles: int) -> NDArray[np.float32]:
    """(n_pixels, n_tiles): how much each tile counts at each pixel."""
    weights = np.zeros((n_pixels, n_tiles), np.float32)
    if n_tiles == 1:
        return weights + 1
    position = (np.arange(n_pixels) + 0.5) / _TILE - 0.5
    left = np.clip(np.floor(position).astype(int), 0, n_tiles - 2)
    weights[np.arange(n_pixels), left] = 1 - (position - left)
    weights[np.arange(n_pixels), left + 1] = position - left
    return weights
