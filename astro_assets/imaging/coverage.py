"""The part of a stack that is worth showing.

What belongs here: the rectangle that frames cover well. What does not: the picture (`color`,
`stretch`).
"""

import numpy as np
from numpy.typing import NDArray

_HALF = 0.5
"""of the typical weight, and more: well covered"""
_GOOD = 0.6
"""of a cell's pixels well covered: the cell is, so that traces of bad lines do not cut it"""
_CELLS = 100
"""along the longer side, at most"""


def well_covered(
    weight: NDArray[np.float32], step: tuple[int, int] = (1, 1), shape: tuple[int, int] = (0, 0)
) -> tuple[slice, slice]:
    """Rows and columns of the largest rectangle that frames cover well: what a picture shows.

    Frames that lie turned to one another leave empty corners and thin edges; none of them is in
    it.

    Parameters
    ----------
    weight : (ny, nx), of a `Stacked`; or one value for each ``step`` rows and columns of it
    shape : (ny, nx) of the stack, where it is not that of ``weight``
    """
    ny, nx = shape if any(shape) else weight.shape
    seen = weight[weight > 0]
    if seen.size == 0:
        return slice(0, ny), slice(0, nx)
    good = weight >= np.float32(np.median(seen) * _HALF)
    side = max(1, -(-max(ny, nx) // _CELLS))
    cells = good.astype(np.float32)
    for axis, (every, length) in enumerate(zip(step, (ny, nx), strict=True)):
        cells = _cell_means(cells, axis, every, side, length // side)
    y0, y1, x0, x1 = _largest_rectangle(cells >= _GOOD)
    if (y1 - y0) * (x1 - x0) == 0:
        return slice(0, ny), slice(0, nx)
    return slice(y0 * side, y1 * side), slice(x0 * side, x1 * side)


def _cell_means(
    values: NDArray[np.float32], axis: int, step: int, side: int, cells: int
) -> NDArray[np.float32]:
    """Means along an axis of what lies in each cell of ``side`` pixels, of values ``step`` apart.

    A cell between two values takes the next one.
    """
    if cells == 0:
        return values.take([], axis)
    middle = np.arange(values.shape[axis]) * step + step // 2
    edges = np.searchsorted(middle, np.arange(cells + 1) * side)
    first = np.minimum(edges[:-1], values.shape[axis] - 1)
    values = np.take(values, np.arange(max(int(edges[-1]), int(first[-1]) + 1)), axis)
    sums = np.add.reduceat(values, first, axis)
    counts = np.maximum(np.diff(edges), 1)
    return np.asarray(sums / (counts[:, None] if axis == 0 else counts), np.float32)


def _largest_rectangle(good: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First and one past the last row, then column, of the largest rectangle of True.

    The largest under the histogram of heights above each row, with a stack of open bars.
    """
    best = (0, 0, 0, 0)
    most = 0
    heights = np.zeros(good.shape[1] + 1, int)
    for y, row in enumerate(good):
        heights[:-1] = np.where(row, heights[:-1] + 1, 0)
        open_bars: list[tuple[int, int]] = []
        for x, height in enumerate(heights.tolist()):
            begin = x
            while open_bars and open_bars[-1][1] >= height:
                begin, bar = open_bars.pop()
                if bar * (x - begin) > most:
                    most = bar * (x - begin)
                    best = (y + 1 - bar, y + 1, begin, x)
            open_bars.append((begin, height))
    return best
