"""One raw frame in electrons: its masters read and applied, as far as it has not lost them before.

What belongs here: from matched files to `imaging.calibrate`. What does not: which files
(`matching`), cosmic rays and products (`calibrate`).
"""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_assets.frame import Frame
from astro_assets.imaging.calibrate import Calibrated, Masters, adopt, calibrate
from astro_assets.imaging.variance import variance_e2
from astro_assets.steps.detector import Detector
from astro_assets.steps.inputs import OpenedFrame
from astro_assets.steps.matching import MasterFile, Matched
from astro_assets.steps.recipe import Recipe
from astro_assets.store import read_image

_KEPT = 6
"""masters in memory: a dark, the bad pixels, and the flats of neighbouring frames"""


class MasterPlanes:
    """The pixels of masters, for the frames of a session: each is read once, by whoever is first.

    Those that were not asked for the longest time are forgotten.
    """

    def __init__(self) -> None:
        self._planes: OrderedDict[tuple[Path, str, bool], NDArray[Any]] = OrderedDict()
        self._reading = threading.Lock()

    def of(self, master: MasterFile | None, frame: Frame) -> NDArray[Any] | None:
        """The master as the frame's detector lies: upside down where its colour matrix does.

        A telescope that turns a frame after its mount has flipped turns the detector's flaws with
        it. float32, and uint8 for bad pixels.
        """
        if master is None:
            return None
        pattern = master.bayer_pattern
        upside_down = pattern is not None and frame.bayer_pattern == pattern[::-1]
        key = (master.path, master.digest, upside_down)
        with self._reading:
            if key not in self._planes:
                self._planes[key] = _read(master, upside_down)
            self._planes.move_to_end(key)
            while len(self._planes) > _KEPT:
                self._planes.popitem(last=False)
            return self._planes[key]


def _read(master: MasterFile, upside_down: bool) -> NDArray[Any]:
    image: NDArray[Any] = read_image(master.path).image
    if master.kind == "bad_pixels":
        image = image.astype(np.uint8)
    return np.ascontiguousarray(image[::-1, ::-1]) if upside_down else image


def adopts(frame: Frame, recipe: Recipe) -> bool:
    """Whether the frame's provider has corrected it: dark and flat are done."""
    return recipe.arrives_calibrated or {"D", "F"} <= set(frame.calibration_status)


def status(frame: Frame, matched: Matched, recipe: Recipe) -> str:
    """CALSTAT: what has been corrected, by the provider or here."""
    if adopts(frame, recipe):
        return frame.calibration_status or "BDF"
    done = frame.calibration_status
    bias = matched.bias is not None or matched.dark is not None
    parts = {"B": bias, "D": matched.dark is not None, "F": matched.flat is not None}
    return "".join(letter for letter, here in parts.items() if here or letter in done)


def electrons(
    opened: OpenedFrame, matched: Matched, recipe: Recipe, detector: Detector, planes: MasterPlanes
) -> Calibrated:
    """The frame with what is missing of bias, dark and flat.

    Raises
    ------
    NoMatchingMaster : the masters do not go together
    """
    frame = opened.frame
    if adopts(frame, recipe):
        return adopt(
            opened.image_adu,
            gain_e_per_adu=detector.gain_e_per_adu,
            saturation_adu=detector.saturation_adu,
            pedestal_adu=frame.pedestal_adu,
        )
    return calibrate(
        opened.image_adu,
        masters=_masters(frame, matched, planes),
        exposure_s=float(frame.exposure_s or 0.0),
        gain_e_per_adu=detector.gain_e_per_adu,
        saturation_adu=detector.saturation_adu,
        pedestal_adu=frame.pedestal_adu,
        overscan_adu=opened.overscan_adu,
    )


def variance(
    opened: OpenedFrame,
    matched: Matched,
    done: Calibrated,
    recipe: Recipe,
    detector: Detector,
    planes: MasterPlanes,
) -> NDArray[np.float32]:
    """The variance of each pixel, squared electrons."""
    frame = opened.frame
    taken = Masters() if adopts(frame, recipe) else _masters(frame, matched, planes)
    dark_e = None
    if taken.dark is not None and taken.dark_exposure_s:
        factor = float(frame.exposure_s or 0.0) / taken.dark_exposure_s * detector.gain_e_per_adu
        # A dark that holds its bias tells the dark current above its own level only.
        level = np.median(taken.dark) if taken.dark_has_bias else 0.0
        dark_e = np.maximum((taken.dark - np.float32(level)) * np.float32(factor), 0)
    return variance_e2(
        done.image_e,
        done.mask,
        read_noise_e=detector.read_noise_e,
        gain_e_per_adu=detector.gain_e_per_adu,
        flat=None if taken.flat is None else np.asarray(taken.flat, np.float32),
        dark_e=dark_e,
    )


def _masters(frame: Frame, matched: Matched, planes: MasterPlanes) -> Masters:
    dark = matched.dark
    return Masters(
        bias=planes.of(matched.bias, frame),
        dark=planes.of(dark, frame),
        dark_exposure_s=dark.exposure_s if dark else None,
        dark_has_bias=dark is not None and not dark.bias_subtracted,
        flat=planes.of(matched.flat, frame),
        bad_pixels=planes.of(matched.bad_pixels, frame),
        bias_is_off=bool(set(frame.calibration_status) & {"B", "D"}),
    )
