"""Sun, Moon and horizon by other means: the formulas of Jean Meeus, and Keplerian planets.

Astronomical Algorithms, 2nd edition (1998); chapters are named. The series are cut where a term is
below some 0.003°. Planets: Standish's "Keplerian elements for approximate positions" (JPL), 1800 to
2050. Nothing here comes from SOFA.
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
TT_UTC_S = 69.184
"""since 2017"""
LIGHT_S_PER_AU = 499.004784


def julian_date(moment: datetime) -> float:
    return 2451545.0 + (moment - J2000).total_seconds() / 86400


def centuries_tt(jd_utc: float) -> float:
    return (jd_utc + TT_UTC_S / 86400 - 2451545.0) / 36525


def obliquity_deg(t: float) -> float:
    """Chapter 22, mean."""
    return 23.4392911 - 0.0130042 * t


def nutation_deg(t: float) -> tuple[float, float]:
    """Chapter 22, to 0.5″: in longitude and obliquity."""
    omega = np.radians(125.04452 - 1934.136261 * t)
    sun, moon = np.radians(280.4665 + 36000.7698 * t), np.radians(218.3165 + 481267.8813 * t)
    longitude = (
        -17.20 * np.sin(omega)
        - 1.32 * np.sin(2 * sun)
        - 0.23 * np.sin(2 * moon)
        + 0.21 * np.sin(2 * omega)
    )
    obliquity = (
        9.20 * np.cos(omega)
        + 0.57 * np.cos(2 * sun)
        + 0.10 * np.cos(2 * moon)
        - 0.09 * np.cos(2 * omega)
    )
    return longitude / 3600, obliquity / 3600


def sun(t: float) -> tuple[float, float]:
    """Chapter 25: apparent longitude of date in degrees (0.01°), and distance in au."""
    mean = 280.46646 + 36000.76983 * t + 0.0003032 * t**2
    m = np.radians(357.52911 + 35999.05029 * t - 0.0001537 * t**2)
    eccentricity = 0.016708634 - 0.000042037 * t
    centre = (
        (1.914602 - 0.004817 * t) * np.sin(m)
        + (0.019993 - 0.000101 * t) * np.sin(2 * m)
        + 0.000289 * np.sin(3 * m)
    )
    distance = 1.000001018 * (1 - eccentricity**2)
    distance /= 1 + eccentricity * np.cos(m + np.radians(centre))
    return (mean + centre - 0.00569 + nutation_deg(t)[0]) % 360, distance


_MOON_LONGITUDE = np.array([
    [0, 0, 1, 0, 6288774, -20905355], [2, 0, -1, 0, 1274027, -3699111],
    [2, 0, 0, 0, 658314, -2955968], [0, 0, 2, 0, 213618, -569925],
    [0, 1, 0, 0, -185116, 48888], [0, 0, 0, 2, -114332, -3149],
    [2, 0, -2, 0, 58793, 246158], [2, -1, -1, 0, 57066, -152138],
    [2, 0, 1, 0, 53322, -170733], [2, -1, 0, 0, 45758, -204586],
    [0, 1, -1, 0, -40923, -129620], [1, 0, 0, 0, -34720, 108743],
    [0, 1, 1, 0, -30383, 104755], [2, 0, 0, -2, 15327, 10321],
    [0, 0, 1, 2, -12528, 0], [0, 0, 1, -2, 10980, 79661],
    [4, 0, -1, 0, 10675, -34782], [0, 0, 3, 0, 10034, -23210],
    [4, 0, -2, 0, 8548, -21636], [2, 1, -1, 0, -7888, 24208],
    [2, 1, 0, 0, -6766, 30824], [1, 0, -1, 0, -5163, -8379],
    [1, 1, 0, 0, 4987, -16675], [2, -1, 1, 0, 4036, -12831],
    [2, 0, 2, 0, 3994, -10445], [4, 0, 0, 0, 3861, -11650],
    [2, 0, -3, 0, 3665, 14403],
])  # fmt: skip
_MOON_LATITUDE = np.array([
    [0, 0, 0, 1, 5128122], [0, 0, 1, 1, 280602], [0, 0, 1, -1, 277693], [2, 0, 0, -1, 173237],
    [2, 0, -1, 1, 55413], [2, 0, -1, -1, 46271], [2, 0, 0, 1, 32573], [0, 0, 2, 1, 17198],
    [2, 0, 1, -1, 9266], [0, 0, 2, -1, 8822], [2, -1, 0, -1, 8216], [2, 0, -2, -1, 4324],
    [2, 0, 1, 1, 4200],
])  # fmt: skip


def moon(t: float) -> tuple[float, float, float]:
    """Chapter 47, cut: apparent longitude and latitude of date in degrees, distance in km."""
    mean = 218.3164477 + 481267.88123421 * t - 0.0015786 * t**2
    angles = np.radians([
        297.8501921 + 445267.1114034 * t - 0.0018819 * t**2,
        357.5291092 + 35999.0502909 * t - 0.0001536 * t**2,
        134.9633964 + 477198.8675055 * t + 0.0087414 * t**2,
        93.2720950 + 483202.0175233 * t - 0.0036539 * t**2,
    ])  # fmt: skip
    year = 1 - 0.002516 * t - 0.0000074 * t**2
    at, of = _MOON_LONGITUDE, _MOON_LATITUDE
    longitude_terms = at[:, :4] @ angles
    longitude = (at[:, 4] * year ** np.abs(at[:, 1]) * np.sin(longitude_terms)).sum()
    distance = (at[:, 5] * year ** np.abs(at[:, 1]) * np.cos(longitude_terms)).sum()
    latitude = (of[:, 4] * year ** np.abs(of[:, 1]) * np.sin(of[:, :4] @ angles)).sum()
    a1, a2 = np.radians(119.75 + 131.849 * t), np.radians(53.09 + 479264.290 * t)
    longitude += 3958 * np.sin(a1) + 1962 * np.sin(np.radians(mean) - angles[3]) + 318 * np.sin(a2)
    latitude += -2235 * np.sin(np.radians(mean))
    return (
        (mean + longitude / 1e6 + nutation_deg(t)[0]) % 360,
        latitude / 1e6,
        385000.56 + distance / 1000,
    )


def equatorial(longitude_deg: float, latitude_deg: float, t: float) -> NDArray[np.float64]:
    """A unit vector on the axes of date from ecliptic coordinates of date."""
    lon, lat = np.radians(longitude_deg), np.radians(latitude_deg)
    e = np.radians(obliquity_deg(t) + nutation_deg(t)[1])
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    return np.array([x, y * np.cos(e) - z * np.sin(e), y * np.sin(e) + z * np.cos(e)])


def sidereal_deg(jd_ut: float) -> float:
    """Chapter 12: apparent at Greenwich."""
    t = (jd_ut - 2451545.0) / 36525
    mean = 280.46061837 + 360.98564736629 * (jd_ut - 2451545.0) + 0.000387933 * t**2
    return (mean + nutation_deg(t)[0] * np.cos(np.radians(obliquity_deg(t)))) % 360


def of_date(ra_deg: float, dec_deg: float, t: float) -> NDArray[np.float64]:
    """Chapters 21 to 23: a star's apparent place, by precession, nutation and aberration."""
    zeta = np.radians((2306.2181 * t + 0.30188 * t**2 + 0.017998 * t**3) / 3600)
    z = np.radians((2306.2181 * t + 1.09468 * t**2 + 0.018203 * t**3) / 3600)
    theta = np.radians((2004.3109 * t - 0.42665 * t**2 - 0.041833 * t**3) / 3600)
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    a = np.cos(dec) * np.sin(ra + zeta)
    b = np.cos(theta) * np.cos(dec) * np.cos(ra + zeta) - np.sin(theta) * np.sin(dec)
    c = np.sin(theta) * np.cos(dec) * np.cos(ra + zeta) + np.cos(theta) * np.sin(dec)
    ra, dec = np.arctan2(a, b) + z, np.arcsin(c)
    e, (d_lon, d_obl) = np.radians(obliquity_deg(t)), np.radians(nutation_deg(t))
    d_ra = (np.cos(e) + np.sin(e) * np.sin(ra) * np.tan(dec)) * d_lon
    d_ra -= np.cos(ra) * np.tan(dec) * d_obl
    d_dec = np.sin(e) * np.cos(ra) * d_lon + np.sin(ra) * d_obl
    place = np.array([np.cos(dec + d_dec) * np.cos(ra + d_ra),
                      np.cos(dec + d_dec) * np.sin(ra + d_ra), np.sin(dec + d_dec)])  # fmt: skip
    # The Earth moves at right angles to the Sun, at 20.5″ of the speed of light.
    sun_longitude = np.radians(sun(t)[0])
    velocity = equatorial(np.degrees(sun_longitude) - 90, 0, t) * np.radians(20.49552 / 3600)
    moved = place + velocity
    return np.asarray(moved / np.linalg.norm(moved))


def site_km(
    latitude_deg: float, longitude_deg: float, elevation_m: float, jd_ut: float
) -> NDArray[np.float64]:
    """Chapter 11: the site from the middle of the Earth, on the axes of date."""
    lat, u = np.radians(latitude_deg), np.arctan(0.99664719 * np.tan(np.radians(latitude_deg)))
    up = elevation_m / 6378137
    height, out = 0.99664719 * np.sin(u) + up * np.sin(lat), np.cos(u) + up * np.cos(lat)
    turned = np.radians(sidereal_deg(jd_ut) + longitude_deg)
    return 6378.137 * np.array([out * np.cos(turned), out * np.sin(turned), height])


def horizontal_deg(
    direction: NDArray[np.float64], latitude_deg: float, longitude_deg: float, jd_ut: float
) -> tuple[float, float]:
    """Chapter 13: azimuth from north, and altitude."""
    x, y, z = direction / np.linalg.norm(direction)
    hour = np.radians(sidereal_deg(jd_ut) + longitude_deg) - np.arctan2(y, x)
    dec, lat = np.arcsin(z), np.radians(latitude_deg)
    azimuth = np.arctan2(np.sin(hour), np.cos(hour) * np.sin(lat) - np.tan(dec) * np.cos(lat))
    altitude = np.arcsin(np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour))
    return float(np.degrees(azimuth) + 180) % 360, float(np.degrees(altitude))


_PLANETS = {  # a, e, I, L, longitude of perihelion, node; rates of L and perihelion; Sun's mass
    "Earth": (1.00000261, 0.01671123, 0.0, 100.46457166, 102.93768193, 0.0,
              35999.37244981, 0.32327364, 328900.56),
    "Jupiter": (5.20288700, 0.04838624, 1.30439695, 34.39644051, 14.72847983, 100.47390909,
                3034.74612775, 0.21252668, 1047.3486),
    "Saturn": (9.53667594, 0.05386179, 2.48599187, 49.95424423, 92.59887831, 113.66242448,
               1222.49362201, -0.41897216, 3497.898),
    "Uranus": (19.18916464, 0.04725744, 0.77263783, 313.23810451, 170.95427630, 74.01692503,
               428.48202785, 0.40805281, 22902.98),
    "Neptune": (30.06992276, 0.00859048, 1.77004347, -55.12002969, 44.96476227, 131.78422574,
                218.45945325, -0.32241464, 19412.24),
}  # fmt: skip


def planet_au(name: str, t: float) -> NDArray[np.float64]:
    """From the Sun, on the axes of J2000's equator."""
    a, e, inclination, mean, perihelion, node, d_mean, d_perihelion, _ = _PLANETS[name]
    perihelion += d_perihelion * t
    anomaly = np.radians((mean + d_mean * t - perihelion + 180) % 360 - 180)
    eccentric = anomaly
    for _ in range(20):
        eccentric = anomaly + e * np.sin(eccentric)
    x, y = a * (np.cos(eccentric) - e), a * np.sqrt(1 - e**2) * np.sin(eccentric)
    w, i, o = np.radians([perihelion - node, inclination, node])
    plane = np.array([x * np.cos(w) - y * np.sin(w), x * np.sin(w) + y * np.cos(w)])
    ecliptic = np.array([
        plane[0] * np.cos(o) - plane[1] * np.cos(i) * np.sin(o),
        plane[0] * np.sin(o) + plane[1] * np.cos(i) * np.cos(o),
        plane[1] * np.sin(i),
    ])  # fmt: skip
    tilt = np.radians(23.43928)
    return np.array([
        ecliptic[0],
        ecliptic[1] * np.cos(tilt) - ecliptic[2] * np.sin(tilt),
        ecliptic[1] * np.sin(tilt) + ecliptic[2] * np.cos(tilt),
    ])  # fmt: skip


def barycentric_julian_date(jd_utc: float, ra_deg: float, dec_deg: float) -> float:
    """BJD_TDB from Keplerian orbits; the four giants move the Sun by up to 5 s."""
    t = centuries_tt(jd_utc)
    giants = [name for name in _PLANETS if name != "Earth"]
    sun_au = -np.sum([planet_au(name, t) / (1 + _PLANETS[name][-1]) for name in giants], axis=0)
    ra, dec = np.radians([ra_deg, dec_deg])
    direction = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    early_s = (planet_au("Earth", t) + sun_au) @ direction * LIGHT_S_PER_AU
    return float(jd_utc + (TT_UTC_S + early_s) / 86400)
