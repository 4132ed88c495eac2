"""What a camera writes beside its pixels: EXIF, as FITS keywords.

What belongs here: CR2, NEF, DNG and TIFF as they are, and the two EXIF boxes of a CR3. What does
not: pixels.
"""

import io
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import exifread

from astro_assets.errors import BrokenFile

_CR3_HEAD_BYTES = 2**20
_CR3_BOXES = (b"CMT1", b"CMT2")
_MAX_LETTERS = 60
_UNITS_UM = {2: 25_400.0, 3: 10_000.0, 4: 1_000.0, 5: 1.0}


def exif_keywords(path: Path) -> dict[str, str]:
    """Exposure, ISO (as GAIN), camera, lens, size of a pixel, and time.

    A time with its offset from UTC is ``DATE-OBS``; one without is ``DATE-LOC``, since it is the
    camera's own clock in whatever zone its owner has set.

    Raises
    ------
    BrokenFile : it cannot be opened
    """
    tags: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            for part in _parts(file, path):
                tags |= {name.split(" ", 1)[-1]: value for name, value in _tags(part).items()}
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read ({error.strerror}): look at it") from error
    return {key: text for key, text in _keywords(tags).items() if text}


def _parts(file: Any, path: Path) -> Iterator[Any]:
    """The file itself; of a CR3 the boxes in it, each a small TIFF."""
    if not path.name.lower().endswith(".cr3"):
        yield file
        return
    head = file.read(_CR3_HEAD_BYTES)
    for box in _CR3_BOXES:
        at = head.find(box)
        if at >= 4:
            size = int.from_bytes(head[at - 4 : at], "big")
            yield io.BytesIO(head[at + 4 : at - 4 + size])


def _tags(part: Any) -> Mapping[str, Any]:
    """EXIF tags by name; none where there is no EXIF, or a broken one."""
    try:
        return exifread.process_file(part, details=False, extract_thumbnail=False)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError):
        return {}


def _keywords(tags: Mapping[str, Any]) -> dict[str, str]:
    return {
        "EXPTIME": _number(tags, "ExposureTime"),
        "GAIN": _number(tags, "ISOSpeedRatings") or _number(tags, "PhotographicSensitivity"),
        "INSTRUME": _text(tags, "Model"),
        "FOCALLEN": _number(tags, "FocalLength"),
        "FOCRATIO": _number(tags, "FNumber"),
        "LENS": _text(tags, "LensModel"),
        "XPIXSZ": _pixel_um(tags, "FocalPlaneXResolution"),
        "YPIXSZ": _pixel_um(tags, "FocalPlaneYResolution"),
        **_time(_text(tags, "DateTimeOriginal"), tags),
    }


def _time(text: str, tags: Mapping[str, Any]) -> dict[str, str]:
    """The start of the exposure, to the hundredth where the camera tells it."""
    match = re.fullmatch(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", text)
    if match is None:
        return {}
    fraction = _text(tags, "SubSecTimeOriginal")
    moment_text = f"{match[1]}-{match[2]}-{match[3]}T{match[4]}"
    moment_text += f".{fraction[:6]:0<6}" if fraction.isdigit() else ""
    offset = _text(tags, "OffsetTimeOriginal") or _text(tags, "OffsetTime")
    try:
        moment = datetime.fromisoformat(moment_text + offset)
    except ValueError:
        return {}
    if moment.tzinfo is None:
        return {"DATE-LOC": moment.isoformat()}
    return {"DATE-OBS": moment.astimezone(UTC).replace(tzinfo=None).isoformat()}


def _text(tags: Mapping[str, Any], name: str) -> str:
    value = tags.get(name)
    return "" if value is None else str(value).strip(" \0")[:_MAX_LETTERS]


def _pixel_um(tags: Mapping[str, Any], name: str) -> str:
    """Side of a pixel, µm, from pixels per inch, cm, mm or µm (EXIF 2.3, FocalPlaneResolution)."""
    unit = getattr(tags.get("FocalPlaneResolutionUnit"), "values", [2])
    unit_um = _UNITS_UM.get(int(unit[0]) if unit else 2)
    per_unit = float(_number(tags, name) or 0)
    return f"{unit_um / per_unit:.4g}" if unit_um and per_unit > 0 else ""


def _number(tags: Mapping[str, Any], name: str) -> str:
    """A number in plain digits; EXIF has ratios such as 1/30."""
    values = getattr(tags.get(name), "values", None)
    if not isinstance(values, list) or not values:
        return ""
    try:
        return f"{float(values[0]):.9g}"
    except (ValueError, TypeError, ZeroDivisionError):
        return ""
