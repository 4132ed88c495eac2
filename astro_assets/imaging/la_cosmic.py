"""The kernel of the search for cosmic rays: L.A.Cosmic (van Dokkum 2001), computed sparsely.

What belongs here: the judgement of single pixels, exact. What does not: parameters and what goes in
(`cosmic_rays`), which pixels may be rays at all (`candidates`).

Medians are taken only where the Laplacian over a lower bound of the noise says that they may
matter: under a hundredth of the pixels. A ``stride`` of 2 keeps to one colour of a 2 × 2 matrix.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from astro_assets.imaging.tiles import Usual, level_at, spread_at

_SQUARE = 25


class Limits(NamedTuple):
    """When a pixel is a ray.

    significance : of the Laplacian, in standard deviations
    beside : the same for pixels next to one that is found
    contrast : least ratio of the Laplacian to the fine structure
    steepness : share of a pixel's light that three of its four neighbours hold at least in a star
    stride : 2 for a 2 × 2 colour matrix, else 1
    """

    significance: float
    beside: float
    contrast: float
    steepness: float
    stride: int


FREE, KNOWN, FOUND, LISTED = 0, 1, 2, 4
"""of a pixel: may be a ray; is left out; is one; is on the list to look at"""


@njit(cache=True, nogil=True)
def search(
    image: Any, state: Any, usual: Usual, floor: Any, places: Any, limits: Limits, rounds: int
) -> Any:
    """Where rays are: indices into the flattened image.

    Parameters
    ----------
    image : (ny, nx) float32; what is found is smoothed over for the next round, and put back
    state : (ny, nx) uint8, KNOWN or FREE; what is found becomes FOUND
    usual : of the background
    floor : float32, least variance of the background
    places : where a ray may be by `candidates.candidates`
    rounds : most of them; each looks only around what the one before has found
    """
    nx = image.shape[1]
    around = np.empty(_SQUARE, np.float64)
    found = [np.int64(0) for _ in range(0)]
    before = [np.float32(0) for _ in range(0)]
    for _ in range(rounds):
        new = _round(image, state, usual, floor, places, limits, around)
        if len(new) == 0:
            break
        for place in new:
            found.append(place)
            before.append(image[place // nx, place % nx])
        for place in new:
            y, x = place // nx, place % nx
            image[y, x] = _clean_value(image, state, y, x, limits.stride, around)
        places = _near(state, new, 2 * limits.stride)
    for k in range(len(found)):
        image[found[k] // nx, found[k] % nx] = before[k]
    return np.array(found)


@njit(cache=True, nogil=True)
def _near(state: Any, new: Any, reach: int) -> Any:
    """The free pixels around those that are new, each once."""
    ny, nx = state.shape
    near = [np.int64(0) for _ in range(0)]
    for place in new:
        y, x = place // nx, place % nx
        for v in range(max(0, y - reach), min(ny, y + reach + 1)):
            for u in range(max(0, x - reach), min(nx, x + reach + 1)):
                if state[v, u] == FREE:
                    state[v, u] = LISTED
                    near.append(np.int64(v * nx + u))
    for place in near:
        state[place // nx, place % nx] = FREE
    return np.array(near)


@njit(cache=True, nogil=True)
def _round(
    image: Any, state: Any, usual: Usual, floor: Any, places: Any, limits: Limits, around: Any
) -> Any:
    """One search over the places to look at; marks and returns the new ones."""
    nx = image.shape[1]
    new = [np.int64(0) for _ in range(0)]
    for place in places:
        y, x = place // nx, place % nx
        if state[y, x] != FREE:
            continue
        laplacian = _laplacian(image, y, x, limits.stride)
        if laplacian <= 2 * limits.significance * math.sqrt(_variance(usual, floor, y, x)):
            continue
        if _is_ray(image, usual, floor, y, x, laplacian, limits, around):
            new.append(place)
    for place in new:
        state[place // nx, place % nx] = FOUND
    for threshold in (limits.significance, limits.beside):
        _grow(image, state, usual, floor, new, threshold, limits, around)
    return new


@njit(cache=True, nogil=True)
def _is_ray(
    image: Any,
    usual: Usual,
    floor: Any,
    y: int,
    x: int,
    laplacian: float,
    limits: Limits,
    around: Any,
) -> bool:
    if _like_a_star(image, usual, floor, y, x, limits.steepness):
        return False
    noise = _noise(image, usual, floor, y, x, limits.stride, around)
    significance = _significance(image, y, x, laplacian, noise, limits.stride, around)
    if significance <= limits.significance:
        return False
    fine = max(_fine_structure(image, y, x, limits.stride, around) / noise, 0.01)
    return significance > limits.contrast * fine


@njit(cache=True, nogil=True)
def _grow(
    image: Any,
    state: Any,
    usual: Usual,
    floor: Any,
    new: Any,
    threshold: float,
    limits: Limits,
    around: Any,
) -> None:
    """What is next to a new pixel, of whatever colour, and passes the threshold joins in."""
    ny, nx = image.shape
    for k in range(len(new)):  # without those that join in
        y, x = new[k] // nx, new[k] % nx
        for v in range(max(0, y - 1), min(ny, y + 2)):
            for u in range(max(0, x - 1), min(nx, x + 2)):
                if state[v, u] != FREE:
                    continue
                laplacian = _laplacian(image, v, u, limits.stride)
                if laplacian <= 2 * threshold * math.sqrt(_variance(usual, floor, v, u)):
                    continue
                if _like_a_star(image, usual, floor, v, u, limits.steepness):
                    continue
                noise = _noise(image, usual, floor, v, u, limits.stride, around)
                if _significance(image, v, u, laplacian, noise, limits.stride, around) > threshold:
                    state[v, u] = FOUND
                    new.append(np.int64(v * nx + u))


@njit(cache=True, nogil=True)
def _variance(usual: Usual, floor: Any, y: int, x: int) -> Any:
    spread = spread_at(usual, y, x)
    return max(spread * spread, floor)


@njit(cache=True, nogil=True)
def _laplacian(image: Any, y: int, x: int, stride: int) -> float:
    """Mean of the positive Laplacians of the pixel's four quarters."""
    ny, nx = image.shape
    v = image[y, x]
    up = image[y - stride, x] if y >= stride else v
    down = image[y + stride, x] if y < ny - stride else v
    left = image[y, x - stride] if x >= stride else v
    right = image[y, x + stride] if x < nx - stride else v
    total = max(2 * v - up - left, 0.0) + max(2 * v - up - right, 0.0)
    total += max(2 * v - down - left, 0.0) + max(2 * v - down - right, 0.0)
    return float(0.25 * total)


@njit(cache=True, nogil=True)
def _noise(image: Any, usual: Usual, floor: Any, y: int, x: int, stride: int, around: Any) -> float:
    """Noise of a pixel by the light that the median of the 5 × 5 around it shows."""
    light = max(_median(image, y, x, 2, stride, around) - level_at(usual, y, x), 0.0)
    return float(math.sqrt(_variance(usual, floor, y, x) + light))


@njit(cache=True, nogil=True)
def _significance(
    image: Any, y: int, x: int, laplacian: float, noise: float, stride: int, around: Any
) -> float:
    """The Laplacian above its median in the 5 × 5 around, which takes extended objects out."""
    ny, nx = image.shape
    n = 0
    for j in range(-2, 3):
        for i in range(-2, 3):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                around[n] = _laplacian(image, v, u, stride)
                n += 1
    return float((laplacian - _middle(around, n)) / (2 * noise))


@njit(cache=True, nogil=True)
def _fine_structure(image: Any, y: int, x: int, stride: int, around: Any) -> float:
    """Median of 3 × 3, less the median of such medians in the 7 × 7 around."""
    ny, nx = image.shape
    medians = np.empty(49, np.float64)
    n = 0
    for j in range(-3, 4):
        for i in range(-3, 4):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                medians[n] = _median(image, v, u, 1, stride, around)
                n += 1
    return float(_median(image, y, x, 1, stride, around) - _middle(medians, n))


@njit(cache=True, nogil=True)
def _like_a_star(image: Any, usual: Usual, floor: Any, y: int, x: int, steepness: float) -> bool:
    """Three of the four neighbours, of whatever colour, hold what a star would have put there."""
    ny, nx = image.shape
    least = max(
        steepness * (image[y, x] - level_at(usual, y, x)),
        3 * math.sqrt(_variance(usual, floor, y, x)),
    )
    lit = 0
    for j, i in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        v, u = y + j, x + i
        if 0 <= v < ny and 0 <= u < nx:
            lit += image[v, u] - level_at(usual, v, u) > least
    return lit >= 3


@njit(cache=True, nogil=True)
def _clean_value(image: Any, state: Any, y: int, x: int, stride: int, around: Any) -> float:
    """Median of the pixels of the 5 × 5 around that are neither known nor found; or unchanged."""
    ny, nx = image.shape
    n = 0
    for j in range(-2, 3):
        for i in range(-2, 3):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx and state[v, u] == FREE:
                around[n] = image[v, u]
                n += 1
    return _middle(around, n) if n else float(image[y, x])


@njit(cache=True, nogil=True)
def _median(image: Any, y: int, x: int, reach: int, stride: int, around: Any) -> float:
    """Median of a square of one colour; at the edge, of what there is of it."""
    ny, nx = image.shape
    n = 0
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            v, u = y + j * stride, x + i * stride
            if 0 <= v < ny and 0 <= u < nx:
                around[n] = image[v, u]
                n += 1
    return _middle(around, n)


@njit(cache=True, nogil=True)
def _middle(values: Any, n: int) -> float:
    """Median of the first n values, which are put in order."""
    for i in range(1, n):
        value = values[i]
        j = i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    return float(0.5 * (values[(n - 1) // 2] + values[n // 2]))
