"""Gain, read noise and saturation of one frame: what is known of its detector, and from whom.

What belongs here: which of several sources of a figure is believed. What does not: measuring it
(`imaging.noise`).
"""

from dataclasses import dataclass

from astropy.io import fits

from astro_assets.steps import provenance
from astro_assets.steps.inputs import OpenedFrame
from astro_assets.steps.matching import Matched
from astro_assets.steps.recipe import Recipe

_DEFAULT_READ_NOISE_E = 5.0
_MASTER = "master"


@dataclass(frozen=True, slots=True)
class Detector:
    """Of one frame. ``_from`` says who told; an error is None for what nobody measured."""

    gain_e_per_adu: float
    gain_error: float | None
    gain_from: str
    read_noise_e: float
    read_noise_error_e: float | None
    read_noise_from: str
    saturation_adu: float

    @property
    def saturation_e(self) -> float:
        return self.saturation_adu * self.gain_e_per_adu


def detector_of(
    opened: OpenedFrame, matched: Matched, recipe: Recipe, configured_gain: float | None
) -> Detector:
    """The frame's header, then the settings, then the masters say the gain; 1 when nobody does.

    The read noise that was measured on biases goes before the one that a header states.
    """
    frame = opened.frame
    gain, gain_error, gain_from = _gain(frame.gain_e_per_adu, matched, configured_gain)
    measured = matched.read_noise_from
    bound = measured is not None and measured.read_noise_error_adu is None  # of darks
    if measured is not None and measured.read_noise_adu and not (bound and frame.read_noise_e):
        error = measured.read_noise_error_adu
        noise = measured.read_noise_adu * gain
        noise_error = None if error is None else error * gain
        noise_from = f"{_MASTER} {measured.path.stem}"
    else:
        noise = frame.read_noise_e or _DEFAULT_READ_NOISE_E
        noise_error = None
        noise_from = "the frame's header" if frame.read_noise_e else "nobody: assumed"
    return Detector(
        gain, gain_error, gain_from, noise, noise_error, noise_from,
        frame.saturation_adu or recipe.saturation_adu,
    )  # fmt: skip


def _gain(
    stated: float | None, matched: Matched, configured: float | None
) -> tuple[float, float | None, str]:
    if stated:
        return stated, None, "the frame's header"
    if configured:
        return configured, None, "the settings"
    master = matched.gain_from
    if master is not None and master.gain_e_per_adu:
        return master.gain_e_per_adu, master.gain_error, f"{_MASTER} {master.path.stem}"
    return 1.0, None, "nobody: assumed"


def describe_detector(header: fits.Header, detector: Detector) -> None:
    """Gain, read noise and saturation, each with who says so, and its error where it has one."""
    header["EGAIN"] = (detector.gain_e_per_adu, f"[e-/adu] gain, from {_who(detector.gain_from)}")
    if detector.gain_error is not None:
        header["EGAINERR"] = (detector.gain_error, "[e-/adu]")
    header["RDNOISE"] = (
        detector.read_noise_e,
        f"[e-] read noise, from {_who(detector.read_noise_from)}",
    )
    if detector.read_noise_error_e is not None:
        header["RDNOIERR"] = (detector.read_noise_error_e, "[e-]")
    header["SATURATE"] = (detector.saturation_e, "[e-]")
    for what, who in (("gain", detector.gain_from), ("read noise", detector.read_noise_from)):
        if who.startswith(_MASTER):
            provenance.note(header, f"{what} from {who}")


def _who(name: str) -> str:
    """Short enough for a comment: a master's whole name is in the history."""
    return "a master" if name.startswith(_MASTER) else name
