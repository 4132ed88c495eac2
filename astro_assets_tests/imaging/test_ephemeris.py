"""Sun, Moon and horizon: against Meeus's formulas, astropy's frames and printed examples."""

import time
import warnings
from datetime import UTC, datetime, timedelta

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers

from astro_assets.imaging.ephemeris import (
    Circumstances,
    _earth_rotation,
    airmass,
    circumstances,
)
from astro_assets_tests.imaging import meeus

SITE = (-31.273, 149.064, 1120.0)
M31 = (10.6847, 41.2688)


def seen(
    moment: datetime | None,
    target: tuple[float | None, float | None] = M31,
    site: tuple[float | None, float | None, float | None] = SITE,
) -> Circumstances:
    return circumstances([moment], [target[0]], [target[1]], *([part] for part in site))


@pytest.mark.parametrize("seed", range(1, 13))
def test_altitude_moon_and_bjd_by_meeus(seed: int) -> None:
    """Airmass at the start, not the middle, was one of AstroPhotography's errors: moments count."""
    rng = np.random.default_rng(seed)
    moment = datetime(2017, 6, 1, tzinfo=UTC) + timedelta(days=float(rng.uniform(0, 3500)))
    ra, dec = float(rng.uniform(0, 360)), float(np.degrees(np.arcsin(rng.uniform(-0.98, 0.98))))
    site = (float(rng.uniform(-75, 75)), float(rng.uniform(-180, 180)), 1500.0)
    jd = meeus.julian_date(moment)
    t = meeus.centuries_tt(jd)
    target = meeus.of_date(ra, dec, t)
    azimuth, altitude = meeus.horizontal_deg(target, *site[:2], jd)
    ours = seen(moment, (ra, dec), site)
    assert ours.altitude_deg[0] == pytest.approx(altitude, abs=0.02)
    off_deg = (ours.azimuth_deg[0] - azimuth + 180) % 360 - 180
    assert abs(off_deg) * np.cos(np.radians(altitude)) < 0.02
    moon_longitude, moon_latitude, moon_km = meeus.moon(t)
    geocentric = meeus.equatorial(moon_longitude, moon_latitude, t) * moon_km
    moon = geocentric - meeus.site_km(*site, jd)
    assert ours.moon_altitude_deg[0] == pytest.approx(
        meeus.horizontal_deg(moon, *site[:2], jd)[1], abs=0.02
    )
    apart = np.degrees(np.arccos(moon @ target / np.linalg.norm(moon)))
    assert ours.moon_separation_deg[0] == pytest.approx(apart, abs=0.02)
    sun_longitude, sun_au = meeus.sun(t)
    sun = meeus.equatorial(sun_longitude, 0, t) * sun_au * 149597870.7
    assert ours.sun_altitude_deg[0] == pytest.approx(
        meeus.horizontal_deg(sun - meeus.site_km(*site, jd), *site[:2], jd)[1], abs=0.02
    )
    to_sun, to_earth = sun - geocentric, -geocentric
    phase = to_sun @ to_earth / np.linalg.norm(to_sun) / np.linalg.norm(to_earth)
    assert ours.moon_illumination[0] == pytest.approx((1 + phase) / 2, abs=0.001)
    bjd = meeus.barycentric_julian_date(jd, ra, dec)
    assert abs(ours.bjd_tdb[0] - bjd) * 86400 < 0.2


def test_all_by_astropys_own_frames() -> None:
    rng = np.random.default_rng(20)
    n = 30
    moments = [
        datetime(2006, 1, 1, tzinfo=UTC) + timedelta(days=float(day))
        for day in rng.uniform(0, 7300, n)
    ]
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    lat, lon, height = rng.uniform(-80, 80, n), rng.uniform(-180, 180, n), rng.uniform(0, 4000, n)
    ours = circumstances(moments, ra, dec, lat, lon, height)
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        site = EarthLocation(lat=lat * u.deg, lon=lon * u.deg, height=height * u.m)
        times = Time(moments, location=site)
        frame = AltAz(obstime=times, location=site)
        target = SkyCoord(ra * u.deg, dec * u.deg)
        there = target.transform_to(frame)
        sun, moon = (get_body(name, times, site).transform_to(frame) for name in ("sun", "moon"))
        bjd = times.tdb + times.light_travel_time(target, "barycentric")
    np.testing.assert_allclose(ours.jd_utc, times.jd, rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.altitude_deg, there.alt.deg, rtol=0, atol=0.001)
    np.testing.assert_allclose(ours.sun_altitude_deg, sun.alt.deg, rtol=0, atol=0.001)
    np.testing.assert_allclose(ours.moon_altitude_deg, moon.alt.deg, rtol=0, atol=0.002)
    apart = moon.separation(there).deg
    np.testing.assert_allclose(ours.moon_separation_deg, apart, rtol=0, atol=0.002)
    np.testing.assert_allclose((ours.bjd_tdb - bjd.jd) * 86400, 0, rtol=0, atol=0.05)


def test_the_moon_of_meeus_example_48_a() -> None:
    """1992 April 12, 0h TD: 67.86 % of the disk is lit."""
    moment = datetime(1992, 4, 12, tzinfo=UTC) - timedelta(seconds=58.184)
    assert seen(moment).moon_illumination[0] == pytest.approx(0.6786, abs=0.0005)


def test_total_eclipse_of_2017_over_hopkinsville() -> None:
    """Printed for 36.97° N, 87.67° W: greatest eclipse at 18:25:32 UT, Sun 64° up in 198°."""
    moment = datetime(2017, 8, 21, 18, 25, 32, tzinfo=UTC)
    found = seen(moment, (None, None), (36.967, -87.672, 0.0))
    assert found.sun_altitude_deg[0] == pytest.approx(64, abs=0.5)
    assert found.moon_altitude_deg[0] == pytest.approx(found.sun_altitude_deg[0], abs=0.02)
    assert found.moon_illumination[0] < 0.0005


def test_light_comes_early_in_the_ecliptic_and_never_from_its_pole() -> None:
    """Over a year the Earth is 499 s nearer, then farther; towards the pole some seconds."""
    year = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(0, 365, 3)]
    for target, least_s, most_s in (((180.0, 0.0), 492, 507), ((270.0, 66.56), 0, 10)):
        n = len(year)
        found = circumstances(year, [target[0]] * n, [target[1]] * n, *([[None] * n] * 3))
        early_s = (found.bjd_tdb - found.jd_utc) * 86400 - 69.184
        assert least_s <= np.abs(early_s).max() <= most_s


def test_airmass_by_the_printed_tables() -> None:
    """Kasten & Young 1989 for the horizon (38); Allen 1973 for 30° and 10°."""
    altitude = np.array([90.0, 60.0, 30.0, 10.0, 0.0, -1.0])
    found = airmass(altitude)
    np.testing.assert_allclose(found[:4], [1.0, 1.154, 1.995, 5.60], rtol=0.005)
    assert 36 < found[4] < 40
    assert np.isnan(found[5])


def test_what_is_not_known_is_left_open_and_harms_nobody() -> None:
    moment = datetime(2026, 11, 20, 20, tzinfo=UTC)
    moments = [moment, None, datetime(2999, 1, 1, tzinfo=UTC), moment, moment]
    found = circumstances(
        moments, [10.0, 10.0, 10.0, None, 10.0], [41.0, 41.0, 41.0, None, 41.0],
        [44.0, 44.0, 44.0, 44.0, None], [0.0] * 4 + [None], [0.0] * 5,
    )  # fmt: skip
    known = {name: np.isfinite(getattr(found, name)) for name in Circumstances.__dataclass_fields__}
    assert all(mask[0] for mask in known.values())
    assert not any(mask[1] or mask[2] for mask in known.values())
    no_target = {name for name, mask in known.items() if mask[3]}
    assert no_target == {"jd_utc", "sun_altitude_deg", "moon_altitude_deg", "moon_illumination"}
    no_site = {name for name, mask in known.items() if mask[4]}
    assert no_site == {"jd_utc", "bjd_tdb", "moon_illumination"}
    alone = seen(moment, (10.0, 41.0), (44.0, 0.0, 0.0))
    assert found.altitude_deg[0] == alone.altitude_deg[0]


def test_a_hundred_frames_cost_less_than_a_millisecond_each() -> None:
    moments = [datetime(2026, 11, 20, 20, tzinfo=UTC) + timedelta(minutes=k) for k in range(100)]
    seen(moments[0])  # loads the table of the Earth's rotation
    began_s = time.process_time()
    circumstances(moments, [10.0] * 100, [41.0] * 100, [44.0] * 100, [0.0] * 100, [0.0] * 100)
    assert time.process_time() - began_s < 0.1


def test_the_rotation_of_the_earth_is_that_of_astropys_table() -> None:
    table = iers.IERS_B.open()
    days, ut1_utc_s = _earth_rotation()
    np.testing.assert_array_equal(days, table["MJD"].value + 2400000.5 - 2451545.0)
    np.testing.assert_array_equal(ut1_utc_s, table["UT1_UTC"].value)
