"""What is usual around each pixel: level and spread from the medians of tiles.

What belongs here: the neighbourhood against which single pixels and lines are judged, in masters
and frames. What does not: the sky under stars (`background`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_TILE = 32


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
