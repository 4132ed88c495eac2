"""A frame, and one header vocabulary for all sources.

What belongs here: how FITS keywords of every source become one `Frame`. What does not: names and
paths on the servers (`sources`), files (`store`), pixels (`imaging`).
"""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from astropy.io.fits import VerifyError

from astro_assets.errors import MissingHeader


class FrameKind(StrEnum):
    """What a frame is good for."""

    LIGHT = "light"
    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    OTHER = "other"
    """Pointing, focus and preview frames: kept where they are, not science."""


CALIBRATION_KINDS = (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT)

_KIND_WORDS = (
    # A dark flat is a dark, taken for the flats; a twilight is a flat and holds "light".
    ("dark", FrameKind.DARK),
    ("flat", FrameKind.FLAT),
    ("twilight", FrameKind.FLAT),
    ("bias", FrameKind.BIAS),
    ("offset", FrameKind.BIAS),
    ("zero", FrameKind.BIAS),
    ("light", FrameKind.LIGHT),
    ("object", FrameKind.LIGHT),
    ("science", FrameKind.LIGHT),
)


_FEW_WORDS = 4096
"""Thousands of frames share their targets, instruments and kinds."""
_CATALOGUES = {
    "messier": "M", "m": "M", "ngc": "NGC", "ic": "IC", "sh2": "Sh2-", "b": "B", "c": "C",
    "abell": "Abell", "arp": "Arp", "hd": "HD",
}  # fmt: skip
_DESIGNATION = re.compile(
    r"(?i)(messier|m|ngc|ic|sh-?2(?=-)|b|c|abell|arp|hd)-*(\d{1,6})", re.ASCII
)

_NOBODY_SAID = ("undefined", "unknown", "none", "n/a")
_YEARS = range(1900, 3000)
"""Other years are a camera's clock that nobody has set."""
_LONGEST_EXPOSURE_S = 1e6


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of one exposure. None stands for "nobody said".

    ``start_utc`` is the start of the exposure; ``ra_deg`` and ``dec_deg`` are where the telescope
    believed it pointed (ICRS); ``calibration_status`` is CALSTAT (letters B, D, F).
    """

    kind: FrameKind
    target: str | None
    start_utc: datetime | None
    exposure_s: float | None
    filter: str | None
    instrument: str | None
    binning: int
    gain_setting: float | None
    offset_setting: float | None
    sensor_temperature_c: float | None
    bayer_pattern: str | None
    ra_deg: float | None
    dec_deg: float | None
    pixel_scale_arcsec: float | None
    gain_e_per_adu: float | None
    read_noise_e: float | None
    saturation_adu: float | None
    pedestal_adu: float
    calibration_status: str

    @property
    def middle_utc(self) -> datetime | None:
        """The middle of the exposure."""
        if self.start_utc is None or self.exposure_s is None:
            return self.start_utc
        return self.start_utc + timedelta(seconds=self.exposure_s / 2)

    @property
    def camera(self) -> str:
        """The camera configuration that a bad-pixel map and the masters belong to."""
        parts = [self.instrument or "camera", f"bin{self.binning}"]
        if self.gain_setting is not None:
            parts.append(f"gain{self.gain_setting:g}")
        if self.offset_setting is not None:
            parts.append(f"offset{self.offset_setting:g}")
        return key_part("_".join(parts))


@lru_cache(_FEW_WORDS)
def key_part(text: str) -> str:
    """``text`` as part of a partition key and of a file name: letters, digits, ``. + - _``.

    Letters that are not ASCII lose their accents; where they are lost altogether, a short hash of
    them keeps ``α Cen`` and ``ω Cen`` apart.
    """
    plain = unicodedata.normalize("NFKD", text)
    cleaned = re.sub(r"[^0-9A-Za-z.+_]+", "-", _without_marks(plain)).strip("-.")
    lost = "".join(letter for letter in plain if not letter.isascii() and letter.isalnum())
    if lost:
        mark = hashlib.sha256(lost.encode(errors="backslashreplace")).hexdigest()[:8]
        cleaned = f"{cleaned}-{mark}".lstrip("-")
    return cleaned or "unnamed"


def _without_marks(text: str) -> str:
    return "".join(letter for letter in text if not unicodedata.combining(letter))


@lru_cache(_FEW_WORDS)
def target_key(name: str) -> str:
    """One spelling for a target: ``M 31``, ``m31`` and ``M_31`` are all ``M31``.

    Catalogue designations lose their space and get the catalogue's usual capitals; other names
    keep their words, joined by ``-``. There is no ``_`` in it, since that parts a session's key.
    """
    text = key_part(key_part(name).replace("_", "-"))
    match = _DESIGNATION.fullmatch(text)
    if match is None:
        return text
    return f"{_CATALOGUES[match[1].lower().replace('-', '')]}{int(match[2])}"


def frame_from_header(
    header: Mapping[str, Any], facts: Mapping[str, str] | None = None, where: str = "frame"
) -> Frame:
    """Read one vocabulary out of any source's header.

    Parameters
    ----------
    header : FITS header (or a dict with the same keywords)
    facts : FITS keywords that the name, the path or the server knows; they fill what the header
        leaves blank and never overrule it, but for ``AAINSTR``: which of its cameras it was, where
        a telescope's headers do not tell them apart
    where : the file's name, for the error

    Raises
    ------
    MissingHeader : a light or dark without an exposure time
    """
    words = _Keywords(header, facts or {})
    kind = kind_from_text(words.text("IMAGETYP", "FRAME", "PICTTYPE") or "light")
    exposure_s = words.seconds("EXPTIME", "EXPOSURE", "EXP_TIME")
    if exposure_s is None and kind in (FrameKind.LIGHT, FrameKind.DARK):
        raise MissingHeader(
            f"{where} has no exposure time (EXPTIME or EXPOSURE): add the keyword to the file, "
            "or take the file away"
        )
    ra_deg, dec_deg = _pointing(words)
    return Frame(
        kind=kind,
        target=words.text("OBJECT", "OBSTARGET"),
        start_utc=_start_utc(words),
        exposure_s=exposure_s,
        filter=words.text("FILTER"),
        instrument=(facts or {}).get("AAINSTR") or words.text("INSTRUME", "TELESCOP", "CAMERA"),
        binning=_binning(words),
        gain_setting=words.number("GAIN"),
        offset_setting=words.number("OFFSET", "BLKLEVEL"),
        sensor_temperature_c=words.number("CCD-TEMP", "SET-TEMP", "TEMPERAT"),
        bayer_pattern=_bayer(words.text("BAYERPAT", "COLORTYP")),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        pixel_scale_arcsec=_pixel_scale(words),
        gain_e_per_adu=words.positive("EGAIN", "GAIN_E"),
        read_noise_e=words.positive("RDNOISE", "READNOIS"),
        saturation_adu=words.positive("SATURATE", "DATAMAX"),
        pedestal_adu=words.number("PEDESTAL") or 0.0,
        calibration_status=(words.text("CALSTAT") or "").upper(),
    )


@lru_cache(_FEW_WORDS)
def kind_from_text(text: str) -> FrameKind:
    """``Light Frame``, ``DARK``, ``Flat Field`` … as a kind; anything else is `OTHER`."""
    lowered = text.lower()
    return next((kind for word, kind in _KIND_WORDS if word in lowered), FrameKind.OTHER)


class _Keywords:
    """The header first, then the facts; blanks and ``undefined`` count as absent."""

    def __init__(self, header: Mapping[str, Any], facts: Mapping[str, str]) -> None:
        self._layers: tuple[Mapping[str, Any], ...] = (header, facts)

    def values(self, *names: str) -> Iterator[Any]:
        """What is said under any of the names, the best first."""
        for layer in self._layers:
            for name in names:
                try:
                    value = layer.get(name)
                except VerifyError:  # a card that breaks the standard says nothing
                    continue
                if value is not None:
                    yield value

    def text(self, *names: str) -> str | None:
        texts = (str(value).strip() for value in self.values(*names))
        return next((text for text in texts if text and text.lower() not in _NOBODY_SAID), None)

    def number(self, *names: str) -> float | None:
        numbers = map(_number, self.values(*names))
        return next((number for number in numbers if number is not None), None)

    def positive(self, *names: str) -> float | None:
        numbers = map(_number, self.values(*names))
        return next((number for number in numbers if number is not None and number > 0), None)

    def seconds(self, *names: str) -> float | None:
        numbers = map(_number, self.values(*names))
        return next((n for n in numbers if n is not None and 0 <= n <= _LONGEST_EXPOSURE_S), None)

    def utc(self, *names: str) -> datetime | None:
        moments = map(_utc, self.values(*names))
        return next((moment for moment in moments if moment is not None), None)


def _number(value: Any) -> float | None:
    """A finite number, also from text such as ``1/50``, ``10.0s`` or ``120000 ms``."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        value = repr(value)
    match = re.fullmatch(r"\s*([-+.\deE]+)(?:\s*/\s*([.\d]+))?\s*(ms|s|sec)?\s*", str(value))
    if match is None:
        return None
    try:
        number = float(match[1]) / float(match[2] or 1)
    except (ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(number):
        return None
    return number / 1000 if match[3] == "ms" else number


def _binning(words: _Keywords) -> int:
    """From ``XBINNING = 2``, or from text: ``BINNING = '2x2'``, ``CCDSUM = '2 2'``."""
    stated = words.number("XBINNING", "CCDXBIN", "BINX")
    if stated is None:
        match = re.match(r"[1-9]", words.text("BINNING", "CCDSUM", "XBINNING") or "")
        return int(match[0]) if match else 1
    return int(stated) if 1 <= stated < 100 else 1


def _start_utc(words: _Keywords) -> datetime | None:
    """DATE-OBS, or, where it is only a date, with the time of day that stands beside it."""
    date_text, clock = words.text("DATE-OBS", "DATE-BEG"), words.text("TIME-OBS", "UTSTART", "UT")
    if date_text and clock and re.fullmatch(r"\d{4}-\d\d-\d\d", date_text):
        moment = _utc(f"{date_text}T{clock}")
        if moment is not None:
            return moment
    return words.utc("DATE-OBS", "DATE-BEG")


def _utc(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _bayer(text: str | None) -> str | None:
    pattern = (text or "").upper()
    return pattern if pattern in ("RGGB", "BGGR", "GRBG", "GBRG") else None


_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[-+]?)(?P<whole>\d{1,3})\s*[:\shd°]
    \s*(?P<minutes>[0-5]?\d(\.\d*)?)\s*[:\sm'′]?
    \s*(?P<seconds>[0-5]?\d(\.\d*)?)?\s*[s"″]?""",
    re.ASCII | re.VERBOSE,
)


def _pointing(words: _Keywords) -> tuple[float | None, float | None]:
    """Pointing in degrees. Sexagesimal RA is in hours; a plain number is in degrees."""
    for ra_name, dec_name in (
        ("RA", "DEC"),
        ("OBJCTRA", "OBJCTDEC"),
        ("RA-TEL", "DEC-TEL"),
        ("MNTRA", "MNTDEC"),
        ("CRVAL1", "CRVAL2"),
    ):
        ra_deg = _angle_deg(words.text(ra_name), sexagesimal_unit_deg=15)
        dec_deg = _angle_deg(words.text(dec_name), sexagesimal_unit_deg=1)
        if ra_deg is None or dec_deg is None:
            continue
        if 0 <= ra_deg <= 360 and -90 <= dec_deg <= 90:
            return ra_deg % 360, dec_deg
    return None, None


def _angle_deg(text: str | None, *, sexagesimal_unit_deg: float) -> float | None:
    """Degrees from a plain number of degrees, or from sexagesimal text in another unit."""
    number = _number(text)
    if number is not None:
        return number
    match = _SEXAGESIMAL.fullmatch(text or "")
    if match is None:
        return None
    size = int(match["whole"]) + float(match["minutes"]) / 60 + float(match["seconds"] or 0) / 3600
    return (-size if match["sign"] == "-" else size) * sexagesimal_unit_deg


def _pixel_scale(words: _Keywords) -> float | None:
    """Arcseconds per pixel from SCALE or from pixel size and focal length."""
    stated = words.positive("SCALE", "PIXSCALE", "SECPIX")
    if stated:
        return stated
    pixel_um, focal_length_mm = words.positive("XPIXSZ", "PIXSIZE1"), words.positive("FOCALLEN")
    if pixel_um is None or focal_length_mm is None:
        return None
    return 206.265 * pixel_um / focal_length_mm
