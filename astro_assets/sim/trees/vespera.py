"""The Vespera's tree: a folder per session, with stages, sidecars and one dark."""

import json
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.cameras import M_31, VESPERA
from astro_assets.sim.conditions import Conditions, Incidents, run_of
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import expose
from astro_assets.sim.trees.plan import Job, NightPlan, fits_time
from astro_assets.sim.truth import FrameTruth
from astro_assets.sim.truth_writer import Cards, fits_bytes, sha256

SOURCE = "vespera"
_ROOT = "user"
_FOCAL_LENGTH_MM = 249.5
_SECONDS_PER_FRAME = 12.0
_INCIDENTS = Incidents(defocus=(4,), cloud=(8,), reversed=(1, 6))


def jobs(plan: NightPlan) -> list[Job]:
    """Everything to do for this source, in pieces."""
    detector = make_detector(plan.camera(VESPERA), plan.defects, seed=plan.seed)
    plan.writer.detector(SOURCE, detector)
    run = run_of(
        detector.camera, M_31, plan.lights, _INCIDENTS, plan.defects, seed=plan.seed, run=200
    )
    begin = plan.moment(21, 4, seconds=47)
    session = f"{begin:%Y-%m-%d_%H-%M-%S}_observation_M31"
    pieces: list[Job] = [
        partial(_write_dark, plan, detector, session),
        partial(_write_others, plan, detector, session),
    ]
    pieces.extend(
        partial(_write_light, plan, detector, session, conditions, k)
        for k, conditions in enumerate(run)
    )
    return pieces


def _write_light(
    plan: NightPlan, detector: Detector, session: str, conditions: Conditions, k: int
) -> None:
    """A light. One that was taken upside down is turned back, as the telescope does.

    The sky is upright then, and it is the detector that lies upside down, with its Bayer pattern
    and its bad pixels.
    """
    upside_down = conditions.pointing.reversed
    exposure = expose(
        detector, M_31, conditions, channel=None, seed=plan.seed, frame_number=30_000 + k
    )
    camera = detector.camera
    assert camera.bayer is not None
    stem = f"img-{k + 1:04d}" + ("r" if upside_down else "")
    start = plan.moment(21, 9, seconds=_SECONDS_PER_FRAME * k)
    bayer = camera.bayer[::-1] if upside_down else camera.bayer
    counts = exposure.counts_adu[::-1, ::-1] if upside_down else exposure.counts_adu
    content = fits_bytes(counts, _cards(detector, start, bayer) | {"IMAGETYP": "Light"})
    path = f"{session}/01-images-initial/{stem}"
    plan.writer.served(SOURCE, f"{_ROOT}/{path}.fits", content)
    plan.writer.served(SOURCE, f"{_ROOT}/{path}.json", _sidecar(detector, k))
    truth = FrameTruth(
        source=SOURCE, frame_id=f"01-images-initial_{stem}", remote_path=f"{path}.fits", member="",
        file=f"{_ROOT}/{path}.fits", kind="light", night=plan.night.isoformat(),
        start_utc=fits_time(start), exposure_s=camera.exposure_s, sha256=sha256(content),
        fits_sha256=sha256(content), shape=camera.shape, gain_e_per_adu=camera.gain_e_per_adu,
        read_noise_e=camera.read_noise_e, bayer=bayer, target="M31", reversed=upside_down,
    )  # fmt: skip
    plan.writer.light(truth, exposure.upside_down() if upside_down else exposure)


def _write_dark(plan: NightPlan, detector: Detector, session: str) -> None:
    camera = detector.camera
    start = plan.moment(21, 7)
    counts = detector.dark_frame(camera.exposure_s, np.random.default_rng([plan.seed, 31_000]))
    cards = _cards(detector, start, camera.bayer or "") | {"IMAGETYP": "Dark"}
    content = fits_bytes(counts, cards)
    path = f"{session}/img-0001-dark.fits"
    plan.writer.served(SOURCE, f"{_ROOT}/{path}", content)
    truth = FrameTruth(
        source=SOURCE,
        frame_id="img-0001-dark",
        remote_path=path,
        member="",
        file=f"{_ROOT}/{path}",
        kind="dark",
        night=plan.night.isoformat(),
        start_utc=fits_time(start),
        exposure_s=camera.exposure_s,
        sha256=sha256(content),
        fits_sha256=sha256(content),
        shape=camera.shape,
        bayer=camera.bayer,
        gain_e_per_adu=camera.gain_e_per_adu,
        read_noise_e=camera.read_noise_e,
    )  # fmt: skip
    plan.writer.calibration(truth)


def _write_others(plan: NightPlan, detector: Detector, session: str) -> None:
    """A pointing frame and a focus frame: no science."""
    camera = detector.camera
    run = run_of(camera, M_31, 2, Incidents(defocus=(1,)), plan.defects, seed=plan.seed, run=201)
    names = ("01-pointing-initial/img-0001.fits", "02-images-adjust-focus/img-0001r.fits")
    for k, (name, conditions) in enumerate(zip(names, run, strict=True)):
        exposure = expose(
            detector, M_31, conditions, channel=None, seed=plan.seed, frame_number=32_000 + k
        )
        counts: NDArray[np.unsignedinteger] = exposure.counts_adu
        cards = _cards(detector, plan.moment(21, 5 + k), camera.bayer or "")
        content = fits_bytes(counts, cards | {"IMAGETYP": "Light"})
        plan.writer.other(SOURCE, f"{_ROOT}/{session}/{name}", content)


def _cards(detector: Detector, start_utc: datetime, bayer: str) -> Cards:
    camera = detector.camera
    return {
        "INSTRUME": camera.name,
        "TELESCOP": camera.name,
        "OBJECT": "M31",
        "DATE-OBS": fits_time(start_utc),
        "EXPTIME": camera.exposure_s,
        "GAIN": 20,
        "EGAIN": camera.gain_e_per_adu,
        "CCD-TEMP": 18.5,
        "XBINNING": 1,
        "YBINNING": 1,
        "XPIXSZ": round(camera.scale_arcsec * _FOCAL_LENGTH_MM / 206.265, 3),
        "FOCALLEN": _FOCAL_LENGTH_MM,
        "BAYERPAT": bayer,
        "RA": M_31.ra_deg,
        "DEC": M_31.dec_deg,
    }


def _sidecar(detector: Detector, k: int) -> bytes:
    content = {"index": k + 1, "exposure_s": detector.camera.exposure_s, "gain": 20}
    return (json.dumps(content) + "\n").encode()
