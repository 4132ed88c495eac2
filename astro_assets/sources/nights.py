"""The night of a file by a stamp in local time, or by when the server says that it changed.

What belongs here: what the kinds share. What does not: where a kind's names say when.
"""

from datetime import date, datetime

from astro_assets.night import night_of, night_of_local
from astro_assets.sources.protocol import NO_NIGHT, RemoteFile


def night_of_change(file: RemoteFile, timezone: str) -> date:
    """The night in which the file was last written; `NO_NIGHT` when nobody can tell."""
    try:
        return night_of(file.modified_utc, timezone) if file.modified_utc else NO_NIGHT
    except OverflowError:
        return NO_NIGHT


def night_of_stamp(stamp: str, form: str, file: RemoteFile, timezone: str) -> date:
    """The night of a local time in a name, as `datetime.strptime` has its form; else of the change.

    stamp : empty where the name has none
    """
    try:
        return night_of_local(datetime.strptime(stamp, form))  # noqa: DTZ007 - local
    except (ValueError, OverflowError):
        return night_of_change(file, timezone)
