"""Listings that forget: times are told to the minute of young files, to the day of old ones.

What belongs here: what we knew of a file is put in the place of what its server has forgotten.
What does not: reading listings (`ftp_listing`), what counts as the same time (`records`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time
from functools import lru_cache
from pathlib import Path

from astro_assets.errors import BrokenFile
from astro_assets.sources.manifest import FILE_NAME, Manifest
from astro_assets.sources.paths import spelled
from astro_assets.sources.protocol import RemoteFile
from astro_assets.sources.records import same_time

_MIDNIGHT = time(0)
_Told = Mapping[str, tuple[int | None, datetime | None]]
"""size and time by path"""


def as_once_told(files: Sequence[RemoteFile], folder: Path) -> tuple[RemoteFile, ...]:
    """The files of a batch, each with the time that was told when it was fetched, if it is better.

    LIST tells no more than the day of files older than half a year. A batch must not look changed,
    and be run again, because it has aged.

    folder : of that batch, as it was fetched
    """
    if not any(_of_a_day(file) for file in files):
        return tuple(files)
    told = _told_in(folder)
    return tuple(_remembered(file, told) if _of_a_day(file) else file for file in files)


def _of_a_day(file: RemoteFile) -> bool:
    return file.modified_utc is not None and file.modified_utc.time() == _MIDNIGHT


def _remembered(file: RemoteFile, told: _Told) -> RemoteFile:
    size_bytes, modified_utc = told.get(spelled(file.path), (None, None))
    if size_bytes != file.size_bytes or not same_time(modified_utc, file.modified_utc):
        return file
    return replace(file, modified_utc=modified_utc or file.modified_utc)


def _told_in(folder: Path) -> _Told:
    try:
        written_ns = (folder / FILE_NAME).stat().st_mtime_ns
    except FileNotFoundError:
        return {}
    return _read(folder, written_ns)


@lru_cache(4096)  # sessions that are half a year old hardly change, and each look asks for all
def _read(folder: Path, written_ns: int) -> _Told:
    del written_ns  # another one, another reading
    try:
        manifest = Manifest.load(folder)
    except BrokenFile:  # which whoever fetches is told
        return {}
    fetched = manifest.fetched() if manifest else {}
    return {path: (record.size_bytes, record.modified_utc) for path, record in fetched.items()}
