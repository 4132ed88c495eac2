"""What a line of an FTP listing says: MLSD facts, and LIST as Unix and DOS servers print it.

What belongs here: pure parsing. What does not: the connection (`ftp`).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SIZE = re.compile(r"[0-9]{1,18}")
_TIME = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(?:\.([0-9]{1,6})[0-9]*)?"
)
_UNIX = re.compile(
    r"(?P<type>[-a-z])[-rwxsStTlL]{9}[.+@]?\s+\d+\s+\S.*?\s+(?P<size>\d+)\s+"
    r"(?P<month>[A-Za-z]{3})\s+(?P<day>\d{1,2})\s+(?P<when>\d{1,2}:\d\d|\d{4}) (?P<name>.+)"
)
_DOS = re.compile(
    r"(?P<month>\d\d)-(?P<day>\d\d)-(?P<year>\d{2}|\d{4})\s+"
    r"(?P<hour>\d\d):(?P<minute>\d\d)(?P<half>[AaPp][Mm])?\s+(?P<size><DIR>|\d+)\s+(?P<name>.+)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. ``kind`` is ``file``, ``dir`` or ``other`` (links, devices)."""

    name: str
    kind: str
    size_bytes: int | None
    modified_utc: datetime | None


def parse_mlsd(line: str) -> Entry | None:
    """One line of MLSD (RFC 3659, 7); None when it is none. ``.`` and ``..`` are ``other``."""
    facts_text, space, name = line.partition(" ")
    if not space or not name or "=" not in facts_text:
        return None
    kind = size = modified = ""
    for fact in facts_text.split(";"):
        key, _, value = fact.partition("=")
        match key.lower():
            case "type":
                kind = value.lower()
            case "size":
                size = value
            case "modify":
                modified = value
    return Entry(
        name=name,
        kind=kind if kind in ("file", "dir") and name not in (".", "..") else "other",
        size_bytes=int(size) if _SIZE.fullmatch(size) else None,
        modified_utc=parse_time(modified),
    )


def parse_time(text: str) -> datetime | None:
    """``YYYYMMDDHHMMSS[.sss]`` in UTC (RFC 3659, 2.3); None when it is none."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "0").ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, UTC)
    except ValueError:
        return None


def parse_list(line: str, now: datetime) -> Entry | None:
    """One line of LIST, of a Unix or DOS server; None when it is none.

    The server's time zone is not known and taken as UTC. A time without a year is the last such
    moment that is not in the future, seen from ``now`` (one day of leeway for time zones).
    """
    unix = _UNIX.fullmatch(line)
    if unix:
        return _unix_entry(unix, now)
    dos = _DOS.fullmatch(line)
    return _dos_entry(dos) if dos else None


def _unix_entry(match: re.Match[str], now: datetime) -> Entry:
    kind = {"-": "file", "d": "dir"}.get(match["type"], "other")
    name = match["name"]
    return Entry(
        name=name,
        kind="other" if name in (".", "..") else kind,
        size_bytes=int(match["size"]) if kind == "file" else None,
        modified_utc=_unix_time(match["month"], int(match["day"]), match["when"], now),
    )


@lru_cache(4096)  # many files of a folder share a minute
def _unix_time(month_name: str, day: int, when: str, now: datetime) -> datetime | None:
    if month_name.lower() not in _MONTHS:
        return None
    month = _MONTHS.index(month_name.lower()) + 1
    if ":" not in when:
        return _moment(int(when), month, day, 0, 0)
    hour, minute = (int(part) for part in when.split(":"))
    # Eight years hold a 29 February in any case, also around 2100.
    candidates = (_moment(now.year + 1 - back, month, day, hour, minute) for back in range(10))
    return next((m for m in candidates if m is not None and m <= now + timedelta(days=1)), None)


def _dos_entry(match: re.Match[str]) -> Entry:
    year = int(match["year"])
    if year < 100:
        year += 2000 if year < 70 else 1900
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    folder = match["size"] == "<DIR>"
    name = match["name"]
    kind = "dir" if folder else "file"
    return Entry(
        name=name,
        kind="other" if name in (".", "..") else kind,
        size_bytes=None if folder else int(match["size"]),
        modified_utc=_moment(
            year, int(match["month"]), int(match["day"]), hour, int(match["minute"])
        ),
    )


def _moment(year: int, month: int, day: int, hour: int, minute: int) -> datetime | None:
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC)
    except ValueError:
        return None
