"""A night's plan: targets in their hours, when they are up, with the Moon; against astropy."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers

from astro_assets.errors import NothingToDo
from astro_assets.settings import PiSource, Site, load_settings
from astro_assets.steps.plan import NightPlan, Planned, plan_night

LA_PALMA = Site(
    name="La Palma", latitude_deg=28.76, longitude_deg=-17.88, elevation_m=2396.0,
    timezone="Atlantic/Canary",
)  # fmt: skip
PLACE = EarthLocation.from_geodetic(-17.88 * u.deg, 28.76 * u.deg, 2396 * u.m)
NIGHT = date(2026, 11, 20)
M_42 = SkyCoord(83.82, -5.39, unit="deg")


def planned(*wishes: dict[str, object], night: date = NIGHT, **more: object) -> NightPlan:
    source = PiSource.model_validate(
        {"name": "pi", "kind": "pi", "host": "x", "user_env": "U", "plan": wishes, **more}
    )
    return plan_night(LA_PALMA, source, night)


def only(plan: NightPlan) -> Planned:
    (entry,) = plan.planned
    return entry


def altaz(moments: list[datetime], what: SkyCoord | str) -> SkyCoord:
    """Where a place on the sky, or the Moon or Sun by name, stands: no astroplan, no interpolation.

    By the tables that come along, however old they are on the day of the test.
    """
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        times = Time(moments)
        body = get_body(what, times, PLACE) if isinstance(what, str) else what
        return body.transform_to(AltAz(obstime=times, location=PLACE))


def test_a_target_has_the_hours_in_which_it_is_high_enough() -> None:
    entry = only(planned({"target": "M 42", "min_altitude_deg": 35}))
    ((begin, end),) = entry.hours
    there = altaz([begin, end], M_42).alt.deg
    assert there == pytest.approx([35, 35], abs=0.5)  # two minutes of its way
    assert there.min() >= 34.99
    found = entry.passage
    assert found is not None
    assert altaz([found.highest_utc], M_42).alt.deg[0] == pytest.approx(found.highest_deg, abs=0.01)
    # It culminates at the complement of the latitude plus its declination.
    assert found.highest_deg == pytest.approx(90 - 28.76 - 5.39, abs=0.1)


def test_a_place_in_degrees_needs_no_name() -> None:
    by_name = only(planned({"target": "NGC 1976"})).hours
    by_place = only(planned({"target": "my corner", "ra_deg": 83.82, "dec_deg": -5.39})).hours
    assert by_name == by_place


def test_the_moon_keeps_its_distance() -> None:
    plan = planned({"target": "M 42", "min_moon_distance_deg": 80, "min_altitude_deg": 0})
    entry = only(plan)
    assert entry.hours
    for begin, end in entry.hours:
        moments = [begin + (end - begin) * k / 40 for k in range(41)]
        moon, target = altaz(moments, "moon"), altaz(moments, M_42)
        allowed = (moon.alt.deg <= 0.1) | (moon.separation(target).deg >= 79.9)
        assert allowed.all()
    # Without the wish it is taken in hours in which the Moon is nearer than that.
    free = only(planned({"target": "M 42", "min_altitude_deg": 0}))
    assert sum_h(free) > sum_h(entry) + 0.5


def sum_h(entry: Planned) -> float:
    return sum((end - begin).total_seconds() for begin, end in entry.hours) / 3600


def test_the_moon_s_light_and_hours() -> None:
    """Full on 2026-11-24 at 14:54 UTC, new on 2026-11-09 at 07:02 (U.S. Naval Observatory)."""
    full = planned(night=date(2026, 11, 24)).moon
    assert full.illuminated > 0.99
    new = planned(night=date(2026, 11, 8)).moon
    assert new.illuminated < 0.01
    (up,) = planned().moon.hours_up
    sky = altaz([up[1] - timedelta(minutes=5), up[1] + timedelta(minutes=5)], "moon").alt.deg
    assert sky[0] > 0 > sky[1]


def test_hours_are_the_site_s_and_stay_within_the_dark() -> None:
    plan = planned(
        {"target": "all sky", "begin": "21:30", "end": "02:15"}, {"target": "all sky"},
        {"target": "all sky", "begin": "12:00", "end": "11:59"}, night=date(2026, 7, 1),
    )  # fmt: skip
    first, second, third = plan.planned
    # Canary time is UTC + 1 in summer; at 21:30 it is not dark yet.
    assert first.hours == ((plan.dark.dusk_utc, datetime(2026, 7, 2, 1, 15, tzinfo=UTC)),)
    assert second.hours == third.hours == ((plan.dark.dusk_utc, plan.dark.dawn_utc),)


def test_twice_up_in_one_night_is_twice_in_the_plan() -> None:
    """In the north-west at dusk, below the limit at midnight, back in the north-east by dawn."""
    wish = {"target": "x", "ra_deg": 285, "dec_deg": 62, "min_altitude_deg": 10}
    (_, set_utc), (rise_utc, _) = only(planned(wish, night=date(2026, 12, 20))).hours
    between = [set_utc + (rise_utc - set_utc) * k / 10 for k in range(1, 10)]
    assert (altaz(between, SkyCoord(285, 62, unit="deg")).alt.deg < 10).all()


def test_what_is_not_up_is_left_out_with_its_reason() -> None:
    plan = planned({"target": "M 7"}, {"target": "M 31"})
    assert plan.planned[0].hours == ()
    assert [item["target"] for item in plan.content(LA_PALMA)["items"]] == ["M 31"]
    assert "| M 7 | is 5° high at most, below 20° |" in plan.table("Atlantic/Canary")
    with pytest.raises(NothingToDo, match=r"M 7 is 5° high at most, below 20°"):
        planned({"target": "M 7"})
    with pytest.raises(NothingToDo, match="no hours between dusk and dawn"):
        planned({"target": "all sky", "begin": "13:00", "end": "14:00"})


def test_the_table_shows_the_night() -> None:
    wish = {"target": "M 31", "filter": "L", "exposure_s": 30, "cadence_s": 60}
    lines = planned(wish).table("Atlantic/Canary").splitlines()
    assert lines[2].startswith("| M 31 | 19:09–")
    assert lines[2].endswith("| 30 s every 60 s | L |")
    assert "77° at 21:5" in lines[2]
    assert lines[-1].startswith("Moon: 83% lit, up 19:09–04:0")
    assert planned().table("UTC").splitlines()[0] == "As the camera is set, all night."


@pytest.mark.parametrize("twilight", ["sunset", "civil", "nautical", "astronomical"])
def test_the_pi_s_own_twilight(twilight: str) -> None:
    dark = planned(twilight=twilight).dark
    limit = {"sunset": -5 / 6, "civil": -6, "nautical": -12, "astronomical": -18}[twilight]
    sun = altaz([dark.dusk_utc, dark.dawn_utc], "sun")
    assert np.allclose(sun.alt.deg, limit, atol=0.01)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('begin = "dusk"', "plan.0.begin: expected a time such as 21:30, found 'dusk'"),
        ('begin = "21:30Z"', "plan.0.begin: expected a civil time such as 21:30, without an"),
        ("ra_deg = 10", "plan.0: expected both ra_deg and dec_deg, or neither"),
        ("exposure_s = 0", "plan.0.exposure_s: "),
        ('filter = "Hα"', "plan.0.filter: expected letters, digits and signs of ASCII"),
        ("exposure = 3", "plan.0.exposure: there is no such key; did you mean 'exposure_s'?"),
    ],
)
def test_a_mistake_in_the_plan_is_a_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    file = tmp_path / "observatory.toml"
    file.write_text(
        'root = "data"\n[site]\nname = "x"\nlatitude_deg = 0\nlongitude_deg = 0\n'
        '[[sources]]\nname = "roof"\nkind = "pi"\nhost = "h"\nuser_env = "U"\n'
        f'[[sources.plan]]\ntarget = "M 31"\n{line}\n'
    )
    (problem,) = load_settings(file).problems
    assert sentence in str(problem)
