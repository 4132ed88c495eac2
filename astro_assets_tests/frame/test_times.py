"""When a frame was begun, in UTC, and what tells it."""

from datetime import UTC, datetime, timedelta

import pytest

from astro_assets_tests.frame.headers import frame


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20T22:10:05", datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)),
        ("2026-11-20T22:10:05.25", datetime(2026, 11, 20, 22, 10, 5, 250000, tzinfo=UTC)),
        ("2026-11-20T22:10:05.1234567", datetime(2026, 11, 20, 22, 10, 5, 123456, tzinfo=UTC)),
        ("2026-11-20T22:10:05Z", datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)),
        ("2026-11-20T23:10:05+01:00", datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59", None),
        ("2026/11/20T22:10:05", datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)),
        ("20/11/98", datetime(1998, 11, 20, tzinfo=UTC)),
        ("last night", None),
        ("", None),
    ],
)
def test_the_start_is_utc(text: str, moment: datetime | None) -> None:
    assert frame(DATE_OBS=text).start_utc == moment


def test_a_date_alone_takes_the_time_beside_it() -> None:
    seen = frame(DATE_OBS="2026-11-20", TIME_OBS="22:10:05.5")
    assert seen.start_utc == datetime(2026, 11, 20, 22, 10, 5, 500000, tzinfo=UTC)
    whole = frame(DATE_OBS="2026-11-20T22:10:05", TIME_OBS="01:00:00")
    assert whole.start_utc == datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)


def test_the_middle_is_half_an_exposure_after_the_start() -> None:
    seen = frame(DATE_OBS="2026-11-20T22:10:00", EXPTIME=90)
    assert seen.start_utc is not None
    assert seen.middle_utc == seen.start_utc + timedelta(seconds=45)
    assert frame().middle_utc is None


@pytest.mark.parametrize(
    "cards",
    [
        {"MJD_OBS": 61364.923668981},
        {"JD": 2461365.423668981},
        {"DATE_AVG": "2026-11-20T22:10:35"},
        {"DATE_END": "2026-11-20T22:11:05"},
        {"DATE_OBS": "no idea", "DATE_END": "2026-11-20T22:11:05"},
    ],
    ids="+".join,
)
def test_a_missing_start_is_known_from_other_cards(cards: dict[str, object]) -> None:
    begun = frame(**cards).start_utc
    assert begun is not None
    assert abs(begun - datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)) < timedelta(seconds=0.01)


def test_local_time_in_date_obs_is_seen_and_told() -> None:
    utc = datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)
    seen = frame(DATE_OBS="2026-11-20T15:10:05", JD=2461365.423668981)
    assert abs(seen.start_utc - utc) < timedelta(seconds=0.01)
    assert len(seen.doubts) == 1
    assert "-7 h off its Julian date: it is local time" in seen.doubts[0]


@pytest.mark.parametrize(
    ("off_s", "exposure_s"),
    [(0.4, 60), (45, 90), (1800, 3600), (3000, 60), (3600, 7200), (20 * 3600, 60)],
)
def test_other_differences_between_date_and_julian_date_leave_date_obs_alone(
    off_s: float, exposure_s: float
) -> None:
    seen = frame(
        DATE_OBS="2026-11-20T22:10:05", JD=2461365.423668981 + off_s / 86400, EXPTIME=exposure_s
    )
    assert seen.start_utc == datetime(2026, 11, 20, 22, 10, 5, tzinfo=UTC)
    assert seen.doubts == ()


def test_another_time_system_is_told() -> None:
    seen = frame(DATE_OBS="2026-11-20T22:10:05", TIMESYS="TAI")
    assert "counts its time as TAI" in seen.doubts[0]
    assert frame(DATE_OBS="2026-11-20T22:10:05", TIMESYS="UTC").doubts == ()
