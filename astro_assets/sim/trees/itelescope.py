"""iTelescope's tree: calibrated frames in zips, below a folder per telescope.

OBJECT, TELESCOP and OBSERVER are blank in the headers, as they are there; names carry the
telescope's local time and the date of the observing night.
"""

from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from astro_assets.sim.cameras import NGC_7000, T20
from astro_assets.sim.conditions import Conditions, Incidents, run_of
from astro_assets.sim.detector import Detector, make_detector
from astro_assets.sim.exposure import Exposure, expose
from astro_assets.sim.trees.plan import Job, NightPlan, fits_time, sexagesimal
from astro_assets.sim.truth import FrameTruth
from astro_assets.sim.truth_writer import Cards, fits_bytes, sha256, zip_bytes

SOURCE = "itelescope"
_SITE = ZoneInfo("America/Denver")
_FOCAL_LENGTH_MM = 530.0
_FILTERS = {"Red": "R", "Green": "G", "Blue": "B"}
_READ_OUT_S = 22.0
_TONIGHT = {
    "Red": Incidents(cloud=(2,)),
    "Green": Incidents(trailing=(3,)),
    "Blue": Incidents(satellite=(1,)),
}
_THE_NIGHT_BEFORE = {"Blue": Incidents(defocus=(3,))}


def jobs(plan: NightPlan) -> list[Job]:
    """Everything to do for this source, in pieces."""
    detector = make_detector(plan.camera(T20), plan.defects, seed=plan.seed)
    plan.writer.detector(SOURCE, detector)
    pieces: list[Job] = [partial(_others, plan, detector)]
    nights = ((1, _THE_NIGHT_BEFORE), (0, _TONIGHT)) if plan.size == "demo" else ((0, _TONIGHT),)
    for days_before, incidents in nights:
        number = 0
        for k, name in enumerate(_FILTERS):
            run = run_of(
                detector.camera, NGC_7000, plan.lights_per_filter,
                incidents.get(name, Incidents()), plan.defects,
                seed=plan.seed, run=10 * days_before + k,
            )  # fmt: skip
            for sequence, conditions in enumerate(run, start=1):
                start = plan.moment(26, 10) - timedelta(days=days_before)
                start += timedelta(seconds=number * (detector.camera.exposure_s + _READ_OUT_S))
                frame = _Frame(plan, detector, conditions, name, sequence, start, days_before)
                pieces.append(partial(frame.write, number))
                number += 1
    return pieces


class _Frame:
    """One light frame, its names and its header."""

    def __init__(
        self,
        plan: NightPlan,
        detector: Detector,
        conditions: Conditions,
        filter_name: str,
        sequence: int,
        start_utc: datetime,
        days_before: int,
    ) -> None:
        self.plan, self.detector, self.conditions = plan, detector, conditions
        self.filter_name, self.start_utc, self.days_before = filter_name, start_utc, days_before
        self.night = plan.night - timedelta(days=days_before)
        local = start_utc.astimezone(_SITE)
        self.tail = (
            f"T20-observer-NGC_7000-{self.night:%Y%m%d}-{local:%H%M%S}-{filter_name}-BIN1-W-"
            f"{detector.camera.exposure_s:.0f}-{sequence:03d}"
        )
        self.folder = f"T20/NGC 7000/{self.night:%Y%m%d}"

    def write(self, number: int) -> None:
        exposure = expose(
            self.detector, NGC_7000, self.conditions, channel=_FILTERS[self.filter_name],
            seed=self.plan.seed, frame_number=10_000 + 1000 * self.days_before + number,
        )  # fmt: skip
        camera = self.detector.camera
        stem = f"calibrated-{self.tail}"
        corrected = self.detector.corrected(exposure.counts_adu, camera.exposure_s)
        content = fits_bytes(_integers(corrected, exposure.counts_adu), self._cards(True))
        packed = zip_bytes(f"{stem}.fit", content)
        path = f"{self.folder}/{stem}.fit.zip"
        self.plan.writer.served(SOURCE, path, packed)
        truth = FrameTruth(
            source=SOURCE, frame_id=stem, remote_path=path, member=f"{stem}.fit", file=path,
            kind="light", night=self.night.isoformat(), start_utc=fits_time(self.start_utc),
            exposure_s=camera.exposure_s, sha256=sha256(packed), fits_sha256=sha256(content),
            shape=camera.shape, gain_e_per_adu=camera.gain_e_per_adu,
            read_noise_e=camera.read_noise_e, target="NGC 7000", filter=self.filter_name,
        )  # fmt: skip
        self.plan.writer.light(truth, exposure)
        if number == 0 and self.days_before == 0:
            self._write_raw_twin(exposure)

    def _write_raw_twin(self, exposure: Exposure) -> None:
        stem = f"raw-{self.tail}"
        content = fits_bytes(exposure.counts_adu, self._cards(False))
        self.plan.writer.other(
            SOURCE, f"{self.folder}/{stem}.fit.zip", zip_bytes(f"{stem}.fit", content)
        )

    def _cards(self, calibrated: bool) -> Cards:
        camera = self.detector.camera
        pixel_um = round(camera.scale_arcsec * _FOCAL_LENGTH_MM / 206.265, 3)
        ra, dec = sexagesimal(NGC_7000.ra_deg, NGC_7000.dec_deg)
        cards: Cards = {
            "OBJECT": "",
            "TELESCOP": "",
            "OBSERVER": "",
            "INSTRUME": "SBIG STL-11000 3 CCD Camera",
            "DATE-OBS": fits_time(self.start_utc),
            "EXPTIME": camera.exposure_s,
            "EXPOSURE": camera.exposure_s,
            "SET-TEMP": -25.0,
            "CCD-TEMP": -24.9,
            "XPIXSZ": pixel_um,
            "YPIXSZ": pixel_um,
            "XBINNING": 1,
            "YBINNING": 1,
            "IMAGETYP": "Light Frame",
            "FILTER": self.filter_name,
            "FOCALLEN": _FOCAL_LENGTH_MM,
            "APTDIA": 106.0,
            "EGAIN": camera.gain_e_per_adu,
            "RDNOISE": camera.read_noise_e,
            "PIERSIDE": "WEST",
            "OBJCTRA": ra,
            "OBJCTDEC": dec,
            "SATURATE": camera.saturation_adu,
        }
        if calibrated:
            cards |= {"CALSTAT": "BDF", "SATURATE": _saturation_after_correction(self.detector)}
        return cards


def _saturation_after_correction(detector: Detector) -> int:
    """The lowest count that a full pixel can have once bias, dark and flat are done."""
    camera = detector.camera
    full = np.full(camera.shape, camera.saturation_adu, np.uint16)
    return int(np.percentile(detector.corrected(full, camera.exposure_s), 0.5)) // 100 * 100


def _integers(
    corrected: NDArray[np.float32], counts: NDArray[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    return np.clip(np.rint(corrected), 0, np.iinfo(counts.dtype).max).astype(counts.dtype)


def _others(plan: NightPlan, detector: Detector) -> None:
    """What the default selection leaves alone: the masters' library and a folder of notes."""
    dark_adu = detector.dark_e_per_s * detector.camera.exposure_s / detector.camera.gain_e_per_adu
    master = (dark_adu + detector.bias_adu).astype(np.float32)
    cards: Cards = {"IMAGETYP": "Master Dark", "EXPTIME": detector.camera.exposure_s}
    size = f"{detector.camera.shape[1]}x{detector.camera.shape[0]}"
    folder = f"CALIBRATION FILES/T20/Masters/Darks/{plan.night:%Y-%m}"
    name = f"Master_Dark_1_{size}_Bin1x1_Temp-25C_ExpTime{detector.camera.exposure_s:.0f}s.fit"
    plan.writer.other(SOURCE, f"{folder}/{name}", fits_bytes(master, cards | {"CALSTAT": "BM"}))
    note = b"Calibrated images appear in your telescope's folder.\r\n"
    plan.writer.other(SOURCE, "Notices/calibrated-README.txt", note)
    elsewhere = zip_bytes("calibrated-example.fit", fits_bytes(master[:32, :32], cards))
    plan.writer.other(SOURCE, "Notices/calibrated-example.fit.zip", elsewhere)
