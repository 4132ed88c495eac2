"""A session in memory: lights and calibration frames as arrays, with their truth.

What belongs here: the quick way for tests of the reduction, without files or servers. What does
not: the night on disk (`night`).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.cameras import (
    ASI,
    CLUSTER,
    M_31,
    M_42,
    M_45,
    NGC_7000,
    T20,
    VESPERA,
    Camera,
    Field,
)
from astro_assets.sim.conditions import Incidents, run_of
from astro_assets.sim.defects import Defects
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import Exposure, expose

Counts = NDArray[np.unsignedinteger]

NO_INCIDENTS = Incidents()
FLAT_EXPOSURE_S = 0.5

_FIELD_OF = {T20.name: NGC_7000, CLUSTER.name: M_45, VESPERA.name: M_31, ASI.name: M_42}


@dataclass(frozen=True, slots=True)
class SimulatedSession:
    """Frames of one camera; counts are (ny, nx), uint16.

    lights : with image_e, stars and masks each, and their `conditions` (pointing, psf, spoiled …)
    bias, darks, flats : counts; the darks have the lights' exposure time
    detector : the maps behind them
    channel : R, G or B, the filter of a mono camera; None for Bayer
    """

    camera: Camera
    field: Field
    channel: str | None
    detector: Detector
    lights: list[Exposure]
    bias: list[Counts]
    darks: list[Counts]
    flats: list[Counts]
    flat_exposure_s: float


def small_camera(camera: Camera = T20, shape: tuple[int, int] = (400, 480)) -> Camera:
    """``camera`` with the same field of view on about so many pixels, for tests that are quick.

    The pixel scale follows from the longer side; sizes stay even for the Bayer pattern.
    """
    scale = camera.scale_arcsec * max(camera.shape) / max(shape)
    return replace(camera, shape=shape, scale_arcsec=scale)


def simulate_session(
    camera: Camera | None = None,
    *,
    seed: int,
    lights: int = 6,
    bias: int = 0,
    darks: int = 0,
    flats: int = 0,
    field: Field | None = None,
    channel: str = "G",
    defects: Defects | None = None,
    incidents: Incidents = NO_INCIDENTS,
) -> SimulatedSession:
    """Simulate a session of one camera, mono (T20 by default) or Bayer (VESPERA, ASI).

    Parameters
    ----------
    camera : default `small_camera()`: 400 × 480 pixels of 8.2″ with some 70 stars
    field : default the one that the camera looks at in the demo
    channel : the filter of a mono camera (R, G, B); not used with a Bayer camera
    defects : default all
    incidents : which lights (0-based) are spoiled or have a satellite's trail; default none
    """
    camera = camera or small_camera()
    field = field or _FIELD_OF[camera.name]
    defects = defects or Defects()
    filter_channel = None if camera.bayer else channel
    detector = make_detector(camera, defects, seed=seed)
    runs = run_of(camera, field, lights, incidents, defects, seed=seed)
    return SimulatedSession(
        camera=camera,
        field=field,
        channel=filter_channel,
        detector=detector,
        lights=[
            expose(
                detector, field, circumstances, channel=filter_channel, seed=seed, frame_number=k
            )
            for k, circumstances in enumerate(runs)
        ],
        bias=bias_frames(detector, bias, seed=seed),
        darks=dark_frames(detector, darks, seed=seed),
        flats=flat_frames(detector, flats, seed=seed, channel=channel),
        flat_exposure_s=FLAT_EXPOSURE_S,
    )


def bias_frames(detector: Detector, count: int, *, seed: int) -> list[Counts]:
    """Bias frames, counts (ny, nx)."""
    return [detector.bias_frame(_rng(seed, k, 0xB1)) for k in range(count)]


def dark_frames(detector: Detector, count: int, *, seed: int) -> list[Counts]:
    """Dark frames of the lights' exposure time, counts (ny, nx)."""
    exposure_s = detector.camera.exposure_s
    return [detector.dark_frame(exposure_s, _rng(seed, k, 0xDA)) for k in range(count)]


def flat_frames(detector: Detector, count: int, *, seed: int, channel: str = "G") -> list[Counts]:
    """Flats of `FLAT_EXPOSURE_S`, of levels that differ by up to 12 %, as the dusk's do."""
    return [
        detector.flat_frame(
            FLAT_EXPOSURE_S,
            flat_level(k, count),
            _rng(seed, k, 0xF1),
            channel,
        )
        for k in range(count)
    ]


def flat_level(k: int, count: int) -> float:
    """Brightness of the evening sky in the ``k``-th of ``count`` flats."""
    return 1 - 0.12 * k / max(count, 1)


def _rng(seed: int, number: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, number, purpose])
