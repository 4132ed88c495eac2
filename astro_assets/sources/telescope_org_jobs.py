"""telescope.org's jobs as files: what a page tells of a job, and where it belongs.

What belongs here: names and facts, pure. What does not: asking for pages (`telescope_org_lists`),
downloading (`telescope_org`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from astro_assets.errors import BrokenFile
from astro_assets.frame import FrameKind
from astro_assets.night import night_of
from astro_assets.sources.protocol import NO_NIGHT, Placement, RemoteFile

TIMEZONE = "Atlantic/Canary"
"""All its telescopes stand on Tenerife."""
_SINGLE_FILTER = re.compile(r"(?i)[a-z]|red|green|blue|ha|h-?alpha|oiii|sii|clear|luminance")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_NAME = re.compile(r"(?:(?P<jid>\d+)(?P<processed>-processed)?|flat-(?P<flat>\d+))\.(zip|fits)")
_CALIBRATED = "BDF"
"""what is done to every image there: bias, dark and flat"""
_JOB = "JOBID"
"""the fact that tells which job a flat can be had through"""

Form = Literal["zip", "cube"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file's name stands for. ``flat`` is empty for a job's own images."""

    jid: str
    form: Form
    processed: bool
    flat: str


def job_file(page: Mapping[str, str], form: Form, *, processed: bool) -> RemoteFile | None:
    """The job on a page as a file; None when the page does not name a finished job."""
    completion = parse_completion(page.get("Completion Time", ""))
    if not page.get("jid") or completion is None:
        return None
    facts = {"IMAGETYP": "Light Frame", "OBJECT": object_of(page), **_pointing(page)}
    facts["CALSTAT"] = _CALIBRATED
    exposure_s = exposure_of(page)
    if exposure_s is not None:
        facts["EXPTIME"] = f"{exposure_s:g}"
        facts["DATE-OBS"] = (
            (completion - timedelta(seconds=exposure_s)).replace(tzinfo=None).isoformat()
        )
    telescope = telescope_of(page)
    facts |= {"TELESCOP": telescope, "INSTRUME": telescope}
    if _SINGLE_FILTER.fullmatch(page.get("Filter Type", "")):
        facts["FILTER"] = page["Filter Type"]
    state = "-processed" if processed else ""
    return RemoteFile(
        path=f"{page['jid']}{state}.{'zip' if form == 'zip' else 'fits'}",
        size_bytes=None,
        modified_utc=completion,
        facts=facts,
        complete=False,
    )


def flat_file(page: Mapping[str, str]) -> RemoteFile | None:
    """The flat that belongs to the job on a page; None when there is none."""
    completion = parse_completion(page.get("Completion Time", ""))
    if not page.get("jid") or not page.get("flatid") or completion is None:
        return None
    telescope = telescope_of(page)
    facts = {"IMAGETYP": "Flat Field", "TELESCOP": telescope, "INSTRUME": telescope}
    return RemoteFile(
        path=f"flat-{page['flatid']}.zip",
        size_bytes=None,
        modified_utc=completion,
        facts={**facts, _JOB: page["jid"]},
    )


def wanted(file: RemoteFile) -> Wanted:
    """What to ask the site for. Raises `BrokenFile` for a name that is none of ours."""
    name = _NAME.fullmatch(file.path)
    jid = (name["jid"] or file.facts.get(_JOB, "")) if name else ""
    if name is None or not jid:
        raise BrokenFile(f"{file.path!r} is no job of telescope.org: look at the listing")
    form: Form = "zip" if file.path.endswith(".zip") else "cube"
    return Wanted(jid, form, bool(name["processed"]), name["flat"] or "")


def place(file: RemoteFile, timezone: str) -> Placement:
    """Place a job by its facts; its night is counted where its telescope stands."""
    del timezone
    moment = file.modified_utc
    name = _NAME.fullmatch(file.path)
    flat = (name["flat"] or "") if name else ""
    return Placement(
        kind=FrameKind.FLAT if flat else FrameKind.LIGHT,
        night=night_of(moment, TIMEZONE) if moment else NO_NIGHT,
        target=None if flat else file.facts.get("OBJECT", "unknown"),
        instrument=file.facts.get("TELESCOP", "telescope.org"),
        configuration=flat,
    )


def object_of(page: Mapping[str, str]) -> str:
    """The object's name, or its number in a catalogue."""
    name = page.get("Object Name", "").strip()
    return name or catalogue_name(page.get("Object Type", ""), page.get("Object ID", ""))


def catalogue_name(object_type: str, object_id: str) -> str:
    """``MESSIER`` and ``109`` as ``M 109``; ``unknown`` for what is in no catalogue."""
    catalogue = {"MESSIER": "M ", "NGC": "NGC ", "IC": "IC "}
    kind, number = object_type.strip().upper(), object_id.strip()
    return f"{catalogue[kind]}{number}" if kind in catalogue and number else "unknown"


def exposure_of(page: Mapping[str, str]) -> float | None:
    """Seconds, from ``120000 ms``."""
    exposure = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", page.get("Exposure Time", ""))
    return None if exposure is None else float(exposure[1]) / (1000 if exposure[2] == "ms" else 1)


def telescope_of(page: Mapping[str, str]) -> str:
    """The telescope as its page calls it."""
    name = page.get("Telescope Name", "").strip()
    if name:
        return name
    labels = [label for label in page if label.startswith("Telescope") and page[label].strip()]
    return page[labels[0]].strip() if labels else "telescope.org"


def sexagesimal(object_id: str) -> tuple[str, str] | None:
    """Right ascension and declination of ``hh:mm:ss.ss ±dd:mm:ss.ss``."""
    match = re.fullmatch(r"\s*(\d+:\d+:\d+(?:\.\d+)?)\s+([-+]?\d+:\d+:\d+(?:\.\d+)?)\s*", object_id)
    return None if match is None else (match[1], match[2])


def _pointing(page: Mapping[str, str]) -> dict[str, str]:
    """OBJCTRA and OBJCTDEC, with blanks as is usual there."""
    pointing = sexagesimal(page.get("Object ID", ""))
    if pointing is None:
        return {}
    ra, dec = (angle.replace(":", " ") for angle in pointing)
    return {"OBJCTRA": ra, "OBJCTDEC": dec}


def parse_completion(text: str) -> datetime | None:
    """``18 November 2024 05:41:09 UTC``, whatever this machine's language."""
    match = re.fullmatch(r"\s*(\d{1,2}) (\w+) (\d{4}) (\d\d):(\d\d):(\d\d)(?: UTC)?\s*", text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2].lower()) + 1
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
