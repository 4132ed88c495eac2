"""Where the telescope believed it pointed: degrees, hours, or sexagesimal."""

import re

from astro_assets.frame.keywords import Keywords, number

_PAIRS = (
    ("RA", "DEC"),
    ("OBJCTRA", "OBJCTDEC"),
    ("RA-TEL", "DEC-TEL"),
    ("RA-OBJ", "DEC-OBJ"),
    ("MNTRA", "MNTDEC"),
    ("CRVAL1", "CRVAL2"),
)
_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[-+]?)(?P<whole>\d{1,3})\s*[:\shd°]
    \s*(?P<minutes>[0-5]?\d(\.\d*)?)\s*[:\sm'′]?
    \s*(?P<seconds>[0-5]?\d(\.\d*)?)?\s*[s"″]?""",
    re.ASCII | re.VERBOSE,
)
_HOURS = re.compile(r"\[h\]|\bhours?\b|\bhrs?\b|\bhh")
_NEAR_DEG = 3.0
"""two pairs of one header that are not farther apart say the same"""


def pointing(words: Keywords) -> tuple[float | None, float | None]:
    """Pointing in degrees. Sexagesimal RA is in hours.

    A plain number is in degrees, unless its comment says hours, or another pair of the header
    tells, in hours or sexagesimal, of just the place that it is in hours.
    """
    found = [_pair(words, *names) for names in _PAIRS]
    pairs = [pair for pair in found if pair is not None]
    if not pairs:
        return None, None
    ra_deg, dec_deg, plain = pairs[0]
    if plain and ra_deg < 24 and any(_near(15 * ra_deg, dec_deg, other) for other in pairs[1:]):
        in_degrees_too = any(_near(ra_deg, dec_deg, other) for other in pairs[1:])
        ra_deg = ra_deg if in_degrees_too else 15 * ra_deg
    return ra_deg % 360, dec_deg


def _pair(words: Keywords, ra_name: str, dec_name: str) -> tuple[float, float, bool] | None:
    """RA and Dec, and whether RA was a plain number of which nobody said the unit."""
    ra_text, dec_text = words.text(ra_name), words.text(dec_name)
    hours = bool(_HOURS.search(words.comment(ra_name)))
    plain = number(ra_text) is not None
    ra_deg = angle_deg(ra_text, sexagesimal_unit_deg=15)
    dec_deg = angle_deg(dec_text, sexagesimal_unit_deg=1)
    if ra_deg is None or dec_deg is None:
        return None
    if plain and hours and 0 <= ra_deg <= 24:
        ra_deg *= 15
    if 0 <= ra_deg <= 360 and -90 <= dec_deg <= 90:
        return ra_deg, dec_deg, plain and not hours
    return None


def _near(ra_deg: float, dec_deg: float, other: tuple[float, float, bool]) -> bool:
    apart = abs((ra_deg - other[0] + 180) % 360 - 180)
    return apart < _NEAR_DEG and abs(dec_deg - other[1]) < _NEAR_DEG


def angle_deg(text: str | None, *, sexagesimal_unit_deg: float) -> float | None:
    """Degrees from a plain number of degrees, or from sexagesimal text in another unit."""
    plain = number(text)
    if plain is not None:
        return plain
    match = _SEXAGESIMAL.fullmatch(text or "")
    if match is None:
        return None
    size = int(match["whole"]) + float(match["minutes"]) / 60 + float(match["seconds"] or 0) / 3600
    return (-size if match["sign"] == "-" else size) * sexagesimal_unit_deg
