"""What a night's capture is to do, as a file: from the collecting side, or made here.

What belongs here: the plan's words and its checks. What does not: doing it (`loop`).
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from astro_assets.capture.clock import BUILT_UTC
from astro_assets.capture.config import Config
from astro_assets.errors import NothingToDo, SettingsError
from astro_assets.night import night_of_local

_DARKNESS_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Item:
    """One target with its hours.

    begin_utc, end_utc : within the night; None for dusk and dawn
    exposure_s, cadence_s, gain : None takes the configuration's
    """

    target: str = ""
    begin_utc: datetime | None = None
    end_utc: datetime | None = None
    exposure_s: float | None = None
    cadence_s: float | None = None
    gain: int | None = None
    filter: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One night's capture, from dusk to dawn."""

    night: date
    dusk_utc: datetime
    dawn_utc: datetime
    created_utc: datetime
    items: tuple[Item, ...] = (Item(),)
    site: dict[str, str] = field(default_factory=dict)

    def item_at(self, moment_utc: datetime) -> Item | None:
        """The first item whose hours hold this moment."""
        for item in self.items:
            begin, end = item.begin_utc or self.dusk_utc, item.end_utc or self.dawn_utc
            if begin <= moment_utc < end:
                return item
        return None

    def begin_after(self, moment_utc: datetime) -> datetime | None:
        """When the next item begins; None when there is none any more."""
        begins = (item.begin_utc or self.dusk_utc for item in self.items)
        return min((begin for begin in begins if begin > moment_utc), default=None)


def read_plan(file: Path) -> Plan:
    """The plan in a file. Raises `SettingsError` with what is wrong in it."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        dusk, dawn = _moment(content["dusk_utc"]), _moment(content["dawn_utc"])
        plan = Plan(
            night=date.fromisoformat(content["night"]),
            dusk_utc=dusk,
            dawn_utc=dawn,
            created_utc=_moment(content.get("created_utc") or BUILT_UTC.isoformat()),
            items=tuple(_item(entry) for entry in content.get("items") or [{}]),
            site={str(k): str(v) for k, v in content.get("site", {}).items()},
        )
    except OSError as error:
        raise SettingsError(file, "", f"cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(file, "", f"is no plan of a night ({error!r})") from error
    if plan.dusk_utc >= plan.dawn_utc:
        raise SettingsError(file, "dawn_utc", "later than dusk_utc")
    return plan


def own_plan(config: Config, now_utc: datetime) -> Plan:
    """Tonight's plan by this Pi's own place; after midnight that is the night under way.

    Raises
    ------
    SettingsError : the configuration has no place
    NothingToDo : it does not get dark
    """
    place = config.place
    if place is None:
        raise SettingsError(
            config.file, "[Location] latitude", "is missing; write latitude and longitude"
        )
    # The night by the Sun, not by the clock's zone: noon is when the Sun is highest.
    night = night_of_local(_solar_time(now_utc, place.longitude_deg))
    words = ["-m", "astro_assets.capture.darkness", night.isoformat()]
    numbers = [repr(place.latitude_deg), repr(place.longitude_deg), config.twilight]
    # In a process of its own: what computes the Sun needs more memory than all the rest.
    answer = subprocess.run(
        [sys.executable, *words, *numbers],
        capture_output=True,
        text=True,
        timeout=_DARKNESS_LIMIT_S,
        check=True,
    )
    dark = json.loads(answer.stdout)
    if dark is None:
        raise NothingToDo(
            f"the night of {night} does not get dark ({config.twilight} twilight) at latitude "
            f"{place.latitude_deg:g}: choose another Twilight, or wait for the season"
        )
    return Plan(night, _moment(dark[0]), _moment(dark[1]), now_utc)


def _solar_time(moment: datetime, longitude_deg: float) -> datetime:
    return moment + timedelta(hours=longitude_deg / 15)


def _item(entry: dict[str, Any]) -> Item:
    return Item(
        target=str(entry.get("target", "")),
        begin_utc=_moment(entry["begin_utc"]) if entry.get("begin_utc") else None,
        end_utc=_moment(entry["end_utc"]) if entry.get("end_utc") else None,
        exposure_s=_positive(entry.get("exposure_s")),
        cadence_s=_positive(entry.get("cadence_s")),
        gain=None if entry.get("gain") is None else int(entry["gain"]),
        filter=str(entry.get("filter", "")),
    )


def _positive(value: object) -> float | None:
    if value is None:
        return None
    number = float(str(value))
    if not number > 0:
        raise ValueError(f"{number} where a number above 0 belongs")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
