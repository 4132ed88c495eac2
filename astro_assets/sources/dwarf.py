"""The DWARF smart telescopes' naming rules: raw sessions, darks, and the calibration library.

What belongs here: what a path on that telescope says of a frame. What does not: FTP (`ftp`).
"""

import re

from astro_assets.frame import FrameKind
from astro_assets.settings import DwarfSource, Secrets
from astro_assets.sources.nights import night_of_change, night_of_stamp
from astro_assets.sources.paths import is_fits, stem
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Transport

_STAMP = r"(?P<stamp>\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d)(?:-\d+)?"
_SESSION = re.compile(
    r"DWARF_RAW_(?:(?P<camera>TELE|WIDE)_)?(?P<target>.+?)_EXP_(?P<exposure>[\d.]+)"
    rf"_GAIN_(?P<gain>\d+)_{_STAMP}",
    re.ASCII,
)
_DARKS = re.compile(
    r"(?P<camera>tele|wide)_exp_(?P<exposure>[\d.]+)_gain_(?P<gain>\d+)_bin_(?P<binning>\d+)"
    rf"_{_STAMP}",
    re.ASCII | re.IGNORECASE,
)
_LIGHT = re.compile(
    r".+_[\d.]+s\d+_(?P<filter>[^_]+)_\d{8}-\d{6,9}(?:_(?P<temperature>-?\d+)C)?", re.ASCII
)
_LIBRARY = "CALI_FRAME"
_KINDS = {"bias": FrameKind.BIAS, "dark": FrameKind.DARK, "flat": FrameKind.FLAT}
_CAMERAS = {"cam_0": "TELE", "cam_1": "WIDE"}
_FILTERS = {"0": "VIS", "1": "Astro", "2": "Duo-Band"}
_MATRIX = "RGGB"
_SIDECAR = "shotsInfo.json"
_STAMP_FORM = "%Y-%m-%d-%H-%M-%S"


def place(file: RemoteFile, timezone: str) -> Placement | None:
    """Place a light, a dark, or a master of the library; None for pictures and stacks.

    What the telescope itself gave up (``failed_…``) is `FrameKind.OTHER`. Times in names are
    local. Its two cameras are two instruments.
    """
    *folders, name = file.path.split("/")
    sidecar = name == _SIDECAR
    if not (is_fits(name) or sidecar) or name.lower().startswith("stacked"):
        return None
    session = _matched(_SESSION, folders)
    if session is not None:
        return _light(session, file, name, timezone, sidecar=sidecar)
    darks = _matched(_DARKS, folders)
    if darks is not None and not sidecar:
        return _dark(darks, file, timezone)
    if _LIBRARY in folders[:-2] and not sidecar:
        return _master(folders[folders.index(_LIBRARY) + 1 :], file, stem(name), timezone)
    return None


def _light(
    session: re.Match[str], file: RemoteFile, name: str, timezone: str, *, sidecar: bool
) -> Placement:
    target = session["target"].replace("_", " ")
    facts = _camera(session["camera"] or "TELE") | {
        "IMAGETYP": "Light Frame",
        "OBJECT": target,
        "EXPTIME": session["exposure"],
        "GAIN": session["gain"],
    }
    named = _LIGHT.fullmatch(stem(name))
    if named:
        facts["FILTER"] = named["filter"]
        facts |= {"CCD-TEMP": named["temperature"]} if named["temperature"] else {}
    return Placement(
        kind=FrameKind.OTHER if name.startswith("failed_") else FrameKind.LIGHT,
        night=night_of_stamp(session["stamp"], _STAMP_FORM, file, timezone),
        target=target,
        instrument=facts["INSTRUME"],
        facts=facts,
        companion=sidecar,
    )


def _dark(darks: re.Match[str], file: RemoteFile, timezone: str) -> Placement:
    facts = _camera(darks["camera"].upper()) | {
        "IMAGETYP": "Dark Frame",
        "EXPTIME": darks["exposure"],
        "GAIN": darks["gain"],
        "XBINNING": darks["binning"],
    }
    return Placement(
        kind=FrameKind.DARK,
        night=night_of_stamp(darks["stamp"], _STAMP_FORM, file, timezone),
        target=None,
        instrument=facts["INSTRUME"],
        configuration=f"{float(darks['exposure']):g}s_gain{darks['gain']}_bin{darks['binning']}",
        facts=facts,
    )


def _master(below: list[str], file: RemoteFile, name: str, timezone: str) -> Placement | None:
    """A ready-made master, each a set of its own: ``dark_exp_30.000000_gain_60_bin_1_22C…``.

    The ``gain`` in the names of biases and flats is the number of a step, not the gain that the
    lights tell, so it is no fact.
    """
    kind, camera = _KINDS.get(below[0].lower()), _CAMERAS.get(below[1].lower())
    if kind is None or camera is None:
        return None
    facts = _camera(camera) | {"IMAGETYP": f"Master {kind.capitalize()}"}
    found = dict(re.findall(r"(exp|gain|bin|ir)_(\d+(?:\.\d+)?)", name))
    temperature = re.search(r"_(-?\d+)C(?:_|$)", name)
    facts |= {"XBINNING": found["bin"]} if "bin" in found else {}
    facts |= {"CCD-TEMP": temperature[1]} if temperature else {}
    if kind is FrameKind.DARK:
        facts |= {"EXPTIME": found["exp"]} if "exp" in found else {}
        facts |= {"GAIN": found["gain"]} if "gain" in found else {}
    if kind is FrameKind.FLAT:
        facts |= {"BAYERPAT": _MATRIX, "FILTER": _FILTERS.get(found.get("ir", ""), "")}
    return Placement(
        kind=kind,
        night=night_of_change(file, timezone),
        target=None,
        instrument=facts["INSTRUME"],
        configuration=name.removeprefix(f"{kind}_"),
        facts={key: value for key, value in facts.items() if value},
    )


def _camera(camera: str) -> dict[str, str]:
    """Both cameras write the same instrument into their headers, or none; the path knows better."""
    return {"INSTRUME": f"DWARF {camera}", "AAINSTR": f"DWARF {camera}"}


def _matched(pattern: re.Pattern[str], folders: list[str]) -> re.Match[str] | None:
    return next((match for folder in folders if (match := pattern.fullmatch(folder))), None)


def connect(source: DwarfSource, secrets: Secrets) -> Transport:
    """Plain FTP, as the telescope has it on its own network."""
    from astro_assets.sources.ftp import open_to_everyone

    del secrets
    return open_to_everyone(source)


DWARF = Kind("dwarf", connect, place)
