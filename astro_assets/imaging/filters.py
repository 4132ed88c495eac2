"""What a filter lets through, by its name.

What belongs here: names, wavelengths, which broad band holds which line. What does not: what a
picture makes of them (`color`), the subtraction (`continuum`).
"""

import re
from collections.abc import Iterable

LUMINANCE = "L"

BROAD_NM = {
    "U": 365.0, "B": 445.0, "G": 530.0, "V": 551.0, "R": 650.0, "I": 800.0, "Z": 900.0,
    "SDSS U": 355.0, "SDSS G": 475.0, "SDSS R": 622.0, "SDSS I": 763.0, "SDSS Z": 905.0,
}  # fmt: skip
"""Effective wavelengths of the broad bands."""
NARROW_NM = {"SII": 672.0, "Ha": 656.3, "OIII": 500.7, "Hb": 486.1}
"""Wavelengths of the lines that narrow bands are made for."""

CONTINUUM = {
    "Ha": ("R", "SDSS R", "L"),
    "SII": ("R", "SDSS R", "L"),
    "OIII": ("G", "V", "SDSS G", "L"),
    "Hb": ("B", "SDSS G", "G", "L"),
}
"""Broad bands that show a line's continuum, the best first. Each lets the line itself pass."""

_NAMES = {
    "luminance": "L", "lum": "L", "l": "L", "clear": "L", "c": "L", "none": "L", "open": "L",
    "ircut": "L", "lp": "L",
    "red": "R", "r": "R", "rc": "R", "green": "G", "g": "G", "blue": "B", "b": "B",
    "v": "V", "visual": "V", "u": "U", "i": "I", "ic": "I", "z": "Z",
    "ha": "Ha", "halpha": "Ha", "hydrogenalpha": "Ha", "hb": "Hb", "hbeta": "Hb",
    "oiii": "OIII", "o3": "OIII", "oxygen": "OIII", "sii": "SII", "s2": "SII", "sulphur": "SII",
    "sulfur": "SII",
}  # fmt: skip


def channel_of(filter_name: str) -> str | None:
    """The band of a filter by any of its usual names; None when the name says nothing.

    ``Red`` → ``R``, ``H-alpha`` → ``Ha``, ``g'`` → ``SDSS G``, ``Luminance`` → ``L``. A Bayer
    plane counts as the filter of its colour.
    """
    text = filter_name.strip()
    sloan = re.fullmatch(r"(?i)(?:sdss|sloan)?[ _-]*([ugriz])(?:['′p]|[ _-]*prime)", text)
    if sloan is None:
        sloan = re.fullmatch(r"(?i)(?:sdss|sloan)[ _-]*([ugriz])", text)
    if sloan is not None:
        return f"SDSS {sloan[1].upper()}"
    words = text.replace("α", "alpha").replace("β", "beta").lower()
    bare = re.sub(r"[^a-z0-9]", "", re.sub(r"\d+(\.\d+)?\s*nm", "", words))
    return _NAMES.get(bare) or _NAMES.get(re.sub(r"^(johnson|cousins|bessell?|astrodon)", "", bare))


def by_band(filter_names: Iterable[str]) -> dict[str, str]:
    """Band → the filter's name, for those whose band is known; of two of one band the first."""
    found: dict[str, str] = {}
    for name in filter_names:
        band = channel_of(name)
        if band is not None:
            found.setdefault(band, name)
    return found


def continuum_of(line: str, bands: Iterable[str]) -> str | None:
    """The band that shows the continuum of a line best, out of those there are."""
    there = set(bands)
    return next((band for band in CONTINUUM[line] if band in there), None)
