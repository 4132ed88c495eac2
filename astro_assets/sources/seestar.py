"""The SeeStar smart telescope's naming rules: sub frames of each object.

What belongs here: what a path on that telescope says of a frame. What does not: SMB (`smb`).
"""

import re

from astro_assets.frame import FrameKind
from astro_assets.settings import Secrets, SeestarSource
from astro_assets.sources.nights import night_of_stamp
from astro_assets.sources.paths import is_fits, stem
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Transport

_SUBS = re.compile(r"(?P<target>.+?)(?P<mosaic>_mosaic)?_sub", re.IGNORECASE)
_NAME = re.compile(
    r"Light_.+_(?P<exposure>\d+(?:\.\d+)?)s_(?:(?P<filter>[^_]+)_)?(?P<moment>\d{8}-\d{6})",
    re.ASCII | re.IGNORECASE,
)
_INSTRUMENT = "Seestar"


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place a light below ``<object>_sub``; None for stacked pictures, videos and thumbnails.

    The time in the name is the telescope's local time. A mosaic's panels are one field: its
    frames form a session of their own.
    """
    *folders, name = file.path.split("/")
    subs = next((match for folder in folders if (match := _SUBS.fullmatch(folder))), None)
    if subs is None or not is_fits(name) or not name.lower().startswith("light"):
        return None
    target = subs["target"].replace("_", " ") + (" mosaic" if subs["mosaic"] else "")
    facts = {"IMAGETYP": "Light Frame", "INSTRUME": _INSTRUMENT, "OBJECT": target}
    named = _NAME.fullmatch(stem(name))
    if named:
        facts["EXPTIME"] = named["exposure"]
        facts |= {"FILTER": named["filter"]} if named["filter"] else {}
    return Placement(
        kind=FrameKind.LIGHT,
        night=night_of_stamp(named["moment"] if named else "", "%Y%m%d-%H%M%S", file, timezone),
        target=target,
        instrument=_INSTRUMENT,
        facts=facts,
    )


def connect(source: SeestarSource, secrets: Secrets) -> Transport:
    """SMB as a guest, as the telescope has it on its own network."""
    from astro_assets.sources.smb import SmbTransport
    from astro_assets.sources.smb_client import SmbServer

    del secrets  # everyone is let in
    server = SmbServer(
        name=source.name,
        host=source.host,
        port=source.port,
        share=source.share,
        path=source.path,
    )
    return SmbTransport(server, enters=lambda path: "/" in path or bool(_SUBS.fullmatch(path)))


SEESTAR = Kind("seestar", connect, place)
