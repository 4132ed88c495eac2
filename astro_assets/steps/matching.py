"""Which master serves which frame: the rules, and the search.

What belongs here: choosing files by their headers. What does not: applying them (`imaging`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from astropy.io import fits

from astro_assets.errors import BrokenFile
from astro_assets.frame import Frame
from astro_assets.steps.provenance import fits_text
from astro_assets.store import Store

TEMPERATURE_TOLERANCE_C = 2.0
"""A dark from a sensor warmer or colder than this has another dark current."""
EXPOSURE_TOLERANCE = 0.01
"""relative; the same that calibration allows before it scales a dark"""


@dataclass(frozen=True, slots=True)
class MasterFile:
    """A master on disk, as its header describes it."""

    path: Path
    kind: str
    camera: str
    shape: tuple[int, int]
    night: date
    exposure_s: float
    temperature_c: float | None
    filter: str | None
    bias_subtracted: bool
    digest: str
    bayer_pattern: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """The masters for one frame; ``missing`` has a sentence for each that is not there."""

    bias: MasterFile | None
    dark: MasterFile | None
    flat: MasterFile | None
    bad_pixels: MasterFile | None
    missing: tuple[str, ...]

    @property
    def files(self) -> tuple[MasterFile, ...]:
        return tuple(
            master
            for master in (self.bias, self.dark, self.flat, self.bad_pixels)
            if master is not None
        )


def masters(store: Store, source: str) -> list[MasterFile]:
    """Every master of a source."""
    return [
        read_master_header(path)
        for kind in ("bias", "dark", "flat", "bad_pixels")
        for path in sorted(store.master(source, kind, "any").parent.glob("*.fits"))
    ]


def read_master_header(path: Path) -> MasterFile:
    """What a master's header says of it.

    Raises
    ------
    BrokenFile : it cannot be read, or this system has not made it
    """
    try:
        return _described(path, fits.getheader(path))
    except (OSError, ValueError, KeyError, TypeError, fits.VerifyError) as error:
        raise BrokenFile(
            f"{path} is no master that was made here ({error}): move it out of the masters' folder"
        ) from error


def _described(path: Path, header: fits.Header) -> MasterFile:
    temperature = header.get("CCD-TEMP")
    return MasterFile(
        path=path,
        kind=header["AAKIND"],
        camera=header["AACAMERA"],
        shape=(header["NAXIS2"], header["NAXIS1"]),
        night=date.fromisoformat(header["AANIGHT"]),
        exposure_s=float(header.get("EXPTIME", 0.0)),
        temperature_c=None if temperature is None else float(temperature),
        filter=header.get("FILTER"),
        bias_subtracted=bool(header.get("AANOBIAS", False)),
        digest=header["AAPROV"],
        bayer_pattern=header.get("BAYERPAT"),
    )


def match(
    frame: Frame, shape: tuple[int, int], night: date, available: Iterable[MasterFile]
) -> Matched:
    """The masters that fit a frame, each the nearest in time among those that fit best.

    The camera's configuration and the image's shape must agree. A dark must agree in temperature
    and either in exposure, or be longer and free of bias (it is then scaled); one that still
    holds the bias can be scaled with a master bias. A flat must agree in filter, and is of use
    only when the bias can be taken off; one that tells no gain serves every gain.
    """
    sized = [m for m in available if m.shape == shape]
    fitting = [m for m in sized if m.camera == frame.camera]
    any_gain = replace(frame, gain_setting=None, offset_setting=None).camera

    def nearest(candidates: list[MasterFile]) -> MasterFile | None:
        return min(
            candidates, key=lambda m: (abs((m.night - night).days), str(m.path)), default=None
        )

    bias = nearest([m for m in fitting if m.kind == "bias"])
    darks = _darks(frame, [m for m in fitting if m.kind == "dark"], has_bias=bias is not None)
    dark = nearest(darks)
    colour = fits_text(frame.filter) if frame.filter else None  # as the flat's header has it
    flats = [
        m
        for m in sized
        if m.kind == "flat" and m.filter == colour and m.camera in (frame.camera, any_gain)
    ]
    flat = nearest(flats) if bias or dark else None
    takes_bias_itself = (
        dark is not None
        and not dark.bias_subtracted
        and _same_exposure(frame.exposure_s, dark.exposure_s)
    )
    return Matched(
        bias=None if takes_bias_itself else bias,
        dark=dark,
        flat=flat,
        bad_pixels=nearest([m for m in fitting if m.kind == "bad_pixels"]),
        missing=_missing(frame, bias, dark, flat, unused_flat=bool(flats) and flat is None),
    )


def _darks(frame: Frame, darks: list[MasterFile], *, has_bias: bool) -> list[MasterFile]:
    """Those of the frame's temperature: of its exposure if there are any, else the longest."""
    cold_enough = [m for m in darks if _same_temperature(frame.sensor_temperature_c, m)]
    same_exposure = [m for m in cold_enough if _same_exposure(frame.exposure_s, m.exposure_s)]
    usable = [m for m in same_exposure if has_bias or not m.bias_subtracted]
    if usable or not has_bias or frame.exposure_s is None:
        return usable
    longest = max((m.exposure_s for m in cold_enough), default=0.0)
    return [m for m in cold_enough if m.exposure_s == longest > frame.exposure_s]


def _same_exposure(exposure_s: float | None, dark_exposure_s: float) -> bool:
    """Cameras tell 300.003 s; a hundredth of the dark current is nothing."""
    if exposure_s is None or dark_exposure_s <= 0:
        return False
    return abs(exposure_s / dark_exposure_s - 1) <= EXPOSURE_TOLERANCE


def _same_temperature(temperature_c: float | None, master: MasterFile) -> bool:
    if temperature_c is None or master.temperature_c is None:
        return True
    return abs(temperature_c - master.temperature_c) <= TEMPERATURE_TOLERANCE_C


def _missing(
    frame: Frame,
    bias: MasterFile | None,
    dark: MasterFile | None,
    flat: MasterFile | None,
    *,
    unused_flat: bool,
) -> tuple[str, ...]:
    sentences = []
    if bias is None and dark is None:
        sentences.append(f"no master bias for camera {frame.camera}")
    if dark is None:
        exposure = "" if frame.exposure_s is None else f", {frame.exposure_s:g} s"
        temperature = frame.sensor_temperature_c
        cold = "" if temperature is None else f" at {temperature:.0f} °C"
        sentences.append(f"no master dark for camera {frame.camera}{exposure}{cold}")
    if flat is None:
        colour = f" in filter {frame.filter}" if frame.filter else ""
        why = ", since without a bias it is of no use" if unused_flat else ""
        sentences.append(f"no master flat for camera {frame.camera}{colour}{why}")
    return tuple(sentences)
