"""Where a telescope stands, as headers and settings tell it.

What belongs here: latitude, longitude and height in the spellings that programs use, and which way
round a longitude counts. What does not: what is seen from there (`imaging.ephemeris`).
"""

import re
from dataclasses import dataclass

from astro_assets.frame.angles import angle_deg
from astro_assets.frame.keywords import Keywords

_PAIRS = (
    ("SITELAT", "SITELONG"),
    ("OBSGEO-B", "OBSGEO-L"),
    ("LAT-OBS", "LONG-OBS"),
    ("OBS-LAT", "OBS-LONG"),
    ("SITE-LAT", "SITE-LON"),
    ("LATITUDE", "LONGITUD"),
    ("GEOLAT", "GEOLON"),
)
_HEIGHTS = ("SITEELEV", "OBSGEO-H", "ALT-OBS", "OBS-ELEV", "SITEALT", "ELEVATIO")
_NAMES = ("SITENAME", "OBSERVAT")
_SIDE = re.compile(r"(?i)\s*([NSEW])\s*")
_SAME_SITE_DEG = 1.0
_TELLING_DEG = 2 * _SAME_SITE_DEG
"""nearer to Greenwich both signs of a longitude mean nearly the same"""
_HIGHEST_M = 9000.0


@dataclass(frozen=True, slots=True)
class Place:
    """A site, geodetic. Longitude is positive to the east, from -180 to 180; height in metres."""

    latitude_deg: float
    longitude_deg: float
    elevation_m: float = 0.0
    name: str | None = None

    def keywords(self) -> dict[str, str]:
        """As FITS keywords, for what headers leave open."""
        stated = {
            "SITELAT": f"{self.latitude_deg:g}",
            "SITELONG": f"{self.longitude_deg:g}",
            "SITEELEV": f"{self.elevation_m:g}",
        }
        return stated | ({"SITENAME": self.name} if self.name else {})


def place_of(words: Keywords, where: str) -> tuple[Place | None, str]:
    """The site, and a sentence where the header's longitude was turned round.

    The header's site counts, else that of the facts. Both numbers come from one of them. A header
    whose longitude has just the other sign than its source's site counts west as positive.

    Parameters
    ----------
    words : the header and then the facts
    where : the file's name, for the sentence
    """
    found = [_place(words.layer(number)) for number in range(len(words.layers))]
    stated = next((place for place in found if place is not None), None)
    if stated is None or stated is not found[0]:
        return stated, ""
    known = next((place for place in found[1:] if place is not None), None)
    if known is None or not _mirrored(stated, known):
        return stated, ""
    turned = Place(stated.latitude_deg, -stated.longitude_deg, stated.elevation_m, stated.name)
    return turned, (
        f"{where} says longitude {stated.longitude_deg:g}°, but its telescope stands at "
        f"{known.longitude_deg:g}° (east is positive): the header counts west as positive, and "
        "its sign was turned round"
    )


def _place(words: Keywords) -> Place | None:
    for latitude_name, longitude_name in _PAIRS:
        latitude_deg = _side_deg(words.text(latitude_name), "S")
        longitude_deg = _side_deg(words.text(longitude_name), "W")
        if latitude_deg is None or longitude_deg is None:
            continue
        if _counts_west(words.comment(longitude_name)):
            longitude_deg = -longitude_deg
        if not (-90 <= latitude_deg <= 90 and -360 <= longitude_deg <= 360):
            continue
        if latitude_deg == longitude_deg == 0:  # a program that was told no site
            continue
        height_m = words.number(*_HEIGHTS)
        return Place(
            latitude_deg=latitude_deg,
            longitude_deg=_around(longitude_deg),
            elevation_m=height_m if height_m is not None and abs(height_m) < _HIGHEST_M else 0.0,
            name=words.text(*_NAMES),
        )
    return None


def _around(longitude_deg: float) -> float:
    """From -180 to 180; what is there already stays as it is written."""
    if -180 <= longitude_deg <= 180:
        return longitude_deg
    return longitude_deg - 360 if longitude_deg > 0 else longitude_deg + 360


def _side_deg(text: str | None, negative: str) -> float | None:
    """Degrees from a number or sexagesimal text, also with N, S, E or W around it."""
    sides = _SIDE.findall(text or "")
    size = angle_deg(_SIDE.sub("", text or ""), sexagesimal_unit_deg=1)
    if size is None or len(sides) > 1:
        return None
    return -abs(size) if sides and sides[0].upper() == negative else size


def _counts_west(comment: str) -> bool:
    """Whether a longitude's comment says that west is positive."""
    return bool(re.search(r"west\s*(is\s*)?(positive|\+)|(positive|\+)\s*west|\+w\b", comment))


def _mirrored(stated: Place, known: Place) -> bool:
    return (
        abs(stated.latitude_deg - known.latitude_deg) < _SAME_SITE_DEG
        and abs(stated.longitude_deg + known.longitude_deg) < _SAME_SITE_DEG
        and abs(known.longitude_deg) > _TELLING_DEG
    )
