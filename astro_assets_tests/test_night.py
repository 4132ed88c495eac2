"""Nights run from noon to noon, and the Sun is where it is."""

import socket
import warnings
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import astropy.units as u
import pytest
from astropy.coordinates import AltAz, EarthLocation, get_sun
from astropy.time import Time
from astropy.utils import iers

from astro_assets.night import (
    Darkness,
    Twilight,
    darkness,
    local_noon_utc,
    night_of,
    night_of_local,
)

# The night's key

EVENING = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("timezone", "noon_utc"),
    [
        ("UTC", datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ("Europe/Amsterdam", datetime(2026, 11, 20, 11, tzinfo=UTC)),
        ("America/Denver", datetime(2026, 11, 20, 19, tzinfo=UTC)),
        ("Australia/Sydney", datetime(2026, 11, 20, 1, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2026, 11, 20, 6, 15, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 11, 19, 22, tzinfo=UTC)),
    ],
)
def test_a_night_starts_at_local_noon(timezone: str, noon_utc: datetime) -> None:
    assert local_noon_utc(EVENING, timezone) == noon_utc
    assert night_of(noon_utc, timezone) == EVENING
    assert night_of(noon_utc - timedelta(microseconds=1), timezone) == EVENING - timedelta(days=1)
    assert night_of(noon_utc + timedelta(hours=23, minutes=59), timezone) == EVENING


@pytest.mark.parametrize(
    ("timezone", "evening", "hours"),
    [
        ("Europe/Amsterdam", date(2026, 10, 24), 25),
        ("Europe/Amsterdam", date(2026, 3, 28), 23),
        ("Australia/Lord_Howe", date(2026, 10, 3), 23.5),
        ("Europe/Amsterdam", date(2026, 11, 20), 24),
    ],
)
def test_nights_without_a_gap_when_clocks_change(
    timezone: str, evening: date, hours: float
) -> None:
    start, end = (local_noon_utc(evening + timedelta(days=n), timezone) for n in (0, 1))
    assert end - start == timedelta(hours=hours)
    minutes = (start + timedelta(minutes=n) for n in range(int(hours * 60)))
    assert {night_of(moment, timezone) for moment in minutes} == {evening}
    assert night_of(end, timezone) == evening + timedelta(days=1)


def test_a_moment_is_the_same_in_whichever_zone_it_is_given() -> None:
    moment = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)
    assert night_of(moment, "Europe/Amsterdam") == EVENING
    assert night_of(moment.astimezone(ZoneInfo("Asia/Tokyo")), "Europe/Amsterdam") == EVENING


def test_the_clock_on_the_wall_names_the_night() -> None:
    assert night_of_local(datetime(2026, 11, 21, 4, 3, 47)) == EVENING  # noqa: DTZ001
    assert night_of_local(datetime(2026, 11, 20, 12)) == EVENING  # noqa: DTZ001


# Darkness


def site(latitude_deg: float, longitude_deg: float, timezone: str) -> dict[str, Any]:
    return {
        "latitude_deg": latitude_deg,
        "longitude_deg": longitude_deg,
        "timezone": timezone,
    }


QUITO = site(0.0, -78.5, "America/Guayaquil")
UTRECHT = site(52.0, 5.1, "Europe/Amsterdam")
LONDON = site(51.5074, -0.1278, "Europe/London")
TROMSO = site(69.65, 18.96, "Europe/Oslo")
SYDNEY = site(-33.87, 151.21, "Australia/Sydney")
KASHGAR = site(39.5, 76.0, "Asia/Shanghai")
MARCH, JUNE, DECEMBER = date(2026, 3, 20), date(2026, 6, 21), date(2026, 12, 21)
LIMITS: dict[Twilight, float] = {
    "sunset": -0.833,
    "civil": -6,
    "nautical": -12,
    "astronomical": -18,
}


def sun_altitude_deg(moment: datetime, at: dict[str, Any]) -> float:
    place = EarthLocation.from_geodetic(at["longitude_deg"] * u.deg, at["latitude_deg"] * u.deg)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        time = Time(moment)
        return float(get_sun(time).transform_to(AltAz(obstime=time, location=place)).alt.deg)


@pytest.mark.parametrize("twilight", list(LIMITS))
@pytest.mark.parametrize(
    ("at", "night"),
    [
        (QUITO, MARCH),
        (UTRECHT, DECEMBER),
        (UTRECHT, date(2026, 10, 24)),
        (TROMSO, MARCH),
        (SYDNEY, JUNE),
        (SYDNEY, DECEMBER),
    ],
)
def test_the_sun_stands_at_the_limit_at_dusk_and_dawn(
    at: dict[str, Any], night: date, twilight: Twilight
) -> None:
    dark = darkness(night, **at, twilight=twilight)
    assert dark is not None
    noon = local_noon_utc(night, at["timezone"])
    assert noon < dark.dusk_utc < dark.dawn_utc < noon + timedelta(hours=25)
    five = timedelta(minutes=5)
    for border, inside in ((dark.dusk_utc, five), (dark.dawn_utc, -five)):
        assert sun_altitude_deg(border, at) == pytest.approx(LIMITS[twilight], abs=0.02)
        assert sun_altitude_deg(border + inside, at) < LIMITS[twilight]


@pytest.mark.parametrize(
    ("at", "night", "sunset_utc", "sunrise_utc"),
    [
        (LONDON, JUNE, "2026-06-21 20:21", "2026-06-22 03:43"),
        (LONDON, DECEMBER, "2026-12-21 15:53", "2026-12-22 08:04"),
        (SYDNEY, JUNE, "2026-06-21 06:54", "2026-06-21 21:00"),
        (SYDNEY, DECEMBER, "2026-12-21 09:05", "2026-12-21 18:41"),
    ],
)
def test_sunset_and_sunrise_as_in_the_almanac(
    at: dict[str, Any], night: date, sunset_utc: str, sunrise_utc: str
) -> None:
    dark = darkness(night, **at, twilight="sunset")
    assert dark is not None
    for moment, printed in ((dark.dusk_utc, sunset_utc), (dark.dawn_utc, sunrise_utc)):
        expected = datetime.fromisoformat(printed).replace(tzinfo=UTC)
        assert abs(moment - expected) <= timedelta(minutes=1)


def test_the_midnight_sun_leaves_no_darkness() -> None:
    for twilight in LIMITS:
        assert darkness(JUNE, **TROMSO, twilight=twilight) is None


def test_white_nights_have_a_sunset_and_no_astronomical_darkness() -> None:
    assert darkness(JUNE, **UTRECHT, twilight="nautical") is not None
    assert darkness(JUNE, **UTRECHT, twilight="astronomical") is None


def test_polar_night_is_dark_from_noon_to_noon() -> None:
    noons = Darkness(*(local_noon_utc(DECEMBER + timedelta(days=n), "Europe/Oslo") for n in (0, 1)))
    assert darkness(DECEMBER, **TROMSO, twilight="sunset") == noons
    deep = darkness(DECEMBER, **TROMSO, twilight="nautical")
    assert deep is not None
    assert noons.dusk_utc < deep.dusk_utc < deep.dawn_utc < noons.dawn_utc


def test_when_the_sun_rises_before_noon_for_the_first_time_the_night_ends_there() -> None:
    # In these days the Sun comes back: below the limit at the first noon, above at a later one.
    nights = [date(2027, 1, 8) + timedelta(days=n) for n in range(16)]
    found = [darkness(night, **TROMSO, twilight="sunset") for night in nights]
    assert all(found)
    for night, dark in zip(nights, found, strict=True):
        assert dark is not None
        noon = local_noon_utc(night, "Europe/Oslo")
        assert noon <= dark.dusk_utc
        assert dark.dawn_utc <= noon + timedelta(days=1)
        assert dark.dawn_utc - dark.dusk_utc > timedelta(hours=20)
    lengths = [dark.dawn_utc - dark.dusk_utc for dark in found if dark]
    assert lengths[0] == timedelta(days=1)
    assert lengths[-1] < timedelta(hours=22.5)
    assert lengths == sorted(lengths, reverse=True)


def test_a_clock_far_from_the_sun_still_finds_the_night() -> None:
    # One zone for a wide country: the Sun culminates three hours after noon on the clock.
    dark = darkness(DECEMBER, **KASHGAR)
    assert dark is not None
    local = ZoneInfo("Asia/Shanghai")
    assert dark.dusk_utc.astimezone(local).hour in (19, 20)
    assert dark.dawn_utc.astimezone(local).hour in (8, 9)


def test_no_network_and_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Beyond all tables of leap seconds and of the Earth's rotation.
        assert darkness(date(2040, 6, 21), **QUITO) is not None
