"""Every day of a year at four latitudes: the schedule's noon, dusk and dawn by all twilights.

Against the U.S. Naval Observatory's definitions (the Sun's centre 50′, 6°, 12°, 18° below the
horizon) with its own short formulae for the Sun, against astropy's Sun, and against astroplan's
search for the next crossing. Altitudes are compared, not times: near midsummer a time says little.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import astropy.units as u
import dagster as dg
import numpy as np
import pytest
from astroplan import Observer
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers
from dagster._utils.schedules import schedule_execution_time_iterator
from numpy.typing import NDArray

from astro_assets.definitions import build_defs
from astro_assets.defs.capture import capture_config
from astro_assets.night import Darkness, Twilight, darkness
from astro_assets.settings import Settings
from astro_assets_tests.defs.conftest import SITE

YEAR = 2026
DAYS = 365
LIMITS: dict[Twilight, float] = {
    "sunset": -50 / 60, "civil": -6.0, "nautical": -12.0, "astronomical": -18.0,
}  # fmt: skip
NAVAL_DEG = 0.03
"""what the short formulae may be off: 1′ in the Sun's place, and half a minute of their grid"""


@dataclass(frozen=True)
class Place:
    latitude_deg: float
    longitude_deg: float
    zone: str

    def dark(self, night: date, twilight: Twilight) -> Darkness | None:
        return darkness(
            night, latitude_deg=self.latitude_deg, longitude_deg=self.longitude_deg,
            timezone=self.zone, twilight=twilight,
        )  # fmt: skip

    def noon(self, night: date) -> datetime:
        return datetime(night.year, night.month, night.day, 12, tzinfo=ZoneInfo(self.zone))


PLACES = {
    "0": Place(0.0, -78.5, "America/Guayaquil"),
    "52 N": Place(52.0, 5.1, "Europe/Amsterdam"),
    "69 N": Place(69.0, 18.9, "Europe/Oslo"),
    "33 S": Place(-33.0, 151.2, "Australia/Sydney"),
}
NIGHTS = [date(YEAR, 1, 1) + timedelta(days=n) for n in range(DAYS)]


def naval_altitude_deg(unix_s: NDArray[np.float64], place: Place) -> NDArray[np.float64]:
    """The Sun's centre by the Naval Observatory's approximate solar coordinates, good to 1′."""
    days = unix_s / 86400 + 2440587.5 - 2451545.0
    anomaly = np.radians(357.529 + 0.98560028 * days)
    longitude = np.radians(
        280.459 + 0.98564736 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly)
    )
    tilt = np.radians(23.439 - 0.00000036 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(tilt) * np.sin(longitude))
    sidereal = np.radians(15 * (18.697374558 + 24.06570982441908 * days) + place.longitude_deg)
    latitude = np.radians(place.latitude_deg)
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(
        sidereal - ascension
    )
    return np.degrees(np.arcsin(sine))


def astropy_altitude_deg(moments: Sequence[datetime], place: Place) -> NDArray[np.float64]:
    where = EarthLocation.from_geodetic(place.longitude_deg * u.deg, place.latitude_deg * u.deg)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        times = Time(list(moments))
        return get_sun(times).transform_to(AltAz(obstime=times, location=where)).alt.deg


def longest_run_h(dark: NDArray[np.bool_]) -> float:
    """Of minutes in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], dark.astype(int), [0]))))
    return max((b - a for a, b in zip(edges[::2], edges[1::2], strict=True)), default=0) / 60


@pytest.fixture(scope="module")
def year() -> dict[str, dict[tuple[date, Twilight], Darkness | None]]:
    """What the program says, for every place, night and twilight."""
    return {
        name: {(night, twilight): place.dark(night, twilight)
               for night in NIGHTS for twilight in LIMITS}
        for name, place in PLACES.items()
    }  # fmt: skip


Year = dict[str, dict[tuple[date, Twilight], Darkness | None]]


@pytest.mark.parametrize("name", PLACES)
def test_every_night_against_the_naval_observatory(year: Year, name: str) -> None:
    place, checked = PLACES[name], 0
    for night in NIGHTS:
        noon, next_noon = (place.noon(night + timedelta(days=n)).timestamp() for n in (0, 1))
        minutes = np.arange(noon, next_noon + 1, 60.0)
        altitude_deg = naval_altitude_deg(minutes, place)
        for twilight, limit in LIMITS.items():
            dark = year[name][night, twilight]
            if dark is None:
                assert altitude_deg.min() > limit - NAVAL_DEG, (night, twilight)
                continue
            checked += 1
            dusk, dawn = dark.dusk_utc.timestamp(), dark.dawn_utc.timestamp()
            assert noon <= dusk < dawn <= next_noon
            within = (minutes >= dusk) & (minutes <= dawn)
            assert (altitude_deg[within] < limit + NAVAL_DEG).all(), (night, twilight)
            for moment, border in ((dusk, noon), (dawn, next_noon)):
                (there,) = naval_altitude_deg(np.array([moment]), place)
                assert abs(there - limit) < NAVAL_DEG or moment == border, (night, twilight)
            # No longer darkness was overlooked.
            surely = altitude_deg < limit - NAVAL_DEG
            assert longest_run_h(surely) <= (dawn - dusk) / 3600 + 0.02, (night, twilight)
    assert checked > 700


def test_how_many_nights_there_are(year: Year) -> None:
    nights = {
        name: [sum(year[name][night, twilight] is not None for night in NIGHTS)
               for twilight in LIMITS]
        for name in PLACES
    }  # fmt: skip
    assert nights["0"] == nights["33 S"] == [DAYS] * 4
    # At 52° the Sun is less than 18° deep from May to July, at 69° there is midnight sun.
    assert nights["52 N"][:3] == [DAYS] * 3
    assert 290 < nights["52 N"][3] < 310
    assert nights["69 N"] == sorted(nights["69 N"], reverse=True)
    assert 290 < nights["69 N"][0] < 305


@pytest.mark.parametrize("name", PLACES)
def test_every_dusk_and_dawn_against_astropy(year: Year, name: str) -> None:
    place = PLACES[name]
    borders = {place.noon(NIGHTS[0] + timedelta(days=n)) for n in range(DAYS + 1)}
    crossings = [
        (moment, LIMITS[twilight])
        for (_, twilight), dark in year[name].items()
        if dark is not None
        for moment in (dark.dusk_utc, dark.dawn_utc)
        if moment not in borders
    ]
    moments, limits = zip(*crossings, strict=True)
    off_deg = astropy_altitude_deg(moments, place) - np.array(limits)
    assert np.abs(off_deg).max() < 0.002


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("twilight", LIMITS)
def test_against_astroplan_s_own_search(year: Year, name: str, twilight: Twilight) -> None:
    """Every second week; it interpolates by straight lines, to a minute at its own setting."""
    place = PLACES[name]
    nights = [
        night for night in NIGHTS[::14]
        if (dark := year[name][night, twilight]) is not None
        and dark.dusk_utc - place.noon(night) > timedelta(minutes=30)
        and timedelta(hours=1) < dark.dawn_utc - dark.dusk_utc < timedelta(hours=22)
    ]  # fmt: skip
    observer = Observer(latitude=place.latitude_deg * u.deg, longitude=place.longitude_deg * u.deg)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        noons = Time([place.noon(night).astimezone(UTC) for night in nights])
        found = observer.sun_set_time(
            noons, which="next", horizon=LIMITS[twilight] * u.deg, n_grid_points=150
        )
    for night, dusk in zip(nights, found.to_datetime(timezone=UTC), strict=True):
        dark = year[name][night, twilight]
        assert dark is not None
        assert abs(dark.dusk_utc - dusk) < timedelta(minutes=2), night
    assert len(nights) >= 12


@pytest.mark.parametrize("name", PLACES)
def test_the_schedule_ticks_once_for_each_night_of_the_year(
    year: Year, settings_of: Callable[[str], Settings], name: str
) -> None:
    """At noon on the wall, also where clocks change; a skip where it does not get dark."""
    place = PLACES[name]
    settings = settings_of(
        'root = "data"\n'
        + SITE.replace("28.76", str(place.latitude_deg))
        .replace("-17.88", str(place.longitude_deg))
        .replace("Atlantic/Canary", place.zone)
        + '[[sources]]\nname = "roof"\nkind = "pi"\nhost = "localhost"\nuser_env = "U"\n'
    )
    (schedule,) = build_defs(settings).get_repository_def().schedule_defs
    start = datetime(YEAR, 1, 1, tzinfo=ZoneInfo(place.zone))
    ticks = list(
        islice(
            schedule_execution_time_iterator(
                start.timestamp(), schedule.cron_schedule, schedule.execution_timezone
            ),
            DAYS,
        )
    )
    assert [tick.astimezone(ZoneInfo(place.zone)).date() for tick in ticks] == NIGHTS
    lengths_h = {
        (b - a) / timedelta(hours=1) for a, b in pairwise(t.astimezone(UTC) for t in ticks)
    }
    assert lengths_h == ({24.0} if name == "0" else {23.0, 24.0, 25.0})
    # All days on which something changes, and one of each week.
    changes = {n for n in range(1, DAYS) if ticks[n].utcoffset() != ticks[n - 1].utcoffset()}
    changes |= {
        n for n in range(1, DAYS)
        if (year[name][NIGHTS[n], "nautical"] is None)
        != (year[name][NIGHTS[n - 1], "nautical"] is None)
    }  # fmt: skip
    for n in sorted({*changes, *(n - 1 for n in changes), *range(0, DAYS, 7)}):
        with dg.build_schedule_context(scheduled_execution_time=ticks[n]) as context:
            outcome = schedule.evaluate_tick(context)
        if year[name][NIGHTS[n], "nautical"] is None:
            assert "does not get dark" in str(outcome.skip_message)
        else:
            (request,) = outcome.run_requests or []
            assert request.run_config == capture_config("roof", NIGHTS[n])
