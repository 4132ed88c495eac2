"""The nebulae and the galaxy of the demo's fields, drawn: they please and are smooth, no more.

What belongs here: maps of surface brightness on the sky. What does not: stars, the projection
onto a frame (`sky`).

Each drawing gives (3, n, n) float32 in R, G, B with the brightest green value near 1. Coordinates
are ξ (east) and η (north) in arcminutes from the field's centre; no random number depends on the
night's seed, so that a target looks the same in all nights and to all telescopes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
Drawing = Callable[[Floats, Floats], Floats]

MAP_PIXELS = 640


def draw(target: str, half_width_arcmin: float) -> NDArray[np.float32]:
    """The map of ``target``, (3, MAP_PIXELS, MAP_PIXELS), row 0 south, column 0 east.

    Raises
    ------
    KeyError : nobody has drawn this target
    """
    axis = np.linspace(-half_width_arcmin, half_width_arcmin, MAP_PIXELS)
    xi, eta = np.meshgrid(-axis, axis)
    colours = _DRAWINGS[target](xi, eta)
    smooth = [gaussian_filter(channel, 1.5) for channel in colours]
    return np.asarray(smooth, dtype=np.float32)


def clouds(seed: int, slope: float) -> Floats:
    """Fractal noise (n, n) between 0 and 1: amplitudes fall with frequency^``slope``."""
    n = MAP_PIXELS
    frequency = np.hypot(*np.meshgrid(np.fft.rfftfreq(n), np.fft.fftfreq(n)))
    frequency[0, 0] = 1.0
    white = np.random.default_rng(seed).standard_normal((n, n))
    noise = np.fft.irfft2(np.fft.rfft2(white) * frequency**-slope, s=(n, n))
    low, high = np.percentile(noise, [1, 99])
    return np.asarray(np.clip((noise - low) / (high - low), 0, 1))


def _step(value: Floats, low: float, high: float) -> Floats:
    """From 0 at ``low`` to 1 at ``high``, with soft ends."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _coloured(red: Floats, green: Floats, blue: Floats) -> Floats:
    return np.stack([red, green, blue])


def _north_america(xi: Floats, eta: Floats) -> Floats:
    """Glowing hydrogen with a dark gulf in front of it."""
    shape = np.exp(-(((xi - 4) / 30) ** 2) - ((eta - 2) / 24) ** 2)
    gas = _step(0.55 * clouds(7000, 1.9) + 0.75 * shape, 0.45, 1.15)
    gulf = _step(clouds(7001, 2.1) + 0.5 * np.exp(-(((xi + 9) / 9) ** 2) - ((eta + 8) / 14) ** 2),
                 0.62, 1.0)  # fmt: skip
    glow = gas * (0.55 + 0.45 * clouds(7002, 1.5)) * (1 - 0.85 * gulf)
    oxygen = glow * _step(shape, 0.2, 1.0)
    return _coloured(2.6 * glow, 0.45 * glow + 0.55 * oxygen, 0.55 * glow + 0.75 * oxygen)


def _orion(xi: Floats, eta: Floats) -> Floats:
    """A bright heart, wings that open to the south, a dark bay from the north-east."""
    radius, angle = np.hypot(xi, eta + 2), np.arctan2(xi, -(eta + 2))
    wings = np.exp(-radius / (7 + 5 * np.cos(angle) + 2 * np.cos(2 * angle)))
    bay = np.exp(-(((xi - 4.5) / 4.5) ** 2) - ((eta - 4) / 3.5) ** 2)
    gas = wings * (0.45 + 0.9 * clouds(42, 1.7)) * (1 - 0.6 * bay)
    faint = 0.16 * _step(clouds(43, 2.0), 0.35, 1.0) * np.exp(-((radius / 38) ** 2))
    heart = np.exp(-((radius / 3.2) ** 2))
    running_man = 0.12 * np.exp(-((xi - 2) ** 2 + (eta - 31) ** 2) / 50) * (0.4 + clouds(44, 1.6))
    return _coloured(
        1.25 * gas + faint + 0.5 * heart + 0.5 * running_man,
        0.62 * gas + 0.45 * faint + 0.55 * heart + 0.8 * running_man,
        0.85 * gas + 0.6 * faint + 0.5 * heart + 1.5 * running_man,
    )


# Offsets from the field's centre, ξ and η in arcminutes, of the stars that light the nebula.
_PLEIADES = ((0, -1), (31, -3), (-22, -11), (-10, 16), (-25, 0), (-21, 21), (32, 1))


def _pleiades(xi: Floats, eta: Floats) -> Floats:
    """Blue dust around the brightest stars, combed in one direction."""
    combed = gaussian_filter(clouds(45, 1.2), (1.0, 9.0))
    strands = 0.35 + 1.3 * _step(combed, 0.3, 0.75)
    halo = np.zeros_like(xi)
    for east, north in _PLEIADES:
        distance = np.hypot(xi - east, eta - north)
        halo += np.exp(-distance / 7.5) + 0.18 * np.exp(-distance / 28)
    dust = halo * strands * (0.5 + clouds(46, 1.9)) * 0.55
    return _coloured(0.45 * dust, 0.75 * dust, 1.25 * dust)


def _andromeda(xi: Floats, eta: Floats) -> Floats:
    """A tilted disc with two wound arms and dust, a yellow bulge, and two companions."""
    angle = np.radians(37.0)
    along = xi * np.sin(angle) + eta * np.cos(angle)
    across = (xi * np.cos(angle) - eta * np.sin(angle)) / 0.27
    radius = np.hypot(along, across)
    arms = np.cos(2 * (np.arctan2(across, along) - 2.6 * np.log(radius + 6)))
    knots = 0.75 + 0.5 * clouds(31, 1.3)
    disc = np.exp(-radius / 24) * (1 + 0.3 * arms * _step(radius, 8, 30)) * knots
    lanes = _step(-arms, 0.2, 1.0) * _step(radius, 5, 18) * np.exp(-radius / 60)
    disc = disc * (1 - 0.55 * lanes * _step(across, -30, 30))
    bulge = 1.6 / (1 + (np.hypot(along, across * 0.45) / 2.3) ** 1.7)
    friends = 0.9 / (1 + (np.hypot(xi + 0.5, eta + 24.3) / 0.9) ** 2.2)
    friends += 0.12 * np.exp(-np.hypot(xi + 26.5, (eta - 25.5) / 1.7) / 3.0)
    young = disc * _step(arms, 0.0, 1.0) * _step(radius, 12, 40)
    return _coloured(
        0.45 * disc + 0.65 * bulge + 0.9 * friends,
        0.45 * disc + 0.5 * bulge + 0.75 * friends + 0.05 * young,
        0.42 * disc + 0.33 * bulge + 0.55 * friends + 0.3 * young,
    )


_DRAWINGS: dict[str, Drawing] = {
    "NGC 7000": _north_america,
    "M 42": _orion,
    "M 45": _pleiades,
    "M 31": _andromeda,
}
