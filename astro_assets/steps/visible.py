"""What is up in a night, and the Moon, at one site: with astroplan, without a network.

What belongs here: hours above an altitude and away from the Moon. What does not: what is made of
them (`plan`), dusk and dawn (`night`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.typing import NDArray

from astro_assets.night import offline_ephemeris
from astro_assets.settings import Site

_STEP_S = 120.0
"""how finely the hours are told"""

Hours = tuple[datetime, datetime]
"""from, to, in UTC"""


@dataclass(frozen=True, slots=True)
class Passage:
    """A target in a stretch of a night.

    hours : each stretch in which it may be taken
    highest_deg, highest_utc : in the whole stretch that was asked for
    moon_distance_deg : the least while both are up; None when they never are
    """

    hours: tuple[Hours, ...]
    highest_deg: float
    highest_utc: datetime
    moon_distance_deg: float | None


@dataclass(frozen=True, slots=True)
class Moon:
    """The Moon in a stretch of a night.

    illuminated : share of its disk, in the middle of the stretch
    """

    illuminated: float
    hours_up: tuple[Hours, ...]
    highest_deg: float


def passage(
    place: SkyCoord,
    site: Site,
    hours: Hours,
    *,
    min_altitude_deg: float,
    min_moon_distance_deg: float | None,
) -> Passage:
    """When a target may be taken within ``hours``: high enough, and far enough from the Moon."""
    moments, times = _steps(hours)
    with offline_ephemeris():
        observer = _observer(site)
        altitude_deg = observer.altaz(times, place).alt.deg
        moon = observer.moon_altaz(times)
        # Both as they are seen from here, for the Moon is near.
        distance_deg = moon.separation(observer.altaz(times, place)).deg
    together = (altitude_deg > 0) & (moon.alt.deg > 0)
    allowed = altitude_deg >= min_altitude_deg
    if min_moon_distance_deg is not None:
        allowed &= (moon.alt.deg <= 0) | (distance_deg >= min_moon_distance_deg)
    highest = int(np.argmax(altitude_deg))
    return Passage(
        hours=_stretches(moments, allowed),
        highest_deg=float(altitude_deg[highest]),
        highest_utc=moments[highest],
        moon_distance_deg=float(distance_deg[together].min()) if together.any() else None,
    )


def moon_in(site: Site, hours: Hours) -> Moon:
    """The Moon within ``hours``."""
    moments, times = _steps(hours)
    with offline_ephemeris():
        observer = _observer(site)
        altitude_deg = observer.moon_altaz(times).alt.deg
        illuminated = float(observer.moon_illumination(times[len(times) // 2]))
    return Moon(illuminated, _stretches(moments, altitude_deg > 0), float(altitude_deg.max()))


def _observer(site: Site) -> Any:
    from astroplan import Observer

    return Observer(
        latitude=site.latitude_deg * u.deg,
        longitude=site.longitude_deg * u.deg,
        elevation=site.elevation_m * u.m,
    )


def _steps(hours: Hours) -> tuple[list[datetime], Any]:
    """Moments from the first hour to the last, both included, and as one `Time`."""
    begin, end = hours
    length_s = (end - begin).total_seconds()
    at_s = np.linspace(0.0, length_s, max(2, round(length_s / _STEP_S) + 1))
    moments = [(begin + timedelta(seconds=round(float(s)))).astimezone(UTC) for s in at_s]
    return moments, Time(moments)


def _stretches(moments: list[datetime], allowed: NDArray[np.bool_]) -> tuple[Hours, ...]:
    """The runs of allowed moments; a single one is none."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], allowed, [False])).astype(int)))
    return tuple(
        (moments[first], moments[after - 1])
        for first, after in zip(edges[::2], edges[1::2], strict=True)
        if after - first > 1
    )
