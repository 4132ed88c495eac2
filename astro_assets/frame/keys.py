"""Names as parts of keys and of file names: one spelling for each target and instrument."""

import hashlib
import re
import unicodedata
from functools import lru_cache

_FEW_WORDS = 4096
"""Thousands of frames share their targets and instruments."""
_CATALOGUES = {
    "messier": "M", "m": "M", "ngc": "NGC", "ic": "IC", "sh2": "Sh2-", "b": "B", "c": "C",
    "abell": "Abell", "arp": "Arp", "hd": "HD",
}  # fmt: skip
_DESIGNATION = re.compile(
    r"(?i)(messier|m|ngc|ic|sh-?2(?=-)|b|c|abell|arp|hd)-*(\d{1,6})", re.ASCII
)


@lru_cache(_FEW_WORDS)
def key_part(text: str) -> str:
    """``text`` as part of a partition key and of a file name: letters, digits, ``. + - _``.

    Letters that are not ASCII lose their accents; where they are lost altogether, a short hash of
    them keeps ``α Cen`` and ``ω Cen`` apart.
    """
    plain = unicodedata.normalize("NFKD", text)
    cleaned = re.sub(r"[^0-9A-Za-z.+_]+", "-", _without_marks(plain)).strip("-.")
    lost = "".join(letter for letter in plain if not letter.isascii() and letter.isalnum())
    if lost:
        mark = hashlib.sha256(lost.encode(errors="backslashreplace")).hexdigest()[:8]
        cleaned = f"{cleaned}-{mark}".lstrip("-")
    return cleaned or "unnamed"


def _without_marks(text: str) -> str:
    return "".join(letter for letter in text if not unicodedata.combining(letter))


@lru_cache(_FEW_WORDS)
def mosaic_key(target: str) -> str:
    """The target whose composite a session goes into: ``M31`` for the tile ``M31-x1-y2``.

    Parameters
    ----------
    target : from `target_key`; one that is no tile is its own mosaic
    """
    tile = re.fullmatch(r"(?i)(.+)-x\d+-y\d+", target)
    return target_key(tile[1]) if tile else target


@lru_cache(_FEW_WORDS)
def target_key(name: str) -> str:
    """One spelling for a target: ``M 31``, ``m31`` and ``M_31`` are all ``M31``.

    Catalogue designations lose their space and get the catalogue's usual capitals; other names
    keep their words, joined by ``-``. There is no ``_`` in it, since that parts a session's key.
    """
    text = key_part(key_part(name).replace("_", "-"))
    match = _DESIGNATION.fullmatch(text)
    if match is None:
        return text
    return f"{_CATALOGUES[match[1].lower().replace('-', '')]}{int(match[2])}"
