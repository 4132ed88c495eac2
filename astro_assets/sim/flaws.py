"""Flaws beyond single pixels and whole columns: parts of lines, groups of lines, telegraph pixels.

What belongs here: where they are and what charge they collect. What does not: the detector that
they belong to (`detector`).
"""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.cameras import Camera
from astro_assets.sim.defects import Defects

_PARTS = 6
_PART_E = (6.0, 200.0)
_GROUPS = 3
_WIDEST = 24
_GROUP_E = (10.0, 200.0)
_TELEGRAPH_SHARE = 3e-4
_TELEGRAPH_E = (80.0, 800.0)


@dataclass(frozen=True, slots=True)
class Flaws:
    """All (ny, nx).

    partial, groups : bool, pixels of partial columns and rows, of groups of columns and rows
    charge_e : float32, what these collect in the camera's exposure time
    telegraph_e : float32, what a telegraph pixel collects besides in an exposure in which it is
        high; 0 for all others
    telegraph_duty : float32, the share of exposures in which it is
    """

    partial: NDArray[np.bool_]
    groups: NDArray[np.bool_]
    charge_e: NDArray[np.float32]
    telegraph_e: NDArray[np.float32]
    telegraph_duty: NDArray[np.float32]

    @property
    def telegraph(self) -> NDArray[np.bool_]:
        """The telegraph pixels."""
        return self.telegraph_e > 0


def make_flaws(camera: Camera, defects: Defects, *, seed: int) -> Flaws:
    """The flaws of ``camera``: the same for the same seed and name."""
    rng = np.random.default_rng([seed, crc32(camera.name.encode()), 0xF1A3])
    partial, groups = np.zeros(camera.shape, bool), np.zeros(camera.shape, bool)
    charge = np.zeros(camera.shape, np.float32)
    for number in range(_PARTS):
        flip = number >= _PARTS - 2  # the last two are rows
        box = _box(camera.shape, 1, flip, rng, whole=False)
        amount = _between(_PART_E, rng)
        if defects.partial_columns:
            partial[box] = True
            charge[box] += np.float32(amount)
    for number in range(_GROUPS):
        flip = number == _GROUPS - 1
        width = int(rng.integers(2, _WIDEST + 1))
        box = _box(camera.shape, width, flip, rng, whole=number == 0)
        strengths = _between(_GROUP_E, rng) * rng.uniform(0.7, 1.3, width)
        if defects.column_groups:
            groups[box] = True
            charge[box] += (strengths[:, None] if flip else strengths).astype(np.float32)
    telegraph = rng.random(camera.shape) < _TELEGRAPH_SHARE * defects.telegraph_pixels
    low, high = np.log(_TELEGRAPH_E)
    return Flaws(
        partial=partial,
        groups=groups,
        charge_e=charge,
        telegraph_e=np.where(telegraph, np.exp(rng.uniform(low, high, camera.shape)), 0).astype(
            np.float32
        ),
        telegraph_duty=rng.uniform(0.3, 0.7, camera.shape).astype(np.float32),
    )


def _box(
    shape: tuple[int, int], width: int, flip: bool, rng: np.random.Generator, *, whole: bool
) -> tuple[slice, slice]:
    """Rows and columns of a strip; a partial one is a tenth to nine tenths of the side long."""
    ny, nx = shape[::-1] if flip else shape
    first = int(rng.integers(8, nx - width - 8))
    length = ny if whole else int(rng.uniform(0.1, 0.9) * ny)
    top = (0, int(rng.integers(0, ny - length + 1)), ny - length)[int(rng.integers(3))]
    strip = slice(top, top + length), slice(first, first + width)
    return strip[::-1] if flip else strip


def _between(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(limits)
    return float(np.exp(rng.uniform(low, high)))
