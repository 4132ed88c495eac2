"""The header of a master: what it is of, and what was measured on it.

What belongs here: keywords, which `master_files` reads back. What does not: pixels (`masters`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from astropy.io import fits

from astro_assets.frame import Frame, FrameKind
from astro_assets.imaging.masters import Master
from astro_assets.steps import provenance
from astro_assets.steps.master_files import MasterFile

_OFF_BY = 0.2
"""A stated gain that is farther from the measured one is told."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Gain and read noise, None where nobody knows.

    stated_gain : of header or settings
    gain, gain_error : as flats show it, e-/ADU
    read_noise_adu, read_noise_error_adu : as biases show it
    known_gain : the best of these, and of other masters
    """

    stated_gain: float | None
    gain: float | None
    gain_error: float | None
    read_noise_adu: float | None
    read_noise_error_adu: float | None
    known_gain: float | None

    def figures(self) -> dict[str, int | float | str]:
        """As metadata; errors beside what was measured."""
        found: dict[str, int | float | str] = {}
        if self.read_noise_adu is not None:
            found["read_noise_adu"] = round(self.read_noise_adu, 3)
            if self.read_noise_error_adu is not None:
                found["read_noise_error_adu"] = round(self.read_noise_error_adu, 4)
            if self.known_gain is not None:
                found["read_noise_e"] = round(self.read_noise_adu * self.known_gain, 3)
        if self.known_gain is not None:
            found["gain_e_per_adu"] = round(self.known_gain, 4)
        if self.gain_error is not None:
            found["gain_error"] = round(self.gain_error, 5)
        return found

    def doubt(self) -> str:
        """A sentence where the gain that was told is not the one that the flats show."""
        if self.stated_gain is None or self.gain is None or self.gain_error is None:
            return ""
        apart = abs(self.stated_gain - self.gain)
        if apart <= max(_OFF_BY * self.gain, 5 * self.gain_error):
            return ""
        return (
            f"these flats show a gain of {self.gain:.3g} ± {self.gain_error:.2g} e-/ADU, where "
            f"header or settings say {self.stated_gain:.3g}: mend EGAIN, or gain_e_per_adu in the "
            "settings"
        )


def master_header(
    kind: FrameKind,
    frame: Frame,
    night: date,
    combined: Master,
    used: Sequence[MasterFile],
    measured: Measured,
) -> fits.Header:
    """Everything but the stamp."""
    frame = replace(frame, kind=kind)
    header = fits.Header()
    header["IMAGETYP"] = f"Master {kind.capitalize()}"
    header["AAKIND"] = str(kind)
    header["AACAMERA"] = (frame.camera, "camera configuration")
    header["AANIGHT"] = (night.isoformat(), "night of the inputs")
    header["INSTRUME"] = provenance.fits_text(frame.instrument or "")
    header["NCOMBINE"] = (combined.n_inputs, "frames combined")
    header["EXPTIME"] = (frame.exposure_s or 0.0, "[s] exposure of one input")
    header["BUNIT"] = "" if kind is FrameKind.FLAT else "adu"
    if frame.sensor_temperature_c is not None:
        header["CCD-TEMP"] = (frame.sensor_temperature_c, "[deg C]")
    if frame.filter and kind is FrameKind.FLAT:
        header["FILTER"] = provenance.fits_text(frame.filter)
    if frame.bayer_pattern:
        header["BAYERPAT"] = frame.bayer_pattern
    if frame.read_mode:
        header["READOUTM"] = provenance.fits_text(frame.read_mode)
    if frame.rotator_deg is not None:
        header["ROTATANG"] = (frame.rotator_deg, "[deg] of the rotator")
    _describe(header, measured)
    for number, master in enumerate(used, start=1):
        header[f"AAUSE{number}"] = f"{master.path.stem} {master.digest}"
    return header


def _describe(header: fits.Header, measured: Measured) -> None:
    if measured.gain is not None:
        header["EGAIN"] = (measured.gain, "[e-/adu] measured on these flats")
        header["EGAINERR"] = (measured.gain_error, "[e-/adu]")
    elif measured.stated_gain is not None:
        header["EGAIN"] = (measured.stated_gain, "[e-/adu] as header or settings say")
    if measured.read_noise_adu is not None:
        header["RDNOIADU"] = (measured.read_noise_adu, "[adu] read noise of one frame")
        header["RDNADUER"] = (measured.read_noise_error_adu, "[adu]")
        if measured.known_gain is not None:
            header["RDNOISE"] = (
                measured.read_noise_adu * measured.known_gain,
                "[e-] read noise of one frame",
            )
