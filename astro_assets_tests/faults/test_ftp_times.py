"""Times in FTP listings: left out in part, of wrong clocks, of zones far away, equal."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from astro_assets.sources import ftp
from astro_assets.sources.ftp_listing import parse_list
from astro_assets_tests.faults.far import Far, Servers, VesperaFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.scripted import TITLE, Scripted, scripted
from astro_assets_tests.faults.servers.vsftpd import vsftpd
from astro_assets_tests.sources.conftest import frame

SECOND = 1_795_210_800
"""2026-11-20 21:00 UTC"""


@pytest.fixture
def script(where: str, cell: Cell, tmp_path: Path) -> Iterator[Scripted]:
    cell.server = TITLE
    with scripted(where, tmp_path) as made:
        yield made


@pytest.fixture
def unix(cell: Cell, tmp_path: Path) -> Iterator[Far]:
    """vsftpd, which knows no MLSD, in the place of the telescope."""
    with vsftpd() as running:
        cell.server = running.title
        yield VesperaFar(running, tmp_path)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def listed_time(when: str, now: datetime) -> datetime | None:
    entry = parse_list(f"-rw-r--r-- 1 ftp ftp 8 {when} a b.fits", now)
    assert entry is not None
    assert entry.name == "a b.fits"
    return entry.modified_utc


@cells(24, "V", "no future date, nothing again")
@pytest.mark.parametrize(
    ("when", "now", "meant"),
    [
        ("Dec 31 23:59", "2027-01-01T00:01", "2026-12-31T23:59"),
        ("Dec 31 23:59", "2026-12-31T23:59", "2026-12-31T23:59"),
        ("Jan  1 00:00", "2027-01-01T00:00", "2027-01-01T00:00"),
        ("Feb 29 22:00", "2028-03-01T00:00", "2028-02-29T22:00"),
        ("Feb 29 22:00", "2028-08-27T00:00", "2028-02-29T22:00"),
        ("Feb 29  2024", "2026-11-20T00:00", "2024-02-29T00:00"),
        ("May 22 10:00", "2026-11-20T10:00", "2026-05-22T10:00"),
        ("May 21  2026", "2026-11-20T10:00", "2026-05-21T00:00"),
    ],
)
def test_years_that_a_listing_leaves_out(cell: Cell, when: str, now: str, meant: str) -> None:
    cell.server = "the parser of LIST"
    assert listed_time(when, at(now)) == at(meant)
    cell.saw(f"{when!r} on {now[:10]} is {meant}")


@cells(24, "V", "no future date, nothing again")
def test_half_a_year_passes(script: Scripted, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A young file shows its minute, an old one its day: it is still the same file."""
    script.script.mlsd = False
    script.put("1.fit", frame(1))
    path = script.absolute("1.fit")
    line = f"-rw-r--r-- 1 ftp ftp {len(frame(1))} Nov 20 %s 1.fit\r\n"
    for now, when in (("2026-11-21", "22:00"), ("2027-05-20", "22:00"), ("2027-05-22", " 2026")):
        monkeypatch.setattr(ftp, "datetime", _Clock(at(f"{now}T12:00")))
        script.script.lines[path] = (line % when).encode()
        outcome = script.far.fetch()
        assert outcome.published == {script.far.path("1.fit"): frame(1)}
    assert script.script.retrieved[path] == 1
    cell.saw("22:00, and half a year later only the day: fetched once")


@cells(24, "V", "no future date, nothing again")
def test_times_of_a_real_server(unix: Far, cell: Cell) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    newest_leap = next(y for y in range(now.year - 1, 0, -1) if y % 4 == 0)
    half = timedelta(days=182, hours=12)
    times = [
        at(f"{now.year - 1}-12-31T23:59"), at(f"{now.year}-01-01T00:00"),
        at(f"{newest_leap}-02-29T22:00"), now, now - half, now - half - timedelta(days=2),
        now - half + timedelta(days=2), now - timedelta(days=360),
    ]  # fmt: skip
    for number, moment in enumerate(times):
        unix.put(f"{number}.fit", frame(number))
        os.utime(unix.file(f"{number}.fit"), (moment.timestamp(), moment.timestamp()))
    found = {file.path: file.modified_utc for batch in unix.look() for file in batch.files}
    for number, moment in enumerate(times):
        told = found[unix.path(f"{number}.fit")]
        assert told is not None
        assert told.date() == moment.date()
        assert told <= now
    cell.saw(f"{len(times)} times around the new year, 29 February and half a year: the right days")


@cells(25, "V", "nothing skipped")
@pytest.mark.parametrize("mlsd", [True, False])
@pytest.mark.parametrize("year", [1970, 2036])
def test_a_clock_that_is_wrong(
    where: str, cell: Cell, servers: Servers, tmp_path: Path, mlsd: bool, year: int
) -> None:
    """The telescope's clock is wrong, and so are the times of its files."""
    with ExitStack() as exits:
        running = None if mlsd else exits.enter_context(vsftpd())
        far = servers.far(where, tmp_path) if running is None else VesperaFar(running, tmp_path)
        cell.server = far.server
        moment = at(f"{year}-01-01T00:00").timestamp()
        expected = {}
        for number in range(3):
            expected[far.put(f"{number}.fit", frame(number))] = frame(number)
            os.utime(far.file(f"{number}.fit"), (moment + number, moment + number))
        assert far.fetch().published == expected
        before = _inodes(far)
        expected[far.put("late.fit", frame(9))] = frame(9)
        os.utime(far.file("late.fit"), (moment, moment))
        assert far.fetch().published == expected
        assert before.items() <= _inodes(far).items(), "nothing is published again"
    cell.saw(f"all of {year}, and a later one of an earlier time: all landed, once")


@cells(25, "V", "nothing skipped")
@pytest.mark.parametrize("zone", ["EAST-14", "WEST+14"])
def test_a_zone_far_away(cell: Cell, tmp_path: Path, zone: str) -> None:
    with vsftpd(timezone=zone) as running:
        far = VesperaFar(running, tmp_path)
        cell.server = far.server
        expected = {far.put(f"{number}.fit", frame(number)): frame(number) for number in range(3)}
        assert far.fetch().published == expected
        before = _inodes(far)
        hours = {
            round((file.modified_utc - datetime.now(UTC)) / timedelta(hours=1))
            for batch in far.look()
            for file in batch.files
            if file.modified_utc
        }
        assert hours == {14 if zone.startswith("EAST") else -14}
        assert far.fetch().published == expected
        assert before == _inodes(far), "nothing is published again"
    cell.saw(f"listed {hours.pop():+d} h off: all landed, once")


@cells(26, "FV", "picked up")
def test_late_in_the_same_second(far: Far, cell: Cell) -> None:
    expected = {}
    for number in range(3):
        expected[far.put(f"{number}.fit", frame(number))] = frame(number)
        os.utime(far.file(f"{number}.fit"), (SECOND, SECOND))
        assert far.fetch().published == expected
    cell.saw("files of one second that come one by one are all picked up")


def _inodes(far: Far) -> dict[str, int]:
    raw = far.root / "raw"
    return {str(path): path.stat().st_ino for path in raw.rglob("*.fit*")}


class _Clock:
    """`datetime` at another time."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self, zone: object) -> datetime:
        del zone
        return self._now
