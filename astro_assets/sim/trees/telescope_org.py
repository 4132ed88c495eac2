"""telescope.org's jobs: one FITS per filter, with the odd headers of that telescope.

Frames are dark-subtracted and flat-fielded, with 32 columns and rows of overscan at the right and
the top; the telescope calls itself 'undefined'.
"""

import json
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.cameras import CLUSTER, M_45
from astro_assets.sim.conditions import Conditions, Incidents, run_of
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import expose
from astro_assets.sim.trees.plan import Job, NightPlan, fits_time, sexagesimal
from astro_assets.sim.truth import FrameTruth
from astro_assets.sim.truth_writer import Cards, fits_bytes, sha256

SOURCE = "telescope_org"
OVERSCAN_PX = 32
_FILTERS = {"B": "B", "V": "G", "R": "R"}
_FIRST_JID, _FIRST_RID = 423183, 771716
_SECONDS_PER_JOB = 300.0


def jobs(plan: NightPlan) -> list[Job]:
    """Everything to do for this source, in pieces."""
    detector = make_detector(plan.camera(CLUSTER), plan.defects, seed=plan.seed)
    plan.writer.detector(SOURCE, detector)
    pieces: list[Job] = [partial(_write_jobs, plan, detector)]
    for k, name in enumerate(_FILTERS):
        run = run_of(
            detector.camera, M_45, plan.lights_per_filter, Incidents(), plan.defects,
            seed=plan.seed, run=100 + k,
        )  # fmt: skip
        pieces.extend(
            partial(_write, plan, detector, conditions, job, k, name)
            for job, conditions in enumerate(run)
        )
    return pieces


def _write(
    plan: NightPlan, detector: Detector, conditions: Conditions, job: int, k: int, name: str
) -> None:
    camera = detector.camera
    exposure = expose(
        detector, M_45, conditions, channel=_FILTERS[name], seed=plan.seed,
        frame_number=20_000 + 10 * job + k,
    )  # fmt: skip
    start = plan.moment(22, 15, seconds=_SECONDS_PER_JOB * job + 90 * k)
    corrected = detector.corrected(exposure.counts_adu, camera.exposure_s)
    ra, dec = sexagesimal(M_45.ra_deg, M_45.dec_deg)
    cards: Cards = {
        "OBJECT": M_45.target,
        "TELESCOP": "undefined",
        "RADECSYS": "FK5",
        "EPOCH": "REAL",
        "OBJCTRA": ra,
        "OBJCTDEC": dec,
        "DATE-OBS": fits_time(start),
        "EXPTIME": camera.exposure_s,
        "FILTER": name,
        "CCD-TEMP": -20.0,
        "XBINNING": 1,
        "YBINNING": 1,
        "EGAIN": camera.gain_e_per_adu,
    }
    noise = np.random.default_rng([plan.seed, job, k, 0x05])
    image = _with_overscan(corrected, detector, noise, exposure.counts_adu.dtype)
    content = fits_bytes(image, cards)
    jid = _FIRST_JID + job
    path = f"{jid}/{name}.fits"
    plan.writer.served(SOURCE, path, content)
    truth = FrameTruth(
        source=SOURCE, frame_id=f"{jid}-{name}", remote_path=f"{jid}.zip",
        member=f"{jid}-{name}.fits", file=path, kind="light", night=plan.night.isoformat(),
        start_utc=fits_time(start), exposure_s=camera.exposure_s, sha256=sha256(content),
        fits_sha256=sha256(content), shape=camera.shape, gain_e_per_adu=camera.gain_e_per_adu,
        read_noise_e=camera.read_noise_e, target=M_45.target, filter=name,
    )  # fmt: skip
    plan.writer.light(truth, exposure)


def _with_overscan(
    corrected: NDArray[np.float32],
    detector: Detector,
    rng: np.random.Generator,
    dtype: np.dtype[np.unsignedinteger],
) -> NDArray[np.unsignedinteger]:
    """The frame with its overscan, which holds read noise about zero once the dark is off."""
    ny, nx = corrected.shape
    image = rng.normal(
        0, detector.camera.read_noise_e / detector.camera.gain_e_per_adu,
        (ny + OVERSCAN_PX, nx + OVERSCAN_PX),
    )  # fmt: skip
    image[:ny, :nx] = corrected
    return np.clip(np.rint(image), 0, np.iinfo(dtype).max).astype(dtype)


def _write_jobs(plan: NightPlan, detector: Detector) -> None:
    """`jobs.json`: the complete jobs, two requests that still wait, and one that expired."""
    requests = []
    waiting = ((3, "M 1", 83.633, 22.014), (3, "M 33", 23.462, 30.660), (20, "M 13", 250.42, 36.46))
    for k in range(plan.lights_per_filter):
        done = plan.moment(22, 15, seconds=_SECONDS_PER_JOB * (k + 1))
        entry = _request(plan, k, M_45.target, M_45.ra_deg, M_45.dec_deg, detector)
        requests.append(
            entry
            | {"jid": _FIRST_JID + k, "completed_utc": done.isoformat(), "status": 8, "flatid": 31}
        )
    for k, (status, name, ra_deg, dec_deg) in enumerate(waiting, start=plan.lights_per_filter):
        requests.append(_request(plan, k, name, ra_deg, dec_deg, detector) | {"status": status})
    plan.writer.served(SOURCE, "jobs.json", (json.dumps(requests, indent=1) + "\n").encode())


def _request(
    plan: NightPlan, k: int, name: str, ra_deg: float, dec_deg: float, detector: Detector
) -> dict[str, object]:
    ra, dec = sexagesimal(ra_deg, dec_deg)
    return {
        "jid": None,
        "rid": _FIRST_RID + k,
        "objecttype": "RADEC",
        "objectname": name,
        "objectid": f"{ra.replace(' ', ':')} {dec.replace(' ', ':')}",
        "telescope": detector.camera.name,
        "exposure_ms": int(1000 * detector.camera.exposure_s),
        "filters": list(_FILTERS),
        "completed_utc": None,
        "requesttime": int((plan.moment(14, k) - timedelta(days=3)).timestamp()),
        "status": 3,
        "flatid": None,
    }
