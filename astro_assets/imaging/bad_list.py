"""Bad pixels as a person writes them: columns, rows and rectangles.

What belongs here: such a list as a mask, and a mask as such a list. What does not: the file that it
stands in (`steps`), finding bad pixels (`bad_pixels`).

Numbers count from 1, and ends are included, as in the FITS headers and viewers that they are read
from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rectangle = tuple[int, int, int, int]
"""first row, last row, first column, last column"""
_LONG = 8
"""pixels along a column that make a strip of their own"""


@dataclass(frozen=True, slots=True)
class BadList:
    """Whole columns, whole rows, and rectangles."""

    columns: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    rectangles: tuple[Rectangle, ...] = ()


def as_mask(listed: BadList, shape: tuple[int, int]) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """(ny, nx) bool, and a clause for each entry that lies outside of the image.

    Of a rectangle that reaches beyond the image the part within counts.
    """
    ny, nx = shape
    mask = np.zeros(shape, bool)
    outside: list[str] = []
    for column in listed.columns:
        if 1 <= column <= nx:
            mask[:, column - 1] = True
        else:
            outside.append(f"column {column} is outside of 1 to {nx}")
    for row in listed.rows:
        if 1 <= row <= ny:
            mask[row - 1] = True
        else:
            outside.append(f"row {row} is outside of 1 to {ny}")
    for rectangle in listed.rectangles:
        row_start, row_end, col_start, col_end = rectangle
        if row_start > row_end or col_start > col_end:
            outside.append(f"rectangle {list(rectangle)} ends before it starts")
            continue
        if row_start < 1 or col_start < 1 or row_end > ny or col_end > nx:
            outside.append(f"rectangle {list(rectangle)} is not within {ny} rows, {nx} columns")
        mask[max(row_start - 1, 0) : max(row_end, 0), max(col_start - 1, 0) : max(col_end, 0)] = (
            True
        )
    return mask, tuple(outside)


def as_list(mask: NDArray[np.bool_]) -> BadList:
    """The list that gives just this mask (ny, nx); large rectangles first, single pixels last."""
    columns = np.flatnonzero(mask.all(axis=0))
    rows = np.flatnonzero(mask.all(axis=1))
    rest = mask.copy()
    rest[:, columns] = False
    rest[rows] = False
    # Along columns what is long in them, along rows the rest: else each would cut the other's
    # lines into pixels.
    found: list[Rectangle] = []
    ys, xs = np.nonzero(rest)
    down = np.lexsort((ys, xs))
    for first, last, start, end in _merged(_runs(xs[down], ys[down], _LONG)):
        found.append((start, end, first, last))
        rest[start - 1 : end, first - 1 : last] = False
    lines, places = np.nonzero(rest)
    found += _merged(_runs(lines, places, 1))
    found.sort(key=lambda r: (-(r[1] - r[0] + 1) * (r[3] - r[2] + 1), r))
    return BadList(
        columns=tuple(int(column) + 1 for column in columns),
        rows=tuple(int(row) + 1 for row in rows),
        rectangles=tuple(found),
    )


def _runs(lines: NDArray[np.int_], places: NDArray[np.int_], least: int) -> NDArray[np.int_]:
    """(n, 3): line, start, end of each run of places along a line, from 1, ends included.

    The pixels come line by line, in the order of their places, both from 0.
    """
    new = (np.diff(lines, prepend=-1) != 0) | (np.diff(places, prepend=-2) != 1)
    begins = np.flatnonzero(new)
    ends = np.append(begins, len(lines))[1:] - 1
    runs = np.stack([lines[begins], places[begins], places[ends]], axis=1) + 1
    return runs[ends - begins + 1 >= least]


def _merged(runs: NDArray[np.int_]) -> list[Rectangle]:
    """First line, last line, start, end: runs of neighbouring lines that are alike are one."""
    merged: list[Rectangle] = []
    for line, start, end in runs[np.lexsort((runs[:, 0], runs[:, 2], runs[:, 1]))].tolist():
        before = merged[-1] if merged else (0, -1, 0, 0)
        if before[1:] == (line - 1, start, end):
            merged[-1] = (before[0], line, start, end)
        else:
            merged.append((line, line, start, end))
    return merged
