"""When an exposure began: UTC out of the dates and Julian dates that headers hold."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from astro_assets.frame.keywords import Keywords

_YEARS = range(1900, 3000)
"""Other years are a camera's clock that nobody has set."""
_MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
_JD_OF_MJD = 2_400_000.5
_UTC_NAMES = ("UTC", "UT", "UT1", "GMT", "Z")
_ZONE_S = 900
"""time zones differ by quarters of an hour"""
_LEAST_ZONE_S, _MOST_ZONE_S = 3600, 14 * 3600
_AGREES_S = 60.0


def start_utc(
    words: Keywords, exposure_s: float | None, where: str
) -> tuple[datetime | None, tuple[str, ...]]:
    """The start, and a sentence for each thing that was not taken at its word.

    From DATE-OBS, else from Julian dates, else from the middle or the end of the exposure. A
    DATE-OBS that is off from the header's own Julian date by a time zone is local time.
    """
    stated, julian = _stated(words), _julian(words)
    exposure_s = exposure_s or 0.0
    doubts: list[str] = []
    if stated is not None and julian is not None:
        off_s = (stated - julian).total_seconds()
        if _is_a_zone(off_s) and abs(off_s) > 2 * exposure_s:
            doubts.append(
                f"{where} has a DATE-OBS that is {round(off_s / _ZONE_S) / 4:+g} h off its Julian "
                "date: it is local time, and the Julian date was used"
            )
            stated = julian
    start = stated or julian or _from_later(words, exposure_s)
    system = words.text("TIMESYS")
    if start is not None and system is not None and system.upper() not in _UTC_NAMES:
        doubts.append(
            f"{where} counts its time as {system}, and it was read as UTC: it may be off by a "
            "minute, and more if that is local time"
        )
    return start, tuple(doubts)


def _stated(words: Keywords) -> datetime | None:
    """DATE-OBS, or, where it is only a date, with the time of day that stands beside it."""
    date_text, clock = words.text("DATE-OBS", "DATE-BEG"), words.text("TIME-OBS", "UTSTART", "UT")
    if date_text and clock and re.fullmatch(r"[\d/-]{8,10}", date_text):
        moment = _utc(f"{_iso_date(date_text)}T{clock}")
        if moment is not None:
            return moment
    return _first(words, "DATE-OBS", "DATE-BEG")


def _first(words: Keywords, *names: str) -> datetime | None:
    moments = map(_utc, words.values(*names))
    return next((moment for moment in moments if moment is not None), None)


def _from_later(words: Keywords, exposure_s: float) -> datetime | None:
    """From the middle of the exposure or from its end, as DATE-AVG and DATE-END tell them."""
    for name, share in (("DATE-AVG", 0.5), ("DATE-END", 1.0)):
        moment = _first(words, name)
        if moment is not None:
            return moment - timedelta(seconds=share * exposure_s)
    return None


def _julian(words: Keywords) -> datetime | None:
    """From the Julian date of the start."""
    mjd = words.number("MJD-OBS", "MJD-BEG")
    jd = words.number("JD-OBS", "JD-BEG", "JD")
    if mjd is None and jd is not None:
        mjd = jd - _JD_OF_MJD
    if mjd is None or not 0 <= mjd <= 400_000:
        return None
    moment = _MJD_EPOCH + timedelta(days=mjd)
    return moment if moment.year in _YEARS else None


def _is_a_zone(off_s: float) -> bool:
    quarters = round(off_s / _ZONE_S)
    return (
        _LEAST_ZONE_S - _AGREES_S <= abs(off_s) <= _MOST_ZONE_S + _AGREES_S
        and abs(off_s - quarters * _ZONE_S) < _AGREES_S
    )


def _iso_date(text: str) -> str:
    """``2026/11/20`` and the standard's own ``20/11/98`` of the last century as ISO dates."""
    old = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", text)
    return f"19{old[3]}-{old[2]}-{old[1]}" if old else text.replace("/", "-")


def _utc(value: Any) -> datetime | None:
    date, mark, clock = str(value).strip().partition("T")
    try:
        moment = datetime.fromisoformat(f"{_iso_date(date)}{mark}{clock}")
    except ValueError:
        return None
    if moment.year not in _YEARS:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
