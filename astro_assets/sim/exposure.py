"""One light frame, from the sky to counts, with its truth.

What belongs here: putting sky, effects and detector together. What does not: files.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from astro_assets.sim.cameras import Field
from astro_assets.sim.conditions import Conditions
from astro_assets.sim.detector import Detector
from astro_assets.sim.effects import cosmic_rays, satellite_trail
from astro_assets.sim.sky import scene

_SATELLITE_SIGMAS = 40.0
_SATELLITE_EDGE_E = 1.0


@dataclass(frozen=True, slots=True)
class Exposure:
    """Counts of a light frame and the truth about them.

    counts_adu : (ny, nx) uint16 (uint32 with the switch for saturation off)
    image_e : (ny, nx) float32, see `sky.Scene`
    stars : see `sky.Scene`
    cosmic_rays, satellite : (ny, nx) bool, pixels that were hit
    """

    counts_adu: NDArray[np.unsignedinteger]
    image_e: NDArray[np.float32]
    stars: pd.DataFrame
    cosmic_rays: NDArray[np.bool_]
    satellite: NDArray[np.bool_]
    sky_e: float
    sky_rgb_e: tuple[float, float, float]
    conditions: Conditions

    def upside_down(self) -> "Exposure":
        """The same frame rotated by 180°; a camera that hung upside down now seems upright."""
        ny, nx = self.image_e.shape
        pointing = replace(self.conditions.pointing, reversed=not self.conditions.pointing.reversed)
        ends = self.conditions.satellite
        if ends is not None:
            ends = (nx - 1 - ends[0], ny - 1 - ends[1], nx - 1 - ends[2], ny - 1 - ends[3])
        return replace(
            self,
            counts_adu=self.counts_adu[::-1, ::-1],
            image_e=self.image_e[::-1, ::-1],
            stars=self.stars.assign(x=nx - 1 - self.stars["x"], y=ny - 1 - self.stars["y"]),
            cosmic_rays=self.cosmic_rays[::-1, ::-1],
            satellite=self.satellite[::-1, ::-1],
            conditions=replace(self.conditions, pointing=pointing, satellite=ends),
        )


def expose(
    detector: Detector,
    field: Field,
    conditions: Conditions,
    *,
    channel: str | None,
    seed: int,
    frame_number: int,
) -> Exposure:
    """Take one light frame of the camera's usual exposure time.

    ``seed`` fixes the stars' colours, seed and ``frame_number`` together the noise.
    """
    camera, defects = detector.camera, detector.defects
    rng = np.random.default_rng([seed, frame_number, 0xE4])
    seen = scene(
        camera,
        field,
        conditions,
        defects,
        channel=channel,
        exposure_s=camera.exposure_s,
        seed=seed,
    )
    light = seen.image_e
    trail = np.zeros(camera.shape, np.float32)
    if conditions.satellite is not None:
        peak_e = _SATELLITE_SIGMAS * float(np.hypot(seen.sky_e**0.5, camera.read_noise_e))
        trail = satellite_trail(
            camera.shape, conditions.satellite, 1.2 * conditions.psf.fwhm_px, peak_e
        )
        light = light + trail
    count = 0
    if defects.cosmic_rays:
        area_mpx = camera.shape[0] * camera.shape[1] / 1e6
        count = int(rng.poisson(camera.cosmic_rays_per_mpx_s * area_mpx * camera.exposure_s))
    hits_e = cosmic_rays(camera.shape, count, rng)
    counts = detector.read_out(light, camera.exposure_s, rng, cosmic_rays_e=hits_e)
    return Exposure(
        counts_adu=counts,
        image_e=seen.image_e,
        stars=seen.stars,
        cosmic_rays=hits_e > 0,
        satellite=trail > _SATELLITE_EDGE_E,
        sky_e=seen.sky_e,
        sky_rgb_e=seen.sky_rgb_e,
        conditions=conditions,
    )
