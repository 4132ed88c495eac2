"""Where a target is, and whether Tenerife ever sees it.

What belongs here: coordinates as people write them, names of NGC, IC and Messier, culmination. What
does not: the site's own rules (`sources.telescope_org_wish`).
"""

import re
from datetime import UTC, datetime

import astropy.units as u
from astropy.coordinates import FK5, Angle, SkyCoord
from astropy.time import Time

from astro_assets.errors import RequestRefused, SourceUnreachable
from astro_assets.frame import target_key
from astro_assets.steps.request_targets import Target

TENERIFE_LATITUDE_DEG = 28.3
_TWO_ANGLES = re.compile(
    r"(?P<ra>[\d.:hms]+(?:\s+[\d.ms]+){0,2})[\s,]+(?P<dec>[-+][\d.:dms]+(?:\s+[\d.ms]+){0,2})"
)


def place_of(target: Target, *, online: bool) -> SkyCoord:
    """Where a target is (ICRS).

    online : whether CDS may be asked for names that are in none of our catalogues

    Raises
    ------
    RequestRefused : there is no such place, or nobody knows the name
    SourceUnreachable : CDS does not answer
    """
    if (target.ra is None) != (target.dec is None):
        raise RequestRefused(f"{target.name or 'a target'} has only one of ra and dec: give both")
    if target.ra is not None and target.dec is not None:
        return _coordinates(str(target.ra), str(target.dec))
    if not target.name:
        raise RequestRefused("a target has neither a name nor ra and dec: give one of them")
    found = in_catalogue(target.name)
    if found is not None:
        return found
    if not online:
        raise RequestRefused(
            f"{target.name!r} is not in NGC, IC or Messier: give ra and dec, or set "
            "resolve_names_online = true"
        )
    return _asked_for(target.name)


def what_words_say(words: str) -> dict[str, str]:
    """``name``, or ``ra`` and ``dec``, from the command line: ``M 31``, ``00:42:44 +41:16:09``."""
    angles = _TWO_ANGLES.fullmatch(words.strip())
    return {"name": words} if angles is None else {"ra": angles["ra"], "dec": angles["dec"]}


def _coordinates(ra: str, dec: str) -> SkyCoord:
    """Plain numbers are degrees; sexagesimal right ascension is in hours."""
    try:
        longitude, latitude = _angle(ra, u.hourangle), _angle(dec, u.deg)
        place = SkyCoord(longitude, latitude)
    except (ValueError, TypeError, u.UnitsError) as error:
        raise _no_place(ra, dec) from error
    if not 0 <= longitude.deg <= 360:  # which would be wrapped
        raise _no_place(ra, dec)
    return place


def _no_place(ra: str, dec: str) -> RequestRefused:
    return RequestRefused(f"{ra!r}, {dec!r} is no place: write degrees, or hh:mm:ss and ±dd:mm:ss")


def _angle(text: str, unit_of_sexagesimal: u.Unit) -> Angle:
    is_number = re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", text) is not None
    return Angle(float(text), u.deg) if is_number else Angle(text, unit_of_sexagesimal)


def in_catalogue(name: str) -> SkyCoord | None:
    """The place of an object of NGC, IC or Messier, with the package's own copy of OpenNGC."""
    from pyongc import ongc

    found = ongc.get(target_key(name))
    if found is None or ":" not in f"{found.ra}{found.dec}":
        return None
    return SkyCoord(found.ra, found.dec, unit=(u.hourangle, u.deg))


def _asked_for(name: str) -> SkyCoord:
    from astropy.coordinates.name_resolve import NameResolveError

    try:
        return SkyCoord.from_name(name)
    except NameResolveError as error:
        if "queries failed" in str(error):
            raise SourceUnreachable(
                f"CDS does not answer for {name!r}: try later, or give ra and dec"
            ) from error
        raise RequestRefused(f"nobody knows {name!r}: give ra and dec") from error


def never_rises(place: SkyCoord) -> str:
    """Why a place is never seen from Tenerife; empty when it is."""
    # Declinations move by some tenths of a degree since the year 2000; offline, unlike altitudes.
    now = Time(datetime.now(UTC))
    dec_deg = place.transform_to(FK5(equinox=now)).dec.deg
    highest_deg = 90 - abs(TENERIFE_LATITUDE_DEG - dec_deg)
    if highest_deg > 0:
        return ""
    return f"it never rises at Tenerife: at its highest it is {-highest_deg:.0f}° below the horizon"
