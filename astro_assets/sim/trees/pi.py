"""The Raspberry Pi's captures: raw counts, lights and calibrations of a ZWO colour camera.

With `capture="on-arm"` the lights wait in `.prepared` until somebody arms the night.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.sim.cameras import ASI, M_42
from astro_assets.sim.conditions import Conditions, Incidents, run_of
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import expose
from astro_assets.sim.session import FLAT_EXPOSURE_S, flat_level
from astro_assets.sim.trees.plan import Job, NightPlan, fits_time
from astro_assets.sim.truth import FrameTruth
from astro_assets.sim.truth_writer import Cards, fits_bytes, sha256

SOURCE = "pi"
_FOCAL_LENGTH_MM = 159.0
_BIAS_EXPOSURE_S = 0.000032
_SECONDS_PER_FRAME = 11.0
_INCIDENTS = Incidents(trailing=(3,), cloud=(9,), satellite=(5,))
_WORDS = {"light": "Light Frame", "bias": "Bias Frame", "dark": "Dark Frame", "flat": "Flat Field"}
_FACTS = (
    "IMAGETYP", "OBJECT", "DATE-OBS", "EXPTIME", "INSTRUME", "TELESCOP", "FILTER", "BAYERPAT",
    "GAIN", "EGAIN", "OFFSET", "CCD-TEMP", "SET-TEMP", "XBINNING", "YBINNING",
)  # fmt: skip

Read = Callable[[np.random.Generator], NDArray[np.unsignedinteger]]


def jobs(plan: NightPlan) -> list[Job]:
    """Everything to do for this source, in pieces; `finish` has to follow."""
    detector = make_detector(plan.camera(ASI), plan.defects, seed=plan.seed)
    plan.writer.detector(SOURCE, detector)
    run = run_of(
        detector.camera, M_42, plan.lights, _INCIDENTS, plan.defects, seed=plan.seed, run=300
    )
    lights: list[Job] = [
        partial(_write_light, plan, detector, conditions, k) for k, conditions in enumerate(run)
    ]
    return lights + _calibrations(plan, detector)


def finish(plan: NightPlan) -> None:
    """The manifest and the status of what has been taken."""
    folder = plan.writer.root / "served" / SOURCE / "captures" / plan.night.isoformat()
    records = [_record(file) for file in folder.glob("*.fits")]
    records.sort(key=lambda record: (record["time"], record["file"]))
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "manifest.jsonl").write_text(lines, encoding="utf-8")
    if plan.capture == "done":
        status = {
            "night": plan.night.isoformat(),
            "phase": "done",
            "frames": len(records),
            "updated": records[-1]["time"],
        }
        (folder / "status.json").write_text(json.dumps(status), encoding="utf-8")


def _record(file: Path) -> dict[str, object]:
    content = file.read_bytes()
    header = fits.getheader(file)
    end = datetime.fromisoformat(header["DATE-OBS"] + "+00:00")
    end += timedelta(seconds=header["EXPTIME"])
    return {
        "file": file.name,
        "size": len(content),
        "sha256": sha256(content),
        "time": end.isoformat(timespec="milliseconds"),
        "facts": {key: str(header[key]) for key in _FACTS if key in header},
    }


def _write_light(plan: NightPlan, detector: Detector, conditions: Conditions, k: int) -> None:
    exposure = expose(
        detector, M_42, conditions, channel=None, seed=plan.seed, frame_number=40_000 + k
    )
    start = plan.moment(25, 30, seconds=_SECONDS_PER_FRAME * k)
    truth = _write_frame(
        plan, detector, exposure.counts_adu, "light", f"light-M42-{k + 1:04d}", start,
        detector.camera.exposure_s,
    )  # fmt: skip
    plan.writer.light(truth, exposure)


def _calibrations(plan: NightPlan, detector: Detector) -> list[Job]:
    """Bias, darks of the lights' exposure (two fewer), and flats of the evening sky."""
    n, exposure_s = plan.calibrations, detector.camera.exposure_s
    dark: Read = partial(detector.dark_frame, exposure_s)
    flats: list[Read] = [
        partial(detector.flat_frame, FLAT_EXPOSURE_S, flat_level(k, n)) for k in range(n)
    ]
    kinds: list[tuple[str, float, int, list[Read]]] = [
        ("flat", FLAT_EXPOSURE_S, 18, flats),
        ("bias", _BIAS_EXPOSURE_S, 19, [detector.bias_frame] * n),
        ("dark", exposure_s, 20, [dark] * (n - 2)),
    ]
    return [
        partial(_write_calibration, plan, detector, kind, read, k, hour, seconds)
        for kind, seconds, hour, reads in kinds
        for k, read in enumerate(reads)
    ]


def _write_calibration(
    plan: NightPlan,
    detector: Detector,
    kind: str,
    read: Read,
    k: int,
    hour: int,
    exposure_s: float,
) -> None:
    counts = read(np.random.default_rng([plan.seed, 41_000 + 100 * hour + k]))
    start = plan.moment(hour, 0, seconds=_SECONDS_PER_FRAME * k)
    name = f"{kind}-{k + 1:04d}"
    plan.writer.calibration(_write_frame(plan, detector, counts, kind, name, start, exposure_s))


def _write_frame(
    plan: NightPlan,
    detector: Detector,
    counts: NDArray[np.unsignedinteger],
    kind: str,
    name: str,
    start: datetime,
    exposure_s: float,
) -> FrameTruth:
    camera = detector.camera
    content = fits_bytes(counts, _cards(detector, kind, start, exposure_s))
    path = f"{plan.night.isoformat()}/{name}.fits"
    waits = kind == "light" and plan.capture == "on-arm"
    file = f".prepared/{path}" if waits else f"captures/{path}"
    plan.writer.served(SOURCE, file, content)
    return FrameTruth(
        source=SOURCE, frame_id=name, remote_path=path, member="", file=file, kind=kind,
        night=plan.night.isoformat(), start_utc=fits_time(start), exposure_s=exposure_s,
        sha256=sha256(content), fits_sha256=sha256(content), shape=camera.shape,
        bayer=camera.bayer, gain_e_per_adu=camera.gain_e_per_adu,
        read_noise_e=camera.read_noise_e, target=M_42.target if kind == "light" else None,
    )  # fmt: skip


def _cards(detector: Detector, kind: str, start: datetime, exposure_s: float) -> Cards:
    camera = detector.camera
    cards: Cards = {
        "IMAGETYP": _WORDS[kind],
        "INSTRUME": camera.name,
        "TELESCOP": "Pi with a lens",
        "DATE-OBS": fits_time(start),
        "EXPTIME": exposure_s,
        "GAIN": 120,
        "OFFSET": 30,
        "EGAIN": camera.gain_e_per_adu,
        "CCD-TEMP": -10.0,
        "SET-TEMP": -10.0,
        "XBINNING": 1,
        "YBINNING": 1,
        "XPIXSZ": round(camera.scale_arcsec * _FOCAL_LENGTH_MM / 206.265, 3),
        "FOCALLEN": _FOCAL_LENGTH_MM,
        "BAYERPAT": camera.bayer or "",
    }
    if kind == "light":
        cards |= {"OBJECT": M_42.target, "RA": M_42.ra_deg, "DEC": M_42.dec_deg}
    return cards
