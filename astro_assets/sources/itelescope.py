"""iTelescope's naming rules: lights below telescope folders, and the library of masters.

What belongs here: what a path on that server says of a frame. What does not: FTPS (`ftp`), where
the telescopes stand (`itelescope_sites`), the library (`itelescope_masters`).
"""

import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from functools import lru_cache

from astro_assets.frame import FrameKind
from astro_assets.settings import ItelescopeSource, Secrets
from astro_assets.sources.identity import ftps_certificate
from astro_assets.sources.itelescope_masters import in_library, place_master
from astro_assets.sources.itelescope_sites import sites
from astro_assets.sources.nights import night_of_change
from astro_assets.sources.paths import is_fits, stem
from astro_assets.sources.protocol import Kind, Place, Placement, RemoteFile, Transport

CALIBRATED, RAW, MASTERS = "calibrated", "raw", "masters"
_TELESCOPE = re.compile(r"[Tt](\d{1,3})", re.ASCII)
_FULL_NAME = re.compile(
    r"(?P<state>calibrated|cal|raw)-(?P<telescope>t\d+)-(?P<user_target>.+)"
    r"-(?P<day>\d{8})-(?P<time>\d{6})-(?P<filter>[^-]+)-bin(?P<binning>\d+)"
    r"-(?P<pier>[ew])-(?P<exposure>\d+(?:\.\d+)?)-(?P<sequence>\d+)",
    re.ASCII | re.IGNORECASE,
)
_PREMIUM_NAME = re.compile(
    r"calibrated-itelescope-(?P<target>.+)-(?P<exposure>\d+(?:\.\d+)?)s"
    r"-(?P<filter>[^-]+)-(?P<sequence>\d+)",
    re.ASCII | re.IGNORECASE,
)


def place(
    file: RemoteFile, timezone: str, frames: Collection[str] = (CALIBRATED,)
) -> Placement | None:
    """Place a light or a master; None for what is not among ``frames``, and for other folders.

    The date in a name is that of the observing night; the time beside it is the telescope's own
    local time and is not used.

    Parameters
    ----------
    timezone : of the observer, for a telescope of which nobody knows where it stands
    frames : which of ``calibrated``, ``raw`` and ``masters`` are wanted
    """
    parts = file.path.split("/")
    if not is_fits(_unzipped(parts[-1])):
        return None
    if in_library(parts):
        return place_master(file) if MASTERS in frames else None
    telescope = _telescope(parts)
    if telescope is None:
        return None
    name = stem(_unzipped(parts[-1]))
    named = _FULL_NAME.fullmatch(name)
    state = _state(name, named)
    if state not in frames:
        return None
    placement = _light(file, parts, telescope, name, named, _zone(telescope, timezone))
    return placement if state == CALIBRATED else _as_raw(placement, parts, name, frames)


def _state(name: str, named: re.Match[str] | None) -> str:
    """Calibrated, raw, or neither, as the name begins."""
    if name.lower().startswith("calibrated") or (named and named["state"].lower() == "cal"):
        return CALIBRATED
    return RAW if name.lower().startswith("raw-") else ""


def _light(
    file: RemoteFile,
    parts: list[str],
    telescope: str,
    name: str,
    named: re.Match[str] | None,
    timezone: str,
) -> Placement:
    facts = {"IMAGETYP": "Light Frame", "TELESCOP": telescope, "CALSTAT": "BDF"}
    folder_target = parts[1] if len(parts) > 2 else "unknown"
    target = folder_target
    premium = None if named else _PREMIUM_NAME.fullmatch(name)
    if named:
        target = _target(named["user_target"], folder_target)
        observer = named["user_target"].removesuffix(target).rstrip("-")
        binning = named["binning"]
        facts |= {"XBINNING": binning, "YBINNING": binning, "PIERSIDE": named["pier"].upper()}
        facts |= {"OBSERVER": observer} if observer else {}
    elif premium:
        target = premium["target"]
    match = named or premium
    if match:
        facts |= {"FILTER": match["filter"], "EXPTIME": match["exposure"]}
    target = target.replace("_", " ") if _tile(target) is None else target
    night = _night(named["day"] if named else "", parts, file, timezone)
    site = sites().get(telescope)
    return Placement(
        kind=FrameKind.LIGHT,
        night=night,
        target=target,
        instrument=telescope,
        facts={**facts, **(site.facts(night) if site else {}), "OBJECT": target},
    )


def _as_raw(
    placement: Placement, parts: list[str], name: str, frames: Collection[str]
) -> Placement:
    """The same of a frame that nobody has calibrated yet.

    Where calibrated frames are wanted too, those count: a raw one is taken only where there is no
    calibrated twin, and into a session of its own, so that no exposure is stacked twice.
    """
    facts = {key: value for key, value in placement.facts.items() if key != "CALSTAT"}
    twin = "/".join([*parts[:-1], CALIBRATED + name[len(RAW) :]])
    both = CALIBRATED in frames
    return Placement(
        kind=placement.kind,
        night=placement.night,
        target=placement.target,
        instrument=f"{placement.instrument}-raw" if both else placement.instrument,
        facts=facts,
        unless=twin if both else "",
    )


def _telescope(parts: list[str]) -> str | None:
    """``T05`` for a file below ``t5``."""
    match = _TELESCOPE.fullmatch(parts[0])
    return f"T{int(match[1]):02d}" if match and len(parts) > 1 else None


def _unzipped(name: str) -> str:
    return name[:-4] if name.lower().endswith(".zip") else name


def _zone(telescope: str, timezone: str) -> str:
    site = sites().get(telescope)
    return site.timezone if site else timezone


@lru_cache(4096)
def _target(user_target: str, folder_target: str) -> str:
    """The target in ``user-target``, where both may hold ``-``: the folder's name decides."""
    for at in (m.start() for m in re.finditer("-", user_target)):
        candidate = user_target[at + 1 :]
        tile = _tile(candidate)
        plain = candidate[: -len(tile)] if tile else candidate
        if _letters(plain) == _letters(folder_target):
            return candidate
    return user_target.split("-", 1)[-1]


def _tile(target: str) -> str | None:
    """The mark of a mosaic's tile: each tile is a field of its own."""
    match = re.search(r"(?i)_x\d+_y\d+$", target)
    return match[0] if match else None


def _letters(text: str) -> str:
    return re.sub(r"[^0-9a-z]", "", text.lower())


def _night(day: str, parts: list[str], file: RemoteFile, timezone: str) -> date:
    """The night from the name, else from a folder, else from the server's time."""
    for text in (day, *reversed(parts[:-1])):
        day_there = _day(text)
        if day_there is not None:
            return day_there
    return night_of_change(file, timezone)


@lru_cache(4096)
def _day(text: str) -> date | None:
    """``20261120`` as a date; None for what is none."""
    if not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date, no time
    except ValueError:
        return None


def connect(source: ItelescopeSource, secrets: Secrets) -> Transport:
    """FTPS, and only the folders that hold what is wanted."""
    from astro_assets.sources.ftp import FtpTransport
    from astro_assets.sources.ftp_client import FtpServer

    user, password = source.credentials(secrets)
    server = FtpServer(
        name=source.name,
        host=source.host,
        port=source.port,
        path=source.path,
        user=user,
        password=password,
        login_hint=f"check the variables {source.user_env} and {source.password_env}",
        tls=True,
        trust=source,
    )
    return FtpTransport(server, enters=_enters(source))


def _enters(source: ItelescopeSource) -> Callable[[str], bool]:
    def enters(path: str) -> bool:
        top = path.split("/", 1)[0]
        return bool(_TELESCOPE.fullmatch(top)) or (MASTERS in source.frames and in_library([top]))

    return enters


def _place_as_set(source: ItelescopeSource) -> Place:
    return lambda file, timezone: place(file, timezone, source.frames)


ITELESCOPE = Kind("itelescope", connect, place, _place_as_set, identity=ftps_certificate)
