"""Bayer drizzle: each raw pixel is dropped onto the grid in its own colour, none is made up.

What belongs here: dropping the pixels of one colour, and whether the frames' dithers cover the grid
with that colour. What does not: outliers (`outliers`), which are judged on debayered layers, levels
and weights (`stack`).

Variable-pixel linear reconstruction (Fruchter & Hook 2002, PASP 114, 144) with drops of one pixel,
squares along the grid's axes ("turbo").
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numba import njit
from numpy.typing import NDArray

from astro_assets.imaging.combine import Rows
from astro_assets.imaging.grid import Grid
from astro_assets.imaging.pixel_map import pixel_mesh

LEAST_FRAMES = 8
"""Fewer leave each red pixel of the grid with less than two red pixels in the mean."""
MOST_UNEVEN = 1.2
"""Variance that uneven cover may cost, over that of even cover."""
_MOST_HOLES = 1e-4


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The raw pixels of one colour of a frame.

    pixels : (ny, nx), electrons, NaN for what must not contribute; of all colours
    wcs : the frame's own
    cells : where the colour is in each 2 × 2 cell, (y, x)
    noise_e : standard deviation of the colour's pixels on the sky
    """

    pixels: Rows
    wcs: WCS
    cells: tuple[tuple[int, int], ...]
    noise_e: float

    @property
    def independent_noise_e(self) -> float:
        """Noise of a frame's pixel as an aperture sees it in which only this colour counts."""
        return self.noise_e * math.sqrt(4 / len(self.cells))


def drop(
    mosaic: Mosaic,
    grid: Grid,
    verdict: NDArray[np.uint8],
    *,
    scale: float,
    offset: tuple[float, float, float],
    worth: float,
    value: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> None:
    """Add a frame's pixels of one colour to the sums ``value`` and ``weight``, in place.

    A raw pixel is left out where ``verdict`` on the frame's layer is not `Verdict.KEPT` at the
    place where it falls. Values are electrons per grid pixel, ``v * area * scale + offset``; the
    weight is the inverse variance of what an aperture takes them for, times ``worth``.

    Parameters
    ----------
    verdict : (ny, nx) uint8 of `outliers.Verdict`
    offset : a plane: at the pixel (0, 0), per pixel along x, per pixel along y
    value, weight : (ny, nx), as in `tally.Tally`
    """
    pixels = np.ascontiguousarray(mosaic.pixels[:], np.float32)
    shape = (pixels.shape[0], pixels.shape[1])
    mesh_x, mesh_y, step = pixel_mesh(grid.wcs, Grid(mosaic.wcs, shape))
    for y, x in mosaic.cells:
        _drop(
            pixels, y, x, mesh_x, mesh_y, step, verdict, scale, np.array(offset, np.float64),
            worth / (mosaic.noise_e * scale) ** 2, value, weight,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cover:
    """How evenly drops cover what all frames show.

    holes : share of the pixels that no drop has reached
    unevenness : variance of the mean over the pixels, over that of even cover with the same drops
    """

    holes: float
    unevenness: float

    @property
    def serves(self) -> bool:
        """Whether a drizzled image is worth more than a debayered one."""
        return self.holes <= _MOST_HOLES and self.unevenness <= MOST_UNEVEN

    def __str__(self) -> str:
        if self.holes > _MOST_HOLES:
            return f"dithers leave {100 * self.holes:.2g} % of the pixels without a value"
        return f"uneven dithers cost {100 * (math.sqrt(self.unevenness) - 1):.1f} % in noise"


def cover_of(weight: NDArray[np.float32], count: NDArray[np.uint16]) -> Cover:
    """The cover of what most frames show.

    Parameters
    ----------
    weight : (ny, nx), sum of the drops' weights
    count : (ny, nx), frames that show the pixel
    """
    inside = count >= max(0.9 * float(count.max()), 1.0)
    weights = weight[inside].astype(np.float64)
    if weights.size == 0:
        return Cover(1.0, math.inf)
    filled = weights[weights > 0]
    holes = 1 - filled.size / weights.size
    if filled.size == 0:
        return Cover(holes, math.inf)
    return Cover(holes, float(np.mean(1 / filled) * np.mean(filled)))


@njit(cache=True, nogil=True)
def _drop(
    pixels: Any,
    first_y: int,
    first_x: int,
    mesh_x: Any,
    mesh_y: Any,
    step: int,
    verdict: Any,
    scale: float,
    offset: Any,
    inverse_variance: float,
    value: Any,
    weight: Any,
) -> None:
    """Drop every second pixel of every second row."""
    ny, nx = pixels.shape
    out_ny, out_nx = value.shape
    for y in range(first_y, ny, 2):
        row, v = y // step, (y % step) / step
        for x in range(first_x, nx, 2):
            pixel = pixels[y, x]
            if math.isnan(pixel):
                continue
            column, u = x // step, (x % step) / step
            upper_x = mesh_x[row, column] * (1 - u) + mesh_x[row, column + 1] * u
            lower_x = mesh_x[row + 1, column] * (1 - u) + mesh_x[row + 1, column + 1] * u
            upper_y = mesh_y[row, column] * (1 - u) + mesh_y[row, column + 1] * u
            lower_y = mesh_y[row + 1, column] * (1 - u) + mesh_y[row + 1, column + 1] * u
            at_x, at_y = upper_x * (1 - v) + lower_x * v, upper_y * (1 - v) + lower_y * v
            # Written so that NaN, where the mapping has no value, is outside too.
            if not (-0.5 <= at_x < out_nx - 0.5 and -0.5 <= at_y < out_ny - 0.5):
                continue
            if verdict[int(at_y + 0.5), int(at_x + 0.5)] != 1:
                continue
            area = _area(mesh_x, mesh_y, row, column, step)
            half = math.sqrt(area) / 2
            level = offset[0] + offset[1] * at_x + offset[2] * at_y
            shown = pixel / area * scale + level
            each = inverse_variance * area
            for j in range(max(int(at_y - half + 0.5), 0), min(int(at_y + half + 0.5) + 1, out_ny)):
                along_y = min(j + 0.5, at_y + half) - max(j - 0.5, at_y - half)
                for i in range(
                    max(int(at_x - half + 0.5), 0), min(int(at_x + half + 0.5) + 1, out_nx)
                ):
                    along_x = min(i + 0.5, at_x + half) - max(i - 0.5, at_x - half)
                    w = np.float32(each * along_x * along_y)
                    value[j, i] += w * np.float32(shown)
                    weight[j, i] += w


@njit(cache=True, nogil=True)
def _area(mesh_x: Any, mesh_y: Any, row: int, column: int, step: int) -> float:
    """Area of a frame's pixel in the grid's pixels, from the mesh's diagonals."""
    ax = mesh_x[row + 1, column + 1] - mesh_x[row, column]
    ay = mesh_y[row + 1, column + 1] - mesh_y[row, column]
    bx = mesh_x[row + 1, column] - mesh_x[row, column + 1]
    by = mesh_y[row + 1, column] - mesh_y[row, column + 1]
    return float(abs(ax * by - ay * bx) / (2.0 * step * step))
