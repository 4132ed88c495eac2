"""When, where and under what sky: against formulas that share nothing with ours, and astropy.

The formulas are Meeus's and Keplerian planets (`imaging.meeus`). Moments, sites and targets are
drawn at random from 2017 on, when the difference of TT and UTC last changed, to 2026.
"""

import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import astropy.units as u
import numpy as np
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers
from numpy.typing import NDArray

from astro_assets.imaging.ephemeris import Circumstances, circumstances
from astro_assets_tests.imaging import meeus
from astro_assets_tests.validation.line import Line

_ROW = "Metadata"
_EACH = 40
_Array = NDArray[np.float64]
_FIGURES = (
    # column, what, unit, required
    ("altitude_deg", "altitude", "°", 0.02),
    ("sun_altitude_deg", "Sun's altitude", "°", 0.02),
    ("moon_altitude_deg", "Moon's altitude", "°", 0.1),
    ("moon_separation_deg", "Moon's distance", "°", 0.1),
    ("bjd_tdb", "BJD_TDB", " s", 1.0),
)


class _Sample:
    """Exposures anywhere on Earth."""

    def __init__(self, seeds: Sequence[int]) -> None:
        rng = np.random.default_rng(list(seeds))
        n = _EACH * len(seeds)
        begin = datetime(2017, 2, 1, tzinfo=UTC)
        self.moments = [begin + timedelta(days=float(day)) for day in rng.uniform(0, 3550, n)]
        self.ra = rng.uniform(0, 360, n)
        self.dec = np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, n)))
        self.lat, self.lon = rng.uniform(-75, 75, n), rng.uniform(-180, 180, n)
        self.height = rng.uniform(0, 4000, n)

    def ours(self) -> Circumstances:
        return circumstances(self.moments, self.ra, self.dec, self.lat, self.lon, self.height)  # type: ignore[arg-type]


def lines(seeds: Sequence[int]) -> Iterator[Line]:
    """Largest differences, and what a session's frames cost."""
    sample = _Sample(seeds)
    ours = sample.ours()
    what = f"{len(sample.moments)} random exposures"
    yield from _compared(ours, _by_meeus(sample), what, "Meeus 1998, Keplerian planets")
    yield from _compared(ours, _by_astropy(sample), what, f"astropy {version('astropy')}")
    began_s = time.process_time()
    sample.ours()
    each_ms = 1000 * (time.process_time() - began_s) / len(sample.moments)
    yield Line(
        _ROW, what, "–", "–", f"{each_ms:.2f} ms of computing a frame", "≤ 2 ms", each_ms <= 2
    )


def _compared(
    ours: Circumstances, theirs: dict[str, _Array], data: str, reference: str
) -> Iterator[Line]:
    for column, what, unit, required in _FIGURES:
        factor = 86400.0 if column == "bjd_tdb" else 1.0
        off = float(np.abs(getattr(ours, column) - theirs[column]).max()) * factor
        yield Line(
            _ROW,
            data,
            reference,
            "–",
            f"{what} at most {off:.4f}{unit} away",
            f"≤ {required:g}{unit}",
            off <= required,
        )


def _by_meeus(sample: _Sample) -> dict[str, _Array]:
    rows = [
        _one_by_meeus(*exposure)
        for exposure in zip(
            sample.moments, sample.ra, sample.dec, sample.lat, sample.lon, sample.height,
            strict=True,
        )
    ]  # fmt: skip
    return {column: np.array([row[column] for row in rows]) for column, *_ in _FIGURES}


def _one_by_meeus(
    moment: datetime, ra: float, dec: float, lat: float, lon: float, height: float
) -> dict[str, float]:
    jd = meeus.julian_date(moment)
    t = meeus.centuries_tt(jd)
    target = meeus.of_date(ra, dec, t)
    site = meeus.site_km(lat, lon, height, jd)
    longitude, latitude, distance_km = meeus.moon(t)
    moon = meeus.equatorial(longitude, latitude, t) * distance_km - site
    sun_longitude, sun_au = meeus.sun(t)
    sun = meeus.equatorial(sun_longitude, 0, t) * sun_au * 149597870.7 - site
    return {
        "altitude_deg": meeus.horizontal_deg(target, lat, lon, jd)[1],
        "sun_altitude_deg": meeus.horizontal_deg(sun, lat, lon, jd)[1],
        "moon_altitude_deg": meeus.horizontal_deg(moon, lat, lon, jd)[1],
        "moon_separation_deg": float(np.degrees(np.arccos(moon @ target / np.linalg.norm(moon)))),
        "bjd_tdb": meeus.barycentric_julian_date(jd, ra, dec),
    }


def _by_astropy(sample: _Sample) -> dict[str, _Array]:
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        site = EarthLocation(
            lat=sample.lat * u.deg, lon=sample.lon * u.deg, height=sample.height * u.m
        )
        times = Time(sample.moments, location=site)
        frame = AltAz(obstime=times, location=site)
        target = SkyCoord(sample.ra * u.deg, sample.dec * u.deg)
        there = target.transform_to(frame)
        sun, moon = (get_body(name, times, site).transform_to(frame) for name in ("sun", "moon"))
        return {
            "altitude_deg": there.alt.deg,
            "sun_altitude_deg": sun.alt.deg,
            "moon_altitude_deg": moon.alt.deg,
            "moon_separation_deg": moon.separation(there).deg,
            "bjd_tdb": (times.tdb + times.light_travel_time(target, "barycentric")).jd,
        }
