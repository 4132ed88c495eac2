"""Where the camera stands, and whether latitude and longitude were taken for one another.

What belongs here: the two numbers of `[Location]`. What does not: when it gets dark there.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from astro_assets.errors import SettingsError

_PUBLISHED = (6.567, 53.217)
"""latitude and longitude as the example that goes round has them: Groningen, the wrong way round"""
_NEAR_DEG = 0.01
_DEG_PER_HOUR = 15.0
_WIDEST_ZONE_DEG = 45.0
"""how far a place's own noon may lie from its clock's: the widest zones there are, in summer"""


@dataclass(frozen=True, slots=True)
class Place:
    """North and east are positive."""

    latitude_deg: float
    longitude_deg: float


def read_place(
    file: Path, latitude: str, longitude: str, utc_offset_h: float | None = None
) -> tuple[Place | None, tuple[str, ...]]:
    """The place, and a sentence for each doubt about it.

    Where the file's numbers contradict the clock's time zone and exchanging them mends it, they
    are exchanged, and the sentence says so.

    Parameters
    ----------
    utc_offset_h : of this machine's clock; None asks the system

    Raises
    ------
    SettingsError : a number is missing or impossible
    """
    if not latitude and not longitude:
        return None, ()
    lat, lon = _degrees(file, "latitude", latitude), _degrees(file, "longitude", longitude)
    exchanged = Place(lon, lat)
    if abs(lat) > 90:
        hint = f"; are latitude and longitude ({lon:g}) exchanged?" if abs(lon) <= 90 else ""
        raise SettingsError(file, "[Location] latitude", f"-90 to 90, not {lat:g}{hint}")
    zone_deg = (_utc_offset_h() if utc_offset_h is None else utc_offset_h) * _DEG_PER_HOUR
    # Many a Pi keeps UTC wherever it stands, which then says nothing.
    fits = zone_deg == 0 or _off_zone_deg(lon, zone_deg) <= _WIDEST_ZONE_DEG
    exchanged_fits = abs(lon) <= 90 and (
        zone_deg == 0 or _off_zone_deg(lat, zone_deg) <= _WIDEST_ZONE_DEG
    )
    published = abs(lat - _PUBLISHED[0]) < _NEAR_DEG and abs(lon - _PUBLISHED[1]) < _NEAR_DEG
    if (published or not fits) and exchanged_fits:
        sentence = (
            f"{file}: [Location] has latitude {lat:g} and longitude {lon:g}, which look exchanged "
            f"(latitude is north–south); taken as latitude {lon:g}, longitude {lat:g}: "
            "correct the file"
        )
        return exchanged, (sentence,)
    if not fits:
        sentence = (
            f"{file}: [Location] longitude {lon:g} is far from this clock's time zone: "
            "check longitude (east is positive) and the time zone"
        )
        return Place(lat, lon), (sentence,)
    return Place(lat, lon), ()


def _degrees(file: Path, key: str, text: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError as error:
        raise SettingsError(
            file, f"[Location] {key}", f"degrees such as 53.217, not {text!r}"
        ) from error
    if not -180 <= value <= 180:
        raise SettingsError(file, f"[Location] {key}", f"degrees, not {value:g}")
    return value


def _utc_offset_h() -> float:
    return -time.timezone / 3600


def _off_zone_deg(longitude_deg: float, zone_deg: float) -> float:
    return abs((longitude_deg - zone_deg + 180) % 360 - 180)
