"""The observing night: its key, and when the Sun leaves and comes back.

A night runs from local noon to local noon at the site and is named by the evening's date.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Twilight = Literal["sunset", "civil", "nautical", "astronomical"]

_SUN_ALTITUDE_DEG: dict[Twilight, float] = {
    "sunset": -50 / 60,
    "civil": -6.0,
    "nautical": -12.0,
    "astronomical": -18.0,
}
"""of the Sun's centre, as the U.S. Naval Observatory defines rise, set and the twilights"""

_STEP_S = 900.0
"""between two altitudes; a cubic through four of them is right to 0.0005 degrees"""
_SLOWLY_S = 6 * 3600.0
"""between two computed places of the Earth; what lies between is right to 0.0002 degrees"""


@dataclass(frozen=True, slots=True)
class Darkness:
    """From dusk to dawn, both in UTC."""

    dusk_utc: datetime
    dawn_utc: datetime


def night_of(moment: datetime, timezone: str) -> date:
    """The night that an aware ``moment`` belongs to, at a site in ``timezone``."""
    return night_of_local(moment.astimezone(ZoneInfo(timezone)))


def night_of_local(moment: datetime) -> date:
    """The night that a moment in the site's own civil time belongs to."""
    return (moment - timedelta(hours=12)).date()


def local_noon_utc(night: date, timezone: str) -> datetime:
    """The noon at which ``night`` begins."""
    return datetime.combine(night, time(12), tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def darkness(
    night: date,
    *,
    latitude_deg: float,
    longitude_deg: float,
    timezone: str,
    twilight: Twilight = "nautical",
) -> Darkness | None:
    """The longest time of ``night`` with the Sun below the limit, from noon to noon at most.

    None when the Sun does not go that deep. When it does not come up to the limit all day (polar
    night), the night is dark from noon to noon.

    Computed offline, true to some seconds.
    """
    return darkness_between(
        local_noon_utc(night, timezone),
        local_noon_utc(night + timedelta(days=1), timezone),
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        twilight=twilight,
    )


def darkness_between(
    noon_utc: datetime,
    next_noon_utc: datetime,
    *,
    latitude_deg: float,
    longitude_deg: float,
    twilight: Twilight,
) -> Darkness | None:
    """As `darkness`, between two moments."""
    import numpy as np

    length_s = (next_noon_utc - noon_utc).total_seconds()
    at_s, altitude_deg = _sun_altitude_deg(noon_utc, length_s, latitude_deg, longitude_deg)
    above_deg = altitude_deg - _SUN_ALTITUDE_DEG[twilight]
    changes = np.flatnonzero(np.diff(above_deg < 0))
    borders_s = [0.0, *(_crossing_s(at_s, above_deg, int(k)) for k in changes), length_s]
    # The pieces between the borders are dark and bright in turn.
    first_dark = 0 if above_deg[0] < 0 else 1
    pieces = list(pairwise(borders_s))[first_dark::2]
    if not pieces:
        return None
    dusk_s, dawn_s = max(pieces, key=lambda piece: piece[1] - piece[0])
    return Darkness(
        noon_utc + timedelta(seconds=float(dusk_s)), noon_utc + timedelta(seconds=float(dawn_s))
    )


def _crossing_s(at_s: "NDArray[np.float64]", above_deg: "NDArray[np.float64]", k: int) -> float:
    """When the altitude passes zero between samples ``k`` and ``k + 1``: a cubic's root there."""
    import numpy as np

    first = min(max(k - 1, 0), len(at_s) - 4)
    steps = (at_s[first : first + 4] - at_s[k]) / (at_s[k + 1] - at_s[k])
    roots = np.roots(np.polyfit(steps, above_deg[first : first + 4], 3))
    between = [root.real for root in roots if abs(root.imag) < 1e-9 and -1e-9 <= root.real <= 1]
    share = between[0] if between else above_deg[k] / (above_deg[k] - above_deg[k + 1])
    return float(at_s[k] + share * (at_s[k + 1] - at_s[k]))


# A sensor asks for the same night again and again, and each Pi for its own twilight.
@lru_cache(maxsize=16)
def _sun_altitude_deg(
    start_utc: datetime, length_s: float, latitude_deg: float, longitude_deg: float
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    """Seconds since the start, and the altitude of the Sun's centre then. Without refraction."""
    import astropy.units as u
    import numpy as np
    from astroplan import Observer
    from astropy.time import Time

    at_s = np.linspace(0.0, length_s, round(length_s / _STEP_S) + 1)
    with offline_ephemeris():
        observer = Observer(latitude=latitude_deg * u.deg, longitude=longitude_deg * u.deg)
        altitude = observer.sun_altaz(Time(start_utc) + at_s * u.s).alt
        return at_s, altitude.to_value(u.deg)


@contextmanager
def offline_ephemeris() -> Iterator[None]:
    """Within: astropy computes altitudes without a network, at any date, and quickly."""
    import astropy.units as u
    from astropy.coordinates.erfa_astrom import ErfaAstromInterpolator, erfa_astrom
    from astropy.utils import iers

    # The Earth-rotation tables that come along serve at any age, and what lies beyond them is
    # off by milliseconds; no download is ever tried.
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        iers.conf.set_temp("iers_degraded_accuracy", "ignore"),
        erfa_astrom.set(ErfaAstromInterpolator(_SLOWLY_S * u.s)),
        warnings.catch_warnings(),
    ):
        # Nobody knows leap seconds and polar motion of later years; what that costs is
        # milliseconds, and no news for an observer.
        warnings.filterwarnings("ignore", message=".*dubious year")
        warnings.filterwarnings("ignore", message=".*polar motions")
        yield
