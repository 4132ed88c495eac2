"""The sky of many layers brought to one level by the places that they share.

What belongs here: the plane that each layer needs. What does not: a layer's own sky
(`background`), gradients that all layers have in common.

A layer's own estimate of its sky holds what its tile of a mosaic is full of; where tiles overlap,
the same sky is in both. The planes are those for which the layers differ least from their mean
(least squares; the means are eliminated, so that there are three unknowns per layer).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.layer_medians import block_medians
from astro_assets.imaging.outliers import Levelled
from astro_assets.imaging.planes import Workspace
from astro_assets.imaging.threads import threads

_BLOCK_PX = 16
_EVERY = 2
"""every so manieth row and column of a block tells its level"""
_ROWS_OF_BLOCKS = 24
_FULL = 0.9
"""of a block; else two layers would tell of different parts of it"""
_ROUNDS = 3
_CLIP_SIGMA = 3.0
_LEAST_BLOCKS = 12
"""that a layer shares with others before a slope of it is believed"""
_PRIOR = np.array([1e-6, 0.1, 0.1])
"""Weights of "no change" beside a block's: what nothing ties keeps its own level."""

Plane = tuple[float, float, float]
_Array = NDArray[np.float64]


def shared_levels(layers: Sequence[Levelled]) -> list[Plane]:
    """For each layer the plane to be added: at the pixel (0, 0), per pixel along x, along y.

    The planes' weighted mean is zero; a layer that overlaps with no other gets none.

    Parameters
    ----------
    layers : brought to one level by their own skies
    """
    if len(layers) < 2:
        return [(0.0, 0.0, 0.0)] * len(layers)
    ny, nx = layers[0].planes.shape
    rows, columns = -(-ny // _BLOCK_PX), -(-nx // _BLOCK_PX)
    looked_at = np.arange(0, rows, max(1, rows // _ROWS_OF_BLOCKS))
    n, blocks = len(layers), _levels_of(layers, looked_at)
    weights = np.array([layer.noise_e for layer in layers]) ** -2.0
    weights /= weights.mean()
    basis = _basis(rows, columns, looked_at)
    values = np.nan_to_num(blocks.reshape(n, -1).astype(np.float64))
    used = _shared(np.isfinite(blocks.reshape(n, -1)))
    planes = np.zeros((n, 3))
    for _ in range(_ROUNDS):
        if not used.any():
            break
        planes = _solved(values, used * weights[:, None], weights, basis)
        levelled = values + planes @ basis
        residual = levelled - _means(levelled, used * weights[:, None])
        spread = 1.4826 * float(np.median(np.abs(residual[used])))
        used = _shared(used & (np.abs(residual) <= _CLIP_SIGMA * spread + 1e-9))
    return [_per_pixel(plane, rows, columns) for plane in planes]


def _levels_of(layers: Sequence[Levelled], looked_at: NDArray[np.intp]) -> NDArray[np.float32]:
    """Each layer's blocks' levels, (layers, rows, columns); NaN for those that it does not fill.

    looked_at : which rows of blocks: of large grids some tell enough
    """
    ny, nx = layers[0].planes.shape
    columns = -(-nx // _BLOCK_PX)
    result = np.full((len(layers), len(looked_at), columns), np.nan, np.float32)

    def levels(i: int) -> None:
        layer, space = layers[i], Workspace()
        for number, row in enumerate(looked_at.tolist()):
            y0 = row * _BLOCK_PX
            values = layer.planes.coarse(y0, min(y0 + _BLOCK_PX, ny), _EVERY, space)
            block_medians(values, _BLOCK_PX // _EVERY, _FULL, result[i, number])
        plane = layer.offset[1] * _middles(np.arange(columns))
        plane = plane + layer.offset[2] * _middles(looked_at)[:, None]
        result[i] = result[i] * layer.scale + (layer.offset[0] + plane)

    with ThreadPoolExecutor(threads(), thread_name_prefix="levels") as pool:
        list(pool.map(levels, range(len(layers))))
    return result


def _middles(blocks: NDArray[np.intp]) -> _Array:
    return np.asarray((blocks + 0.5) * _BLOCK_PX - 0.5)


def _shared(used: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the blocks that are used those that at least two layers have."""
    return np.asarray(used & (used.sum(axis=0) >= 2))


def _basis(rows: int, columns: int, looked_at: NDArray[np.intp]) -> _Array:
    """1, x and y at the blocks' centres, from −1 to 1 across the grid: (3, blocks)."""
    y, x = np.meshgrid(looked_at, np.arange(columns), indexing="ij")
    return np.stack(
        [
            np.ones(y.size),
            (2 * x.ravel() + 1) / columns - 1,
            (2 * y.ravel() + 1) / rows - 1,
        ]
    )


def _means(values: _Array, weights: _Array) -> _Array:
    total = weights.sum(axis=0)
    return np.asarray((weights * values).sum(axis=0) / np.where(total > 0, total, 1))


def _solved(values: _Array, weights: _Array, layer_weights: _Array, basis: _Array) -> _Array:
    """The planes (n, 3): normal equations after the blocks' means are eliminated."""
    n = len(values)
    total = np.maximum(weights.sum(axis=0), 1e-300)
    share = weights / total
    away = weights * (values - _means(values, weights))
    matrix = np.empty((3, n, 3, n))
    right = np.empty((3, n))
    for k in range(3):
        right[k] = -(away @ basis[k])
        for m in range(3):
            both = basis[k] * basis[m]
            matrix[k, :, m, :] = -(weights * both) @ share.T
            matrix[k, np.arange(n), m, np.arange(n)] += weights @ both
    blocks = np.count_nonzero(weights, axis=1)
    # By weight, so that where all overlap the weighted mean stays what it was.
    prior = _PRIOR[:, None] * layer_weights
    prior[1:, blocks < _LEAST_BLOCKS] = 1e9
    system = matrix.reshape(3 * n, 3 * n) + np.diag(prior.ravel())
    planes = np.linalg.solve(system, right.ravel()).reshape(3, n).T
    return np.asarray(planes)


def _per_pixel(plane: _Array, rows: int, columns: int) -> Plane:
    """From the basis' units, −1 to 1, to pixels."""
    level, along_x, along_y = plane
    per_x, per_y = 2 * along_x / (columns * _BLOCK_PX), 2 * along_y / (rows * _BLOCK_PX)
    # The pixel (0, 0) lies half a pixel within the edge at −1.
    start = level - along_x - along_y + (per_x + per_y) / 2
    return float(start), float(per_x), float(per_y)
