"""Compile every kernel once, at install, so that the first night does not wait for it.

`python -m astro_assets.imaging.warm`. The compiled code is kept beside the modules.
"""

import numpy as np
from astropy.wcs import WCS

from astro_assets.imaging.bad_pixels import ENOUGH_DARKS, bad_pixel_map
from astro_assets.imaging.bayer import debayer, luminance
from astro_assets.imaging.calibrate import Masters, calibrate
from astro_assets.imaging.combine import sigma_clipped_mean
from astro_assets.imaging.convert import to_counts
from astro_assets.imaging.cosmic_rays import cosmic_rays
from astro_assets.imaging.drizzle import LEAST_FRAMES, Mosaic
from astro_assets.imaging.grid import common_grid
from astro_assets.imaging.laid import Laid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.nearest import nearest
from astro_assets.imaging.neutral_sky import sky_levels
from astro_assets.imaging.noise import gain_e_per_adu, read_noise_adu
from astro_assets.imaging.placement import place
from astro_assets.imaging.planes import Held
from astro_assets.imaging.repair import interpolate_bad
from astro_assets.imaging.stack import Layer, stack
from astro_assets.imaging.stars import find_stars
from astro_assets.imaging.stretch import autostretch
from astro_assets.imaging.tiles import surroundings
from astro_assets.imaging.warp import InMemory, warp
from astro_assets.imaging.white_balance import star_colors

_SIZE = 160


def warm() -> None:
    """Run a small frame of stars through everything that is compiled."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:_SIZE, :_SIZE]
    image = rng.normal(100.0, 5.0, (_SIZE, _SIZE)).astype(np.float32)
    for px, py in ((40, 50), (90, 120), (120, 30), (30, 120), (80, 80)):
        image += (4000 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4)).astype(np.float32)
    mask = np.zeros(image.shape, np.uint8)
    mask[10, 10] = 1
    lined = image.copy()
    lined[:, 20] += 300
    lined[70] -= 50
    for counts in (image, image.astype(np.uint16)):
        sigma_clipped_mean([counts] * 3)
        sigma_clipped_mean([counts] * 3, weights=[1.0] * 3)
        bad_pixel_map(dark=lined, flat=lined / 100, darks=[counts] * ENOUGH_DARKS)
        read_noise_adu([counts, counts[::-1]])
        gain_e_per_adu([(counts, counts[::-1])], 0.0)
        calibrate(
            counts,
            masters=Masters(bias=image * 0, flat=image * 0 + 1, bad_pixels=mask),
            exposure_s=1.0,
            gain_e_per_adu=1.0,
            saturation_adu=6e4,
        )
    to_counts(image.astype(np.uint16).reshape(-1))
    for bayer in (False, True):
        cosmic_rays(image, mask, read_noise_e=5.0, saturation_e=6e4, bayer=bayer)
        interpolate_bad(image, mask, bayer=bayer)
    debayer(image, mask, "RGGB")
    luminance(image, mask, "RGGB")
    find_stars(image, mask)
    surroundings(image)
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cdelt = [-1e-3, 1e-3]
    grid = common_grid([wcs], [(_SIZE, _SIZE)])
    warped = warp(image, mask, wcs, grid)
    mosaic = Mosaic(image, wcs, ((0, 0),), 5.0)
    layer = Layer(Held(warped.image, warped.weight, warped.mask), 100.0, 5.0, mosaic=mosaic)
    stack([layer] * LEAST_FRAMES, grid)
    full = mask.copy()
    full[80, 80] = MaskBit.SATURATED
    laid = Laid(InMemory(image, full), place(wcs, image.shape, grid), 1.0)
    stack([Layer(laid, 100.0, 5.0)] * 3)
    turned = wcs.deepcopy()
    turned.wcs.pc = [[0.8, -0.6], [0.6, 0.8]]
    warp(image, full, turned, grid)
    nearest(warped.weight, wcs, grid)
    sky_levels({"R": image})
    star_colors([image] * 3, mask > 0)
    autostretch(np.stack([image] * 3))


if __name__ == "__main__":
    warm()
