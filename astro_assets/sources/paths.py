"""Names from the far side, made safe: what may become a path below our own tree.

What belongs here: pure rules on names. What does not: naming rules of one kind of source.
"""

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath

from astro_assets.errors import UnsafeName
from astro_assets.formats import SUFFIXES, Format, format_of

MAX_NAME_BYTES = 230
"""One component of a path; leaves room for the marks of versions, parts and reasons."""
MAX_PATH_BYTES = 1500

_PACKED = (".gz", ".bz2")
FITS_SUFFIXES = tuple(
    f"{fits}{packed}" for fits in (".fits", ".fit", ".fts") for packed in ("", ".fz", *_PACKED)
)
_ENDINGS = (*sorted(FITS_SUFFIXES, key=len, reverse=True), *SUFFIXES, ".zip")

_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidi among them), surrogate, private, unassigned, line separators."""


def is_fits(path: str) -> bool:
    """Whether the name says FITS, in any case and also when packed by fpack, gzip or bzip2."""
    return path.lower().endswith(FITS_SUFFIXES)


def is_packed_fits(path: str) -> bool:
    """Whether the name says a FITS file that gzip or bzip2 packed as a whole."""
    return is_fits(path) and path.lower().endswith(_PACKED)


def is_tiff(path: str) -> bool:
    """Whether the name says TIFF, in any case."""
    return format_of(path) is Format.TIFF


def is_frame(path: str) -> bool:
    """Whether the name says a file that holds a frame: FITS, TIFF, XISF, camera raw."""
    return is_fits(path) or format_of(path) is not None


def stem(path: str) -> str:
    """The path without the ending of a frame or a zip."""
    lowered = path.lower()
    return next((path[: -len(end)] for end in _ENDINGS if lowered.endswith(end)), path)


def spelled(path: str) -> str:
    r"""A far path as text that can be shown and stored: bytes that are no UTF-8 as ``\xe9``."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # JSON can hold half characters that no byte stands for
        raw = path.encode("utf-8", "surrogatepass")
    return raw.decode("utf-8", "backslashreplace")


def safe_path(path: str) -> PurePosixPath:
    """A far path as a relative path of ours, letter by letter the same.

    Raises
    ------
    UnsafeName : it is absolute, climbs (``..``), is hidden, too long, or holds a backslash, a
        control or direction character, or bytes that are no UTF-8
    """
    parts = path.split("/")
    for part in parts:
        fault = _fault(part)
        if fault:
            raise UnsafeName(
                f"{spelled(path)!r} is no safe name ({fault}): rename it at its source"
            )
    if len(path.encode()) > MAX_PATH_BYTES:
        raise UnsafeName(f"{path[:80]!r}… is too long a path: shorten it at its source")
    return PurePosixPath(*parts)


def _fault(part: str) -> str:
    if part == "":
        return "it is absolute or has an empty part"
    if part.startswith("."):
        return "a part of it starts with a dot"
    if "\\" in part:
        return "it holds a backslash"
    if any(unicodedata.category(letter) in _FORBIDDEN_CATEGORIES for letter in part):
        return "it holds a character that cannot be shown"
    if len(part.encode()) > MAX_NAME_BYTES:
        return "a part of it is too long"
    return ""


def quarantine_path(path: str) -> PurePosixPath:
    """Where a far file's bytes go when they are set aside: its own path, or a made-up safe one."""
    try:
        return safe_path(path)
    except UnsafeName:
        words = re.sub(r"[^0-9A-Za-z.+_-]+", "_", spelled(path).rsplit("/", 1)[-1]).strip("._")
        mark = hashlib.sha256(spelled(path).encode()).hexdigest()[:12]
        return PurePosixPath("unsafe-names", f"{mark}-{words[-100:] or 'unnamed'}")


def versioned(path: PurePosixPath, version: int) -> PurePosixPath:
    """``img.fit`` as ``img~2.fit``; version 1 is the plain name."""
    if version == 1:
        return path
    base = stem(path.name)
    return path.with_name(f"{base}~{version}{path.name[len(base) :]}")
