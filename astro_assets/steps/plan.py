"""A Pi's plan of one night: which targets, when, how; as its file and as a table for people.

What belongs here: the settings' wishes against what is up. What does not: what is up (`visible`),
handing it over (`arm`), doing it (`capture`).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from astropy.coordinates import SkyCoord

from astro_assets.errors import NothingToDo
from astro_assets.night import Darkness, darkness
from astro_assets.settings import PiSource, PlannedTarget, Site
from astro_assets.steps.request_places import in_catalogue
from astro_assets.steps.visible import Hours, Moon, Passage, moon_in, passage


@dataclass(frozen=True, slots=True)
class Planned:
    """One wish of the settings in one night.

    hours : in which it is taken; empty when it is left out, for the ``reason``
    passage : None for a target without a place in the sky
    """

    wish: PlannedTarget
    hours: tuple[Hours, ...]
    passage: Passage | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NightPlan:
    """What one Pi is to do in one night; without ``planned``, all night as its camera is set."""

    night: date
    dark: Darkness
    moon: Moon
    planned: tuple[Planned, ...]

    def content(self, site: Site) -> dict[str, Any]:
        """What the capture program reads (`capture.plan`)."""
        return {
            "night": self.night.isoformat(),
            "dusk_utc": self.dark.dusk_utc.isoformat(),
            "dawn_utc": self.dark.dawn_utc.isoformat(),
            "created_utc": datetime.now(UTC).isoformat(),
            "site": dict(site),
            "items": [_item(entry.wish, hours) for entry in self.planned for hours in entry.hours],
        }

    def table(self, timezone: str) -> str:
        """What is up when, and the Moon, in Markdown; hours in the site's civil time."""
        zone = ZoneInfo(timezone)
        up = _hours(self.moon.hours_up, zone)
        lines = [
            "| Target | Hours | Highest | Moon | Exposure | Filter |",
            "|--|--|--|--|--|--|",
            *(_row(entry, zone) for entry in self.planned),
            "",
            f"Moon: {self.moon.illuminated:.0%} lit, "
            + (f"up {up}, at most {self.moon.highest_deg:.0f}°" if up else "not up"),
        ]
        return "\n".join(
            lines if self.planned else ["As the camera is set, all night.", *lines[2:]]
        )


def dark_hours(site: Site, source: PiSource, night: date) -> Darkness | None:
    """From dusk to dawn for a Pi at the site; None when it does not get dark."""
    return darkness(
        night,
        latitude_deg=site.latitude_deg,
        longitude_deg=site.longitude_deg,
        timezone=site.timezone,
        twilight=source.twilight,
    )


def plan_night(site: Site, source: PiSource, night: date) -> NightPlan:
    """What a Pi is to do in ``night``.

    Raises
    ------
    NothingToDo : it does not get dark, or nothing that is wished for is up
    """
    dark = dark_hours(site, source, night)
    if dark is None:
        raise NothingToDo(
            f"the night of {night} does not get dark ({source.twilight} twilight) at {site.name}"
        )
    planned = tuple(_planned(wish, site, night, dark) for wish in source.plan)
    if planned and not any(entry.hours for entry in planned):
        reasons = "; ".join(f"{entry.wish.target} {entry.reason}" for entry in planned)
        raise NothingToDo(
            f"nothing of {source.name}'s plan can be taken in the night of {night}: {reasons}"
        )
    return NightPlan(night, dark, moon_in(site, (dark.dusk_utc, dark.dawn_utc)), planned)


def _planned(wish: PlannedTarget, site: Site, night: date, dark: Darkness) -> Planned:
    zone = ZoneInfo(site.timezone)
    begin, end = _moment(wish.begin, night, zone), _moment(wish.end, night, zone)
    hours = max(begin or dark.dusk_utc, dark.dusk_utc), min(end or dark.dawn_utc, dark.dawn_utc)
    if hours[0] >= hours[1]:
        return Planned(wish, (), None, "has no hours between dusk and dawn")
    place = _place(wish)
    if place is None:
        return Planned(wish, (hours,), None)
    found = passage(
        place,
        site,
        hours,
        min_altitude_deg=wish.min_altitude_deg,
        min_moon_distance_deg=wish.min_moon_distance_deg,
    )
    return Planned(wish, found.hours, found, "" if found.hours else _why_not(wish, found))


def _why_not(wish: PlannedTarget, found: Passage) -> str:
    if found.highest_deg < wish.min_altitude_deg:
        return f"is {found.highest_deg:.0f}° high at most, below {wish.min_altitude_deg:g}°"
    return f"is never {wish.min_moon_distance_deg:g}° from the Moon while it is high enough"


def _place(wish: PlannedTarget) -> SkyCoord | None:
    """Where a target is; None for what is no object, such as the whole sky."""
    if wish.ra_deg is not None and wish.dec_deg is not None:
        return SkyCoord(wish.ra_deg, wish.dec_deg, unit="deg")
    return in_catalogue(wish.target)


def _moment(hour: time | None, night: date, zone: ZoneInfo) -> datetime | None:
    """A civil time in the night that begins at noon of ``night``."""
    if hour is None:
        return None
    day = night if hour >= time(12) else night + timedelta(days=1)
    return datetime.combine(day, hour, tzinfo=zone).astimezone(UTC)


def _item(wish: PlannedTarget, hours: Hours) -> dict[str, Any]:
    """One stretch, with the keys of `capture.plan.Item`."""
    return {
        "target": wish.target,
        "begin_utc": hours[0].isoformat(),
        "end_utc": hours[1].isoformat(),
        "exposure_s": wish.exposure_s,
        "cadence_s": wish.cadence_s,
        "gain": wish.gain,
        "filter": wish.filter,
    }


def _row(entry: Planned, zone: ZoneInfo) -> str:
    wish, found = entry.wish, entry.passage
    highest = moon = "–"
    if found is not None:
        highest = f"{found.highest_deg:.0f}° at {found.highest_utc.astimezone(zone):%H:%M}"
        moon = "not up" if found.moon_distance_deg is None else f"{found.moon_distance_deg:.0f}°"
    exposure = "as set" if wish.exposure_s is None else f"{wish.exposure_s:g} s"
    if wish.cadence_s is not None:
        exposure += f" every {wish.cadence_s:g} s"
    cells = (wish.target, _hours(entry.hours, zone) or entry.reason, highest, moon, exposure)
    return f"| {' | '.join((*cells, wish.filter or '–'))} |"


def _hours(stretches: tuple[Hours, ...], zone: ZoneInfo) -> str:
    return ", ".join(
        f"{begin.astimezone(zone):%H:%M}–{end.astimezone(zone):%H:%M}" for begin, end in stretches
    )
