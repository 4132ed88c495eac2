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

from astro_assets.imaging.ray_figures import (
    Room,
    fine_structure_is_below,
    has_window,
    laplacian_at,
    laplacians_around,
    light_around,
    light_is_below,
    median_is_below,
    middle,
    room,
    take_window,
)
from astro_assets.imaging.tiles import Usual, least_at, level_at, spread_at


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


_LITTLE = 3.0
"""sigmas of light around a pixel, which most rays have less of"""
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
    own = room()
    found = [np.int64(0) for _ in range(0)]
    before = [np.float32(0) for _ in range(0)]
    for _ in range(rounds):
        new = _round(image, state, usual, floor, places, limits, own)
        if len(new) == 0:
            break
        for place in new:
            found.append(place)
            before.append(image[place // nx, place % nx])
        for place in new:
            y, x = place // nx, place % nx
            image[y, x] = _clean_value(image, state, y, x, limits.stride, own.values)
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
    image: Any, state: Any, usual: Usual, floor: Any, places: Any, limits: Limits, room: Room
) -> Any:
    """One search over the places to look at; marks and returns the new ones."""
    nx = image.shape[1]
    new = [np.int64(0) for _ in range(0)]
    for place in places:
        y, x = place // nx, place % nx
        if (
            state[y, x] == FREE
            and _is_steep(image, usual, floor, y, x, limits.significance, limits.stride)
            and _is_ray(image, usual, floor, y, x, limits, room)
        ):
            new.append(place)
    for place in new:
        state[place // nx, place % nx] = FOUND
    for threshold in (limits.significance, limits.beside):
        _grow(image, state, usual, floor, new, threshold, limits, room)
    return new


@njit(cache=True, nogil=True)
def _is_ray(
    image: Any, usual: Usual, floor: Any, y: int, x: int, limits: Limits, room: Room
) -> bool:
    stride = limits.stride
    n = _stands_out(image, usual, floor, y, x, limits.significance, limits, room)
    if n == 0:
        return False
    above = laplacian_at(image, y, x, stride) - middle(room.values, n)
    inside = has_window(image, y, x, stride)
    # Fine structure counts as a hundredth of the noise at least: what stands out is above that.
    return fine_structure_is_below(image, y, x, stride, inside, room, above / (2 * limits.contrast))


@njit(cache=True, nogil=True)
def _is_steep(
    image: Any, usual: Usual, floor: Any, y: int, x: int, threshold: float, stride: int
) -> bool:
    """Whether a pixel may stand out: most do not, and a call with the room costs more than this."""
    least = least_at(usual, y, x)
    noise = math.sqrt(max(least * least, floor))
    return laplacian_at(image, y, x, stride) > 2 * threshold * noise


@njit(cache=True, nogil=True)
def _stands_out(
    image: Any,
    usual: Usual,
    floor: Any,
    y: int,
    x: int,
    threshold: float,
    limits: Limits,
    room: Room,
) -> int:
    """The Laplacian is above its median in the 5 × 5 around, and the pixel steeper than a star.

    The median takes extended objects out. Returns 0 for no; for yes, how many Laplacians of the
    5 × 5 are in the room, and so is the window. What takes longer is worked out only where bounds
    of it leave the answer open.
    """
    stride = limits.stride
    laplacian = laplacian_at(image, y, x, stride)
    variance = _variance(usual, floor, y, x)
    sigma = math.sqrt(variance)
    if laplacian <= 2 * threshold * sigma:
        return 0
    if _like_a_star(image, usual, floor, y, x, limits.steepness):
        return 0
    inside = take_window(image, y, x, stride, room.window)
    n = laplacians_around(image, y, x, stride, inside, room)
    if not median_is_below(room.values, n, laplacian - 2 * threshold * sigma):
        return 0
    if inside and light_is_below(room, level_at(usual, y, x) + _LITTLE * sigma):
        most = math.sqrt(variance + 1.01 * _LITTLE * sigma)  # the hundredth is for rounding
        if median_is_below(room.values, n, laplacian - 2 * threshold * most):
            return n
    noise = _noise(image, usual, floor, y, x, stride, inside, room)
    n = laplacians_around(image, y, x, stride, inside, room)
    return n if median_is_below(room.values, n, laplacian - 2 * threshold * noise) else 0


@njit(cache=True, nogil=True)
def _grow(
    image: Any,
    state: Any,
    usual: Usual,
    floor: Any,
    new: Any,
    threshold: float,
    limits: Limits,
    room: Room,
) -> None:
    """What is next to a new pixel, of whatever colour, and passes the threshold joins in."""
    nx = image.shape[1]
    for place in _near(state, new, 1):
        y, x = place // nx, place % nx
        if _is_steep(image, usual, floor, y, x, threshold, limits.stride) and _stands_out(
            image, usual, floor, y, x, threshold, limits, room
        ):
            state[y, x] = FOUND
            new.append(place)


@njit(cache=True, nogil=True)
def _variance(usual: Usual, floor: Any, y: int, x: int) -> Any:
    spread = spread_at(usual, y, x)
    return max(spread * spread, floor)


@njit(cache=True, nogil=True)
def _noise(
    image: Any, usual: Usual, floor: Any, y: int, x: int, stride: int, inside: bool, room: Room
) -> float:
    """Noise of a pixel by the light that the median of the 5 × 5 around it shows."""
    light = light_around(image, y, x, stride, inside, room) - level_at(usual, y, x)
    return float(math.sqrt(_variance(usual, floor, y, x) + max(light, 0.0)))


@njit(cache=True, nogil=True)
def _like_a_star(image: Any, usual: Usual, floor: Any, y: int, x: int, steepness: float) -> bool:
    """Three of the four neighbours, of whatever colour, hold what a star would have put there."""
    ny, nx = image.shape
    least = max(
        steepness * (image[y, x] - level_at(usual, y, x)),
        3 * math.sqrt(_variance(usual, floor, y, x)),
    )
    dark = 0
    for j, i in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        v, u = y + j, x + i
        inside = 0 <= v < ny and 0 <= u < nx
        dark += not (inside and image[v, u] - level_at(usual, v, u) > least)
        if dark == 2:
            return False
    return True


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
    return middle(around, n) if n else float(image[y, x])
