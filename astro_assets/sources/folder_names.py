"""Where a frame in a folder belongs: by its header, else by its path as N.I.N.A. names it.

What belongs here: rules on headers and names. What does not: reading either (`folder`).
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from astro_assets.frame import FrameKind, kind_from_text
from astro_assets.night import night_of, night_of_local
from astro_assets.sources.configuration import configuration
from astro_assets.sources.nights import night_of_change
from astro_assets.sources.paths import stem
from astro_assets.sources.protocol import NO_NIGHT, Placement, RemoteFile

_KINDS = {
    "light": FrameKind.LIGHT, "lights": FrameKind.LIGHT,
    "dark": FrameKind.DARK, "darks": FrameKind.DARK,
    "darkflat": FrameKind.DARK, "darkflats": FrameKind.DARK,
    "flat": FrameKind.FLAT, "flats": FrameKind.FLAT,
    "bias": FrameKind.BIAS, "biases": FrameKind.BIAS,
    "snapshot": FrameKind.OTHER, "snapshots": FrameKind.OTHER,
}  # fmt: skip
_FILTERS = (
    "l", "r", "g", "b", "lum", "luminance", "red", "green", "blue", "ha", "halpha", "oiii", "o3",
    "sii", "s2", "clear",
)  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[_T ](\d\d)-(\d\d)-(\d\d)", re.ASCII)
_EXPOSURE = re.compile(r"(\d{1,5}(?:\.\d{1,6})?)s", re.ASCII)


def place(file: RemoteFile, timezone: str) -> Placement:
    """Place a frame; a light of target "unknown" where neither header nor path say anything.

    A folder called LIGHT, DARK, FLAT … says the kind, one called like a date the night (N.I.N.A.
    names it after the evening), and the innermost other folder above them the target. A ready-made
    master is a set of its own; a stacked picture is no frame.
    """
    *folders, name = file.path.split("/")
    words = re.split(r"[_ ]+", stem(name))
    facts = {**_named(words), **file.facts}
    stated = facts.get("IMAGETYP") or facts.get("FRAME")
    kind = kind_from_text(stated) if stated else _kind(folders, words)
    master = "master" in (stated or "").lower()
    if master and kind is FrameKind.LIGHT:
        kind = FrameKind.OTHER
    target = facts.get("OBJECT") or facts.get("OBSTARGET") or _target(folders)
    facts |= {} if stated else {"IMAGETYP": kind.value}
    facts |= {"OBJECT": target} if kind is FrameKind.LIGHT and target != "unknown" else {}
    return Placement(
        kind=kind,
        night=_night(file, folders, words, timezone),
        target=target if kind is FrameKind.LIGHT else None,
        instrument=facts.get("INSTRUME") or facts.get("TELESCOP") or "camera",
        configuration="_".join(
            part for part in ("master" * master, configuration(kind, facts)) if part
        ),
        facts={**facts, **_start(facts, timezone)},
    )


def _kind(folders: list[str], words: list[str]) -> FrameKind:
    """By the innermost folder that is called after a kind, else by a word of the name."""
    named = (_KINDS.get(word.lower()) for word in (*reversed(folders), *words))
    return next((kind for kind in named if kind is not None), FrameKind.LIGHT)


def _target(folders: list[str]) -> str:
    """The innermost folder that says neither kind nor date, above one that does."""
    speaking = [folder.lower() in _KINDS or bool(_DATE.fullmatch(folder)) for folder in folders]
    if not any(speaking):
        return "unknown"
    last = max(at for at, says in enumerate(speaking) if says)
    above = [f for f, says in zip(folders[:last], speaking[:last], strict=True) if not says]
    return above[-1] if above else "unknown"


def _named(words: list[str]) -> dict[str, str]:
    """Exposure and filter from words of the name."""
    facts = {}
    for word in words:
        if match := _EXPOSURE.fullmatch(word):
            facts["EXPTIME"] = match[1]
        elif word.lower() in _FILTERS:
            facts["FILTER"] = word
    return facts


def _start(facts: Mapping[str, str], timezone: str) -> dict[str, str]:
    """DATE-OBS from a camera's own clock, which is taken to be set to the observer's zone."""
    local = _moment(facts.get("DATE-LOC", ""))
    if facts.get("DATE-OBS") or local is None or local.tzinfo is not None:
        return {}
    try:
        moment = local.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    except OverflowError:
        return {}
    return {"DATE-OBS": moment.replace(tzinfo=None).isoformat()}


def _night(file: RemoteFile, folders: list[str], words: list[str], timezone: str) -> date:
    """From the header, the camera's clock, the name, a folder, or the file's own time."""
    stated = _moment(file.facts.get("DATE-OBS", ""))
    local = _moment(file.facts.get("DATE-LOC", "")) or _named_moment("_".join(words))
    try:
        if stated is not None:
            return night_of(stated if stated.tzinfo else stated.replace(tzinfo=UTC), timezone)
        if local is not None:
            return night_of_local(local)
        for folder in reversed(folders):
            if _DATE.fullmatch(folder) and (moment := _moment(folder)):
                return moment.date()
        return night_of_change(file, timezone)
    except OverflowError:
        return NO_NIGHT


def _named_moment(name: str) -> datetime | None:
    """The local time in ``2026-11-20_21-45-10_Red_180.00s_0001``."""
    match = _MOMENT.search(name)
    return _moment(f"{match[1]}T{match[2]}:{match[3]}:{match[4]}") if match else None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
