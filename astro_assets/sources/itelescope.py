"""iTelescope's naming rules: calibrated frames in zips below telescope folders.

What belongs here: what a path on that server says of a frame. What does not: FTPS (`ftp`).
"""

import re
from datetime import date, datetime

from astro_assets.frame import FrameKind
from astro_assets.night import night_of
from astro_assets.settings import ItelescopeSource, Secrets
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Transport

_TELESCOPE = re.compile(r"[Tt]\d+")
_WANTED = re.compile(r"(?i)calibrated.*\.fit\.zip")
_FULL_NAME = re.compile(
    r"(?i)calibrated-(?P<telescope>t\d+)-(?P<user_target>.+)"
    r"-(?P<day>\d{8})-(?P<time>\d{6})-(?P<filter>[^-]+)-BIN(?P<binning>\d+)"
    r"-(?P<pier>[EW])-(?P<exposure>\d+(?:\.\d+)?)-(?P<sequence>\d+)\.fit\.zip"
)
_PREMIUM_NAME = re.compile(
    r"(?i)calibrated-itelescope-(?P<target>.+)-(?P<exposure>\d+(?:\.\d+)?)s"
    r"-(?P<filter>[^-]+)-(?P<sequence>\d+)\.fit\.zip"
)
_NO_NIGHT = date(1970, 1, 1)
"""For a file of which neither name, path nor server says when: it must still be seen."""


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place a calibrated light; None for raw frames, masters and other folders.

    The date in a name is that of the observing night: the time beside it is the telescope's own
    local time and is not used.
    """
    parts = file.path.split("/")
    if len(parts) < 2 or not _TELESCOPE.fullmatch(parts[0]) or not _WANTED.fullmatch(parts[-1]):
        return None
    telescope = parts[0].upper()
    facts = {"IMAGETYP": "Light Frame", "TELESCOP": telescope}
    folder_target = parts[1] if len(parts) > 2 else "unknown"
    named = _FULL_NAME.fullmatch(parts[-1])
    premium = _PREMIUM_NAME.fullmatch(parts[-1])
    if named:
        target = _target(named["user_target"], folder_target)
        facts |= {"XBINNING": named["binning"], "PIERSIDE": named["pier"].upper()}
    elif premium:
        target = premium["target"]
    else:
        target = folder_target
    match = named or premium
    if match:
        facts |= {"FILTER": match["filter"], "EXPTIME": match["exposure"]}
    target = target.replace("_", " ") if _tile(target) is None else target
    return Placement(
        kind=FrameKind.LIGHT,
        night=_night(named["day"] if named else "", parts, file, timezone),
        target=target,
        instrument=telescope,
        facts={**facts, "OBJECT": target},
    )


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
        if re.fullmatch(r"\d{8}", text):
            try:
                return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date, no time
            except ValueError:
                continue
    return night_of(file.modified_utc, timezone) if file.modified_utc else _NO_NIGHT


def connect(source: ItelescopeSource, secrets: Secrets) -> Transport:
    """FTPS, and only the telescope folders."""
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
        ca_file=source.ca_file,
    )
    return FtpTransport(server, enters=lambda path: bool(_TELESCOPE.fullmatch(path.split("/")[0])))


ITELESCOPE = Kind("itelescope", connect, place)
