"""Sun, Moon and target over a telescope: where they stood when a frame was taken, offline.

What belongs here: times and directions, many frames at once. What does not: headers (`frame`), what
a night is (`night`).

The routines are those of the IAU's SOFA collection (Hohenkerk 2011, Scholarpedia 6, 11404), as
pyerfa brings them: precession and nutation IAU 2006/2000A, the Earth by VSOP2000, the Moon by
Meeus's extract of ELP 2000-82 (10″). They are called directly, for they hold no state and cost
microseconds, where astropy's frames take some 30 ms per call. The Earth's rotation is that of the
table that comes along with astropy; beyond its end the last value holds (0.004° at the worst).
Altitudes are without refraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import erfa
import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]

_J2000 = 2451545.0
_J2000_UTC = datetime(2000, 1, 1, 12, tzinfo=UTC)
_TT_OF_TAI_S = 32.184
_DAY_S = 86400.0
_LIGHT_S_PER_AU = 499.004783836
_AU_M = 149597870700.0
_WGS84 = 1
_YEARS = range(1900, 2100)
"""the Earth's orbit is known for"""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the sky was like in the middle of each exposure; all (n,), NaN where not known.

    jd_utc : Julian date, UTC
    bjd_tdb : when the light passed the barycentre of the solar system, as a Julian date in TDB
        (Eastman, Siverd & Gaudi 2010, PASP 122, 935); good to 0.05 s, since the observer is taken
        to stand in the middle of the Earth and TDB is taken as TT
    altitude_deg, azimuth_deg : of the target; from north over east
    airmass : of the target; NaN below the horizon
    sun_altitude_deg, moon_altitude_deg : of their middles
    moon_illumination : share of the Moon's disk that is lit, 0 to 1
    moon_separation_deg : between Moon and target, as seen from the site
    """

    jd_utc: _Array
    bjd_tdb: _Array
    altitude_deg: _Array
    azimuth_deg: _Array
    airmass: _Array
    sun_altitude_deg: _Array
    moon_altitude_deg: _Array
    moon_illumination: _Array
    moon_separation_deg: _Array


@dataclass(frozen=True, slots=True)
class _Times:
    """Days since J2000 of UTC and of TT, and UT1 as Julian date in two parts."""

    utc: _Array
    tt: _Array
    ut1: _Array


def circumstances(
    middles_utc: Sequence[datetime | None],
    ra_deg: Sequence[float | None],
    dec_deg: Sequence[float | None],
    latitude_deg: Sequence[float | None],
    longitude_deg: Sequence[float | None],
    elevation_m: Sequence[float | None],
) -> Circumstances:
    """The circumstances of n exposures.

    Parameters
    ----------
    middles_utc : aware moments from 1900 to 2100; None, and others, leave all of that frame open
    ra_deg, dec_deg : ICRS; None leaves open what needs a target
    latitude_deg, longitude_deg, elevation_m : geodetic, east positive; None leaves open what needs
        a site
    """
    ra, dec, lat, lon, height_m = (
        np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        for values in (ra_deg, dec_deg, latitude_deg, longitude_deg, elevation_m)
    )
    moments = [m if m is not None and m.year in _YEARS else None for m in middles_utc]
    dated = np.array([moment is not None for moment in moments], dtype=bool)
    times = _times([moment for moment in moments if moment is not None])
    with np.errstate(invalid="ignore"):  # NaN goes in and comes out
        seen = _seen(times, ra[dated], dec[dated], lat[dated], lon[dated], height_m[dated])
    spread = {}
    for name in Circumstances.__dataclass_fields__:
        spread[name] = np.full(len(dated), np.nan)
        spread[name][dated] = getattr(seen, name)
    return Circumstances(**spread)


def _seen(
    times: _Times, ra: _Array, dec: _Array, lat: _Array, lon: _Array, height_m: _Array
) -> Circumstances:
    around_sun, around_barycentre = erfa.epv00(_J2000, times.tt)
    target = erfa.s2c(np.radians(ra), np.radians(dec))
    sun = -around_sun["p"]
    moon = erfa.moon98(_J2000, times.tt)["p"]
    # From the sky's fixed axes to the equator and equinox of date, for a moving observer.
    to_date = erfa.pnm06a(_J2000, times.tt)
    moved = [_aberrated(direction, around_barycentre["v"]) for direction in (target, sun)]
    target_of_date, sun_of_date = (erfa.rxp(to_date, direction) for direction in moved)
    moon_of_date = erfa.rxp(to_date, moon)
    rotation = erfa.gst06a(_J2000, times.ut1, _J2000, times.tt)
    site = _site_au(np.radians(lat), np.radians(lon), height_m, rotation)
    sun_distance = np.linalg.norm(sun, axis=-1, keepdims=True)
    hour_angle = rotation + np.radians(lon)
    latitude = np.radians(lat)
    azimuth, altitude = _horizontal(target_of_date, hour_angle, latitude)
    return Circumstances(
        jd_utc=_J2000 + times.utc,
        bjd_tdb=_J2000 + times.tt + _light_days(around_barycentre["p"], target),
        altitude_deg=np.degrees(altitude),
        azimuth_deg=np.degrees(azimuth),
        airmass=airmass(np.degrees(altitude)),
        sun_altitude_deg=np.degrees(
            _horizontal(sun_of_date * sun_distance - site, hour_angle, latitude)[1]
        ),
        moon_altitude_deg=np.degrees(_horizontal(moon_of_date - site, hour_angle, latitude)[1]),
        moon_illumination=_lit(sun, moon),
        moon_separation_deg=np.degrees(erfa.sepp(target_of_date, moon_of_date - site)),
    )


def airmass(altitude_deg: _Array) -> _Array:
    """Air between a target and the site, in units of that in the zenith; NaN below the horizon.

    The formula is that of Pickering 2002 (DIO 12, 1, 20), with the altitude as it would be without
    air; it serves down to the horizon.
    """
    above = np.where(altitude_deg >= 0, altitude_deg, np.nan)
    return np.asarray(1 / np.sin(np.radians(above + 244 / (165 + 47 * above**1.1))))


def _times(middles_utc: Sequence[datetime]) -> _Times:
    utc = np.array(
        [(moment - _J2000_UTC).total_seconds() / _DAY_S for moment in middles_utc],
        dtype=np.float64,
    )
    leap_day, tai_utc_s = _leap_seconds()
    behind_s = tai_utc_s[np.clip(np.searchsorted(leap_day, utc, side="right") - 1, 0, None)]
    day, ut1_utc_s = _earth_rotation()
    return _Times(
        utc=utc,
        tt=utc + (behind_s + _TT_OF_TAI_S) / _DAY_S,
        ut1=utc + np.interp(utc, day, ut1_utc_s) / _DAY_S,
    )


@lru_cache(maxsize=1)
def _leap_seconds() -> tuple[_Array, _Array]:
    """From which day since J2000 TAI - UTC is how many seconds."""
    table = erfa.leap_seconds.get()
    days = [datetime(row["year"], row["month"], 1, tzinfo=UTC) - _J2000_UTC for row in table]
    return np.array([day.total_seconds() / _DAY_S for day in days]), np.array(table["tai_utc"])


@lru_cache(maxsize=1)
def _earth_rotation() -> tuple[_Array, _Array]:
    """Days since J2000 and UT1 - UTC in seconds, of the table that comes along (IERS-B)."""
    from astropy.utils.iers import IERS_B_FILE

    # The two columns that are needed: astropy's own reader takes most of a second for all of them.
    modified_jd, ut1_utc_s = np.loadtxt(IERS_B_FILE, usecols=(4, 7), unpack=True)
    return modified_jd + 2400000.5 - _J2000, ut1_utc_s


def _aberrated(direction: _Array, velocity_au_per_day: _Array) -> _Array:
    """A direction as the moving Earth sees it (20″ at most)."""
    velocity = velocity_au_per_day * _LIGHT_S_PER_AU / _DAY_S
    unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    lorentz = np.sqrt(1 - (velocity**2).sum(axis=-1))
    # 1 au from the Sun; what that says about the bending of light does not show here.
    return np.asarray(erfa.ab(unit, velocity, 1.0, lorentz))


def _site_au(latitude: _Array, longitude: _Array, height_m: _Array, rotation: _Array) -> _Array:
    """The site from the middle of the Earth, on the axes of date."""
    known = np.isfinite(latitude) & np.isfinite(longitude)
    fixed = np.full((len(latitude), 3), np.nan)
    if known.any():
        height = np.where(np.isfinite(height_m), height_m, 0.0)
        fixed[known] = erfa.gd2gc(_WGS84, longitude[known], latitude[known], height[known])
    cos, sin = np.cos(rotation), np.sin(rotation)
    x, y, z = fixed.T
    return np.column_stack([cos * x - sin * y, sin * x + cos * y, z]) / _AU_M


def _horizontal(
    direction: _Array, local_rotation: _Array, latitude: _Array
) -> tuple[_Array, _Array]:
    """Azimuth and altitude, radians, of a direction on the axes of date."""
    right_ascension, declination = erfa.c2s(direction)
    azimuth, altitude = erfa.hd2ae(local_rotation - right_ascension, declination, latitude)
    return np.asarray(azimuth), np.asarray(altitude)


def _light_days(earth_au: _Array, target: _Array) -> _Array:
    """How much later the light is at the barycentre than at the Earth."""
    return np.asarray((earth_au * target).sum(axis=-1) * _LIGHT_S_PER_AU / _DAY_S)


def _lit(sun: _Array, moon: _Array) -> _Array:
    """(1 + cos i) / 2, with the angle i at the Moon between Sun and Earth (Meeus 1998, ch. 48)."""
    phase_angle = erfa.sepp(sun - moon, -moon)
    return np.asarray((1 + np.cos(phase_angle)) / 2)
