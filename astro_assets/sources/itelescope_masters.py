"""iTelescope's library of ready-made masters: what a path in it says.

What belongs here: names such as
``CALIBRATION FILES/T20/Masters/Darks/2020-04/Master_Dark_1_4008x2672_Bin1x1_Temp-15C_ExpTime900s``.
What does not: how a ready-made master is taken over (`steps.masters`).
"""

import re
from datetime import date

from astro_assets.frame import FrameKind, kind_from_text
from astro_assets.sources.paths import stem
from astro_assets.sources.protocol import NO_NIGHT, Placement, RemoteFile

_LIBRARY = "calibration files"
_FOLDER = "masters"
_TELESCOPE = re.compile(r"[Tt](\d{1,3})", re.ASCII)
_NIGHT = re.compile(r"(\d{4})-?(\d\d)(?:-?(\d\d))?", re.ASCII)
_SIZE = re.compile(r"\d+x\d+", re.ASCII)
_BINNING = re.compile(r"bin(\d+)x\d+", re.ASCII | re.IGNORECASE)
_TEMPERATURE = re.compile(r"temp(-?\d+(?:\.\d+)?)c", re.ASCII | re.IGNORECASE)
_EXPOSURE = re.compile(r"exptime(\d+(?:\.\d+)?)(ms|s)", re.ASCII | re.IGNORECASE)
_NO_FILTER = ("master", "masters", "filter", "frame", "flats", "darks", "biases", "calibration")


def in_library(parts: list[str]) -> bool:
    """Whether a path leads into the library: its own folder, or a telescope's ``Masters``."""
    return parts[0].lower() == _LIBRARY or _FOLDER in (part.lower() for part in parts[1:-1])


def place_master(file: RemoteFile) -> Placement | None:
    """Place a master, each as a set of its own; None where path and name do not say what it is."""
    *folders, name = file.path.split("/")
    telescope = next((match for folder in folders if (match := _TELESCOPE.fullmatch(folder))), None)
    words = re.split(r"[_ ]+", stem(stem(name)))
    kind = next((k for k in map(_kind, [*words, *reversed(folders)]) if k is not None), None)
    if telescope is None or kind is None or not _is_master(words, folders):
        return None
    facts = {
        "IMAGETYP": f"Master {kind.capitalize()}",
        "TELESCOP": f"T{int(telescope[1]):02d}",
        **_facts(words),
    }
    if kind is FrameKind.FLAT:
        facts |= {"FILTER": colour} if (colour := _filter(words, folders)) else {}
    return Placement(
        kind=kind,
        night=_night(folders, file),
        target=None,
        instrument=facts["TELESCOP"],
        configuration="_".join(_configuration(kind, facts, words)),
        facts=facts,
    )


def _is_master(words: list[str], folders: list[str]) -> bool:
    return "master" in words[0].lower() or _FOLDER in (folder.lower() for folder in folders)


def _kind(word: str) -> FrameKind | None:
    kind = kind_from_text(word)
    return kind if kind in (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT) else None


def _facts(words: list[str]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for word in words:
        if match := _BINNING.fullmatch(word):
            facts |= {"XBINNING": match[1], "YBINNING": match[1]}
        elif match := _TEMPERATURE.fullmatch(word):
            facts["CCD-TEMP"] = match[1]
        elif match := _EXPOSURE.fullmatch(word):
            seconds = float(match[1]) / (1000 if match[2].lower() == "ms" else 1)
            facts["EXPTIME"] = f"{seconds:g}"
    return facts


def _filter(words: list[str], folders: list[str]) -> str:
    """What is left in the name once all else is read; else the innermost such folder."""
    names = [folder.lower() for folder in folders]
    below = folders[names.index(_FOLDER) + 1 :] if _FOLDER in names else []
    return next((word for word in [*words, *reversed(below)] if _may_be_filter(word)), "")


def _may_be_filter(word: str) -> bool:
    return not (
        word.lower() in _NO_FILTER
        or word.isdigit()
        or _kind(word) is not None
        or any(p.fullmatch(word) for p in (_SIZE, _BINNING, _TEMPERATURE, _EXPOSURE, _NIGHT))
    )


def _configuration(kind: FrameKind, facts: dict[str, str], words: list[str]) -> list[str]:
    parts = []
    if kind is FrameKind.DARK and "EXPTIME" in facts:
        parts.append(f"{facts['EXPTIME']}s")
    if "FILTER" in facts:
        parts.append(facts["FILTER"])
    if "XBINNING" in facts:
        parts.append(f"bin{facts['XBINNING']}")
    if "CCD-TEMP" in facts:
        parts.append(f"{facts['CCD-TEMP']}C")
    return parts + [word for word in words if _SIZE.fullmatch(word) or word.isdigit()]


def _night(folders: list[str], file: RemoteFile) -> date:
    """The date, or the month's first day, of the innermost folder that has one."""
    for folder in reversed(folders):
        match = _NIGHT.fullmatch(folder)
        if match:
            try:
                return date(int(match[1]), int(match[2]), int(match[3] or 1))
            except ValueError:
                continue
    return file.modified_utc.date() if file.modified_utc else NO_NIGHT
