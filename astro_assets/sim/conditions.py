"""How a run of exposures goes: pointing, seeing, clouds, and what spoils single frames.

What belongs here: the circumstances of each light frame of a run. What does not: the image that
follows from them (`sky`).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from astro_assets.sim.cameras import Camera, Field
from astro_assets.sim.defects import Defects
from astro_assets.sim.effects import Ends, satellite_ends
from astro_assets.sim.pointing import Pointing
from astro_assets.sim.psf import Psf

Spoiled = Literal["cloud", "trailing", "defocus"]

DITHER_PX = 10.0
ROTATION_DEG = 0.3
_CLOUD_TRANSPARENCY = 0.25
_CLOUD_SKY = 1.6


@dataclass(frozen=True, slots=True)
class Conditions:
    """The circumstances of one light frame.

    transparency : part of the stars' light that arrives, 1 on a clear night
    sky_factor : brightness of the sky in units of the clear night's
    spoiled : why nobody would keep the frame, or None
    satellite : ends of a trail, or None
    """

    pointing: Pointing
    psf: Psf
    transparency: float
    sky_factor: float
    spoiled: Spoiled | None
    satellite: Ends | None


@dataclass(frozen=True, slots=True)
class Incidents:
    """Which frames of a run (0-based) are spoiled, and which has a satellite's trail."""

    cloud: tuple[int, ...] = ()
    trailing: tuple[int, ...] = ()
    defocus: tuple[int, ...] = ()
    satellite: tuple[int, ...] = ()
    reversed: tuple[int, ...] = ()


def run_of(
    camera: Camera,
    field: Field,
    count: int,
    incidents: Incidents,
    defects: Defects,
    *,
    seed: int,
    run: int = 0,
) -> list[Conditions]:
    """Conditions of ``count`` frames in a row; the same for the same seed and ``run``.

    Dithers stay within ±10 px and ±0.3°. The seeing swings by 8 % in the course of the run and
    jitters by 2 %. With the switch for clouds on, the sky's transparency varies by some percent
    in the good frames too.
    """
    rng = np.random.default_rng([seed, run, 0xC0])
    aim = Pointing(field.ra_deg, field.dec_deg, camera.scale_arcsec, 0.0, camera.shape)
    phase, haze = rng.uniform(0, 2 * np.pi, 2)
    frames = []
    for k in range(count):
        swing = 2 * np.pi * k / max(count, 1)
        dx, dy, turn, jitter, angle = rng.uniform(-1, 1, 5)
        ends = satellite_ends(camera.shape, rng)
        fwhm = camera.fwhm_px
        if defects.seeing_drift:
            fwhm *= 1 + 0.08 * np.sin(swing + phase) + 0.02 * jitter
        spoiled = _spoiled(k, incidents, defects)
        upside_down = defects.reversed_frames and k in incidents.reversed
        frames.append(
            Conditions(
                pointing=_dithered(aim, dx, dy, turn, upside_down, defects),
                psf=_psf(float(fwhm), spoiled, 180 * angle),
                transparency=_transparency(swing + haze, spoiled, defects),
                sky_factor=_CLOUD_SKY if spoiled == "cloud" else 1.0,
                spoiled=spoiled,
                satellite=ends if defects.satellite and k in incidents.satellite else None,
            )
        )
    return frames


def _spoiled(k: int, incidents: Incidents, defects: Defects) -> Spoiled | None:
    if defects.cloud and k in incidents.cloud:
        return "cloud"
    if defects.trailing and k in incidents.trailing:
        return "trailing"
    if defects.defocus and k in incidents.defocus:
        return "defocus"
    return None


def _dithered(
    aim: Pointing, dx: float, dy: float, turn: float, upside_down: bool, defects: Defects
) -> Pointing:
    moved = aim.moved(
        DITHER_PX * dx * defects.dithers,
        DITHER_PX * dy * defects.dithers,
        ROTATION_DEG * turn * defects.rotation,
    )
    return Pointing(
        moved.ra_deg, moved.dec_deg, moved.scale_arcsec, moved.rotation_deg, moved.shape,
        reversed=upside_down,
    )  # fmt: skip


def _psf(fwhm_px: float, spoiled: Spoiled | None, angle_deg: float) -> Psf:
    if spoiled == "trailing":
        return Psf(fwhm_px, trail_px=3.5 * fwhm_px, trail_deg=angle_deg)
    if spoiled == "defocus":
        return Psf(1.6 * fwhm_px, ring_px=0.9 * fwhm_px)
    return Psf(fwhm_px)


def _transparency(phase: float, spoiled: Spoiled | None, defects: Defects) -> float:
    if spoiled == "cloud":
        return _CLOUD_TRANSPARENCY
    return float(1 - 0.04 * (0.5 + 0.5 * np.sin(phase))) if defects.cloud else 1.0
