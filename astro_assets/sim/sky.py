"""The light that falls onto a frame, before the telescope's and the detector's faults.

What belongs here: stars, extended object and sky background as expected electrons. What does not:
noise and fixed patterns (`detector`).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from astro_assets.sim.cameras import Camera, Field
from astro_assets.sim.catalogue import SOLAR_RATIO, Stars, faint_stars, stars_near
from astro_assets.sim.conditions import Conditions
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import bayer_cells
from astro_assets.sim.extended import MAP_PIXELS, draw
from astro_assets.sim.pointing import Pointing
from astro_assets.sim.psf import add_stars

CHANNELS = "RGB"
_STAR_MAGNITUDE = 10.0  # that `Camera.star_e_per_s` is given for


@dataclass(frozen=True, slots=True)
class Scene:
    """What a frame would show without noise.

    image_e : (ny, nx) float32, stars, extended object and sky in electrons; for a Bayer camera
        the mosaic: each pixel as its own filter sees the sky
    stars : ra_deg, dec_deg, vt_mag, x, y (0-based), flux_e of the stars whose centre is in the
        frame. For a Bayer camera flux_r_e, flux_g_e, flux_b_e are what the star would give if
        every pixel had that filter, and flux_e is flux_g_e
    sky_e : background electrons per pixel, in the filter or in the mean over the Bayer cell
    sky_rgb_e : the background in R, G, B
    """

    image_e: NDArray[np.float32]
    stars: pd.DataFrame
    sky_e: float
    sky_rgb_e: tuple[float, float, float]


def scene(
    camera: Camera,
    field: Field,
    conditions: Conditions,
    defects: Defects,
    *,
    channel: str | None,
    exposure_s: float,
    seed: int,
) -> Scene:
    """Expected electrons of one light frame.

    ``channel`` is R, G or B for a camera without a Bayer pattern and None for one with it.
    Clouds dim stars and the extended object alike; trailing and defocus blur the stars only (the
    extended objects are smooth already).
    """
    stars = _stars(field, camera, seed)
    x, y = conditions.pointing.pixels(stars.ra_deg, stars.dec_deg)
    clear_s = exposure_s * conditions.transparency
    flux = {
        c: camera.star_e_per_s[k] * clear_s * 10 ** (-0.4 * (stars.magnitude(c) - _STAR_MAGNITUDE))
        for k, c in enumerate(CHANNELS)
    }
    sky = tuple(level * exposure_s * conditions.sky_factor for level in camera.sky_e_per_s)
    image = np.zeros(camera.shape)
    for colour, rows, columns in _cells(camera, channel):
        k = CHANNELS.index(colour)
        image[rows, columns] = sky[k]
        if defects.extended_object:
            glow = _extended(camera, field, conditions.pointing, k, (rows, columns))
            # The camera sees the colours of the object as it sees those of the stars; what is
            # drawn white has the Sun's colour.
            response = camera.star_e_per_s[k] / camera.star_e_per_s[1] * SOLAR_RATIO[colour]
            image[rows, columns] += camera.extended_e_per_s * response * clear_s * glow
    _add_starlight(image, x, y, flux, camera, channel, conditions)
    colours = "".join(colour for colour, _, _ in _cells(camera, channel))
    return Scene(
        image_e=image.astype(np.float32),
        stars=_table(stars, x, y, flux, camera.shape, channel),
        sky_e=float(np.mean([sky[CHANNELS.index(colour)] for colour in colours])),
        sky_rgb_e=(sky[0], sky[1], sky[2]),
    )


def _cells(camera: Camera, channel: str | None) -> list[tuple[str, slice, slice]]:
    """The colours of a frame and which rows and columns have them."""
    if camera.bayer is None:
        if channel is None:
            raise ValueError(f"camera {camera.name} has no Bayer pattern: name a channel")
        return [(channel, slice(None), slice(None))]
    return [
        (colour, slice(row, None, 2), slice(column, None, 2))
        for colour, (row, column) in bayer_cells(camera.bayer)
    ]


def _stars(field: Field, camera: Camera, seed: int) -> Stars:
    ny, nx = camera.shape
    radius_deg = 0.55 * np.hypot(ny, nx) * camera.scale_arcsec / 3600 + 0.1
    known = stars_near(field.ra_deg, field.dec_deg, radius_deg, seed=seed)
    if not field.faint_per_deg2:
        return known
    faint = faint_stars(
        field.ra_deg, field.dec_deg, radius_deg, per_deg2=field.faint_per_deg2, seed=seed
    )
    return known.joined(faint)


def _add_starlight(
    image: NDArray[np.float64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: dict[str, NDArray[np.float64]],
    camera: Camera,
    channel: str | None,
    conditions: Conditions,
) -> None:
    if channel is not None:
        add_stars(image, x, y, flux[channel], conditions.psf)
        return
    for colour in CHANNELS:
        starlight = np.zeros(camera.shape)
        add_stars(starlight, x, y, flux[colour], conditions.psf)
        for cell, rows, columns in _cells(camera, channel):
            if cell == colour:
                image[rows, columns] += starlight[rows, columns]


def _table(
    stars: Stars,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    flux: dict[str, NDArray[np.float64]],
    shape: tuple[int, int],
    channel: str | None,
) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "ra_deg": stars.ra_deg,
            "dec_deg": stars.dec_deg,
            "vt_mag": stars.vt_mag,
            "x": x,
            "y": y,
            "flux_e": flux[channel or "G"],
        }
    )
    if channel is None:
        for colour in CHANNELS:
            table[f"flux_{colour.lower()}_e"] = flux[colour]
    inside = (x > -0.5) & (x < shape[1] - 0.5) & (y > -0.5) & (y < shape[0] - 0.5)
    return table[inside].reset_index(drop=True)


@lru_cache(maxsize=8)
def _map(target: str, half_width_arcmin: float) -> NDArray[np.float32]:
    return draw(target, half_width_arcmin)


def _extended(
    camera: Camera, field: Field, pointing: Pointing, k: int, part: tuple[slice, slice]
) -> NDArray[np.float32]:
    """The drawing of the target in the given rows and columns of the frame.

    The map has a TAN projection about the field's centre of its own. Between it and the frame's
    projection, so close by, an affine transformation is right to a hundredth of a pixel.
    """
    ny, nx = camera.shape
    half_width = 0.56 * float(np.hypot(ny, nx)) * camera.scale_arcsec / 60
    scale = 2 * half_width * 60 / (MAP_PIXELS - 1)
    own = Pointing(field.ra_deg, field.dec_deg, scale, 0.0, (MAP_PIXELS, MAP_PIXELS))
    corners = np.array([[0.0, 0.0], [nx - 1.0, 0.0], [0.0, ny - 1.0]])
    ra, dec = pointing.wcs().wcs_pix2world(corners[:, 0], corners[:, 1], 0)
    u, v = own.pixels(ra, dec)
    per_x = np.array([v[1] - v[0], u[1] - u[0]]) / (nx - 1)
    per_y = np.array([v[2] - v[0], u[2] - u[0]]) / (ny - 1)
    rows, columns = part
    start = np.array([v[0], u[0]]) + per_y * (rows.start or 0) + per_x * (columns.start or 0)
    step_y, step_x = rows.step or 1, columns.step or 1
    glow = affine_transform(
        _map(field.target, round(half_width, 3))[k],
        np.stack([per_y * step_y, per_x * step_x], axis=1),
        offset=start,
        output_shape=(
            len(range(rows.start or 0, ny, step_y)),
            len(range(columns.start or 0, nx, step_x)),
        ),
        order=1,
        mode="nearest",
    )
    return np.asarray(glow, dtype=np.float32)
