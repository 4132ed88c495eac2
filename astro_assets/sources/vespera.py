"""The Vespera smart telescope's naming rules: sessions, plans and their stages.

What belongs here: what a path on that telescope says of a frame. What does not: FTP (`ftp`).
"""

import re
from datetime import date, datetime

from astro_assets.frame import FrameKind
from astro_assets.night import night_of_local
from astro_assets.settings import Secrets, VesperaSource
from astro_assets.sources.nights import night_of_change
from astro_assets.sources.paths import is_fits, is_tiff
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Transport

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[_T ](\d\d)[-:](\d\d)[-:](\d\d))?")
_OBSERVATION = re.compile(r"(?i)observation[-_](.+)")
_NUMBER = re.compile(r"(?i)(\d{1,4})-observation", re.ASCII)
_LIGHTS = "images-initial"
_SIDECAR = ".json"
_INSTRUMENT = "Vespera"


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place an image by its session and stage; None for what is neither image nor sidecar.

    Lights are what lies in ``…images-initial``. A ``…dark…`` in the root of a session is a dark,
    and a set of its own session: its exposure is only known from its header, so darks of two
    sessions must not meet. A JSON file goes with the frames that it lies beside. Pointing and
    focus frames are `FrameKind.OTHER`. The session's stamp is local time.
    """
    sidecar = file.path.lower().endswith(_SIDECAR)
    if not (is_fits(file.path) or is_tiff(file.path) or sidecar):
        return None
    *folders, name = file.path.split("/")
    kind = _kind(folders, name)
    target = _target(folders)
    facts = {"INSTRUME": _INSTRUMENT, "TELESCOP": _INSTRUMENT}
    if kind is FrameKind.LIGHT:
        facts |= {"IMAGETYP": "Light Frame", "OBJECT": target}
    elif kind is FrameKind.DARK:
        facts["IMAGETYP"] = "Dark Frame"
    return Placement(
        kind=kind,
        night=_night(folders, file, timezone),
        target=target if kind is FrameKind.LIGHT else None,
        instrument=_INSTRUMENT,
        configuration=_session(folders) if kind is FrameKind.DARK else "",
        facts=facts,
        companion=sidecar,
    )


def _kind(folders: list[str], name: str) -> FrameKind:
    if any(folder.lower().endswith(_LIGHTS) for folder in folders):
        return FrameKind.LIGHT
    in_root = bool(folders) and (_OBSERVATION.search(folders[-1]) or _STAMP.match(folders[-1]))
    if in_root and "dark" in name.lower():
        return FrameKind.DARK
    return FrameKind.OTHER


def _session(folders: list[str]) -> str:
    """``040347``, or in a plan ``040347_02``: the session's clock, the observation's number."""
    stamp = next((match for folder in folders if (match := _STAMP.match(folder))), None)
    numbers = [match[1] for folder in folders if (match := _NUMBER.match(folder))]
    clock = "".join(stamp.groups()[1:]) if stamp and stamp[2] else ""
    return "_".join(part for part in (clock, *numbers) if part)


def _target(folders: list[str]) -> str:
    """The object of the innermost observation (a plan holds several)."""
    for folder in reversed(folders):
        match = _OBSERVATION.search(folder)
        if match:
            return match[1].replace("_", " ")
    return "unknown"


def _night(folders: list[str], file: RemoteFile, timezone: str) -> date:
    """The night from the outermost stamp; a stamp without a time already names it."""
    for folder in folders:
        match = _STAMP.match(folder)
        if match is None:
            continue
        try:
            moment = datetime.fromisoformat(match[1])
            if match[2] is None:
                return moment.date()
            return night_of_local(
                moment.replace(hour=int(match[2]), minute=int(match[3]), second=int(match[4]))
            )
        except (ValueError, OverflowError):
            continue
    return night_of_change(file, timezone)


def connect(source: VesperaSource, secrets: Secrets) -> Transport:
    """Plain FTP, as the telescope has it on its own network."""
    from astro_assets.sources.ftp import open_to_everyone

    del secrets
    return open_to_everyone(source)


VESPERA = Kind("vespera", connect, place)
