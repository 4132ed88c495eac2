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
    laplacian_at,
    laplacians_around,
    light_around,
    median_is_below,
    middle,
    room,
    take_window,
)
from astro_assets.imaging.tiles import Usual, level_at, spread_at


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
        if state[y, x] == FREE and _is_ray(image, usual, floor, y, x, limits, room):
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
    if not _stands_out(image, usual, floor, y, x, limits.significance, limits, room):
        return False
    stride = limits.stride
    inside = take_window(image, y, x, stride, room.window)
    noise = _noise(image, usual, floor, y, x, stride, inside, room)
    above = laplacian_at(image, y, x, stride)
    above -= middle(room.values, laplacians_around(image, y, x, stride, inside, room))
    # Fine structure counts as a hundredth of the noise at least.
    return above > 0.02 * limits.contrast * noise and fine_structure_is_below(
        image, y, x, stride, inside, room, above / (2 * limits.contrast)
    )


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
) -> bool:
    """The Laplacian is above its median in the 5 × 5 around, and the pixel steeper than a star.

    The median takes extended objects out.
    """
    stride = limits.stride
    laplacian = laplacian_at(image, y, x, stride)
    if laplacian <= 2 * threshold * math.sqrt(_variance(usual, floor, y, x)):
        return False
    if _like_a_star(image, usual, floor, y, x, limits.steepness):
        return False
    inside = take_window(image, y, x, stride, room.window)
    noise = _noise(image, usual, floor, y, x, stride, inside, room)
    n = laplacians_around(image, y, x, stride, inside, room)
    return median_is_below(room.values, n, laplacian - 2 * noise * threshold)


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
    ny, nx = image.shape
    for k in range(len(new)):  # without those that join in
        y, x = new[k] // nx, new[k] % nx
        for v in range(max(0, y - 1), min(ny, y + 2)):
            for u in range(max(0, x - 1), min(nx, x + 2)):
                if state[v, u] == FREE and _stands_out(
                    image, usual, floor, v, u, threshold, limits, room
                ):
                    state[v, u] = FOUND
                    new.append(np.int64(v * nx + u))


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
    return middle(around, n) if n else float(image[y, x])
