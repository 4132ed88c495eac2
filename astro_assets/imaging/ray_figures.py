"""What the judgement of a pixel as a cosmic ray needs of its surroundings, exact.

What belongs here: Laplacian, light, fine structure, each by the medians of the pixel's own window.
What does not: the verdict (`la_cosmic`). A ``stride`` of 2 keeps to one colour of a 2 × 2 matrix.

Away from the borders the window is taken out once, and a question whether a median exceeds a limit
is answered by counting; at the borders everything is taken pixel by pixel.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

_REACH = 4
_SIDE = 2 * _REACH + 1
_SQUARE = 25
_LARGE = 49


class Room(NamedTuple):
    """What the figures are worked out in.

    window : (9, 9) float64, what is around the pixel, if all of that is within the image
    values : (49,) float64
    """

    window: Any
    values: Any


@njit(cache=True, nogil=True)
def room() -> Room:
    """Some room, for one thread."""
    return Room(np.empty((_SIDE, _SIDE), np.float64), np.empty(_LARGE, np.float64))


@njit(cache=True, nogil=True)
def has_window(image: Any, y: int, x: int, stride: int) -> bool:
    """Whether the image reaches so far around a pixel."""
    ny, nx = image.shape
    reach = _REACH * stride
    return bool(reach <= y < ny - reach and reach <= x < nx - reach)


@njit(cache=True, nogil=True)
def take_window(image: Any, y: int, x: int, stride: int, window: Any) -> bool:
    """Copy what is around a pixel; False where there is no such window."""
    if not has_window(image, y, x, stride):
        return False
    for j in range(_SIDE):
        row = image[y + (j - _REACH) * stride]
        for i in range(_SIDE):
            window[j, i] = row[x + (i - _REACH) * stride]
    return True


@njit(cache=True, nogil=True)
def light_around(image: Any, y: int, x: int, stride: int, inside: bool, room: Room) -> float:
    """Median of the 5 × 5. inside : the window was taken"""
    if not inside:
        return _median(image, y, x, 2, stride, room.values)
    n = 0
    for j in range(_REACH - 2, _REACH + 3):
        for i in range(_REACH - 2, _REACH + 3):
            room.values[n] = room.window[j, i]
            n += 1
    return middle(room.values, n)


@njit(cache=True, nogil=True)
def light_is_below(room: Room, limit: float) -> bool:
    """Whether the median of the 5 × 5 is, of a window that was taken."""
    below = 0
    for j in range(_REACH - 2, _REACH + 3):
        for i in range(_REACH - 2, _REACH + 3):
            below += room.window[j, i] < limit
    return below > _SQUARE // 2


@njit(cache=True, nogil=True)
def laplacians_around(image: Any, y: int, x: int, stride: int, inside: bool, room: Room) -> int:
    """Fill the room's values with those of the 5 × 5; how many there are."""
    values = room.values
    if inside:
        for j in range(5):
            up, row, down = room.window[j + 1], room.window[j + 2], room.window[j + 3]
            for i in range(2, 7):
                values[5 * j + i - 2] = _mean_of_quarters(
                    row[i], up[i], down[i], row[i - 1], row[i + 1]
                )
        return _SQUARE
    ny, nx = image.shape
    n = 0
    for j in range(-2, 3):
        for i in range(-2, 3):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                values[n] = laplacian_at(image, v, u, stride)
                n += 1
    return n


@njit(cache=True, nogil=True)
def median_is_below(values: Any, n: int, limit: float) -> bool:
    """Of the first n values, which are put in order if n is even."""
    if n % 2 == 0:
        return middle(values, n) < limit
    below = 0
    for k in range(n):
        below += values[k] < limit
    return below > n // 2


@njit(cache=True, nogil=True)
def fine_structure_is_below(
    image: Any, y: int, x: int, stride: int, inside: bool, room: Room, limit: float
) -> bool:
    """Whether the median of the 3 × 3, less the median of such medians in the 7 × 7, is below."""
    if not inside:
        return _fine_structure(image, y, x, stride, room) < limit
    values, window = room.values, room.window
    low, mid, high = np.empty(_SIDE), np.empty(_SIDE), np.empty(_SIDE)
    for j in range(7):
        for i in range(_SIDE):  # columns of three, in order
            a, b = window[j, i], window[j + 1, i]
            least, most, c = min(a, b), max(a, b), window[j + 2, i]
            low[i], high[i] = min(least, c), max(most, c)
            mid[i] = max(least, min(most, c))
        for i in range(7):
            values[7 * j + i] = _median_of_three(
                max(low[i], low[i + 1], low[i + 2]),
                _median_of_three(mid[i], mid[i + 1], mid[i + 2]),
                min(high[i], high[i + 1], high[i + 2]),
            )
    centre = values[_LARGE // 2]
    below = 0
    for k in range(_LARGE):
        below += centre - values[k] < limit
    return below > _LARGE // 2


@njit(cache=True, nogil=True)
def _fine_structure(image: Any, y: int, x: int, stride: int, room: Room) -> float:
    ny, nx = image.shape
    medians = np.empty(_LARGE, np.float64)
    n = 0
    for j in range(-3, 4):
        for i in range(-3, 4):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                medians[n] = _median(image, v, u, 1, stride, room.values)
                n += 1
    return _median(image, y, x, 1, stride, room.values) - middle(medians, n)


@njit(cache=True, nogil=True)
def _median(image: Any, y: int, x: int, reach: int, stride: int, values: Any) -> float:
    """Median of a square of one colour; at the edge, of what there is of it."""
    ny, nx = image.shape
    n = 0
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                values[n] = image[v, u]
                n += 1
    return middle(values, n)


@njit(cache=True, nogil=True)
def laplacian_at(image: Any, y: int, x: int, stride: int) -> float:
    """Mean of the positive Laplacians of the pixel's four quarters."""
    ny, nx = image.shape
    v = image[y, x]
    up = image[y - stride, x] if y >= stride else v
    down = image[y + stride, x] if y < ny - stride else v
    left = image[y, x - stride] if x >= stride else v
    right = image[y, x + stride] if x < nx - stride else v
    return _mean_of_quarters(np.float64(v), up, down, left, right)


@njit(cache=True, nogil=True)
def _mean_of_quarters(v: float, up: float, down: float, left: float, right: float) -> float:
    total = max(2 * v - up - left, 0.0) + max(2 * v - up - right, 0.0)
    total += max(2 * v - down - left, 0.0) + max(2 * v - down - right, 0.0)
    return 0.25 * total


@njit(cache=True, nogil=True)
def _median_of_three(a: float, b: float, c: float) -> float:
    return max(min(a, b), min(max(a, b), c))


@njit(cache=True, nogil=True)
def middle(values: Any, n: int) -> float:
    """Median of the first n values, which are put in order."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return float(0.5 * (values[(n - 1) // 2] + values[n // 2]))
