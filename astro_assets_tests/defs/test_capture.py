"""The nightly capture: at the site's noon, per Pi, and over real SSH to the simulated one."""

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster import DagsterInstance, ScheduleDefinition

from astro_assets.definitions import build_defs
from astro_assets.defs import names
from astro_assets.defs.capture import capture_config, capture_request
from astro_assets.frame import FrameKind
from astro_assets.settings import Settings, load_settings
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sources.batches import Batch, look
from astro_assets_tests.defs.conftest import FIVE_KINDS

NIGHT = date(2026, 11, 20)
SECOND_PI = """
[[sources]]
name = "roof"
kind = "pi"
host = "localhost"
user_env = "U"
"""
Given = Callable[[str], Settings]


def schedule_of(settings: Settings) -> ScheduleDefinition:
    (schedule,) = build_defs(settings).get_repository_def().schedule_defs
    return schedule


def tick(settings: Settings, moment: datetime) -> tuple[list[dg.RunRequest], str | None]:
    with dg.build_schedule_context(scheduled_execution_time=moment) as context:
        outcome = schedule_of(settings).evaluate_tick(context)
    return list(outcome.run_requests or []), outcome.skip_message


def elsewhere(latitude_deg: float, longitude_deg: float, timezone: str) -> str:
    text = FIVE_KINDS + SECOND_PI
    for old, new in (
        ("latitude_deg = 28.76", f"latitude_deg = {latitude_deg}"),
        ("longitude_deg = -17.88", f"longitude_deg = {longitude_deg}"),
        ("Atlantic/Canary", timezone),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def test_it_ticks_at_noon_of_the_site(settings_of: Given) -> None:
    schedule = schedule_of(settings_of(elsewhere(-44.0, 170.5, "Pacific/Auckland")))
    assert schedule.cron_schedule == "0 12 * * *"
    assert schedule.execution_timezone == "Pacific/Auckland"


@pytest.mark.parametrize(
    ("place", "noon"),
    [
        ((28.76, -17.88, "Atlantic/Canary"), datetime(2026, 11, 20, 12, tzinfo=UTC)),
        ((-44.0, 170.5, "Pacific/Auckland"), datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ((19.8, -155.5, "Pacific/Honolulu"), datetime(2026, 11, 20, 22, tzinfo=UTC)),
    ],
    ids=lambda value: value[2] if isinstance(value, tuple) else "",
)
def test_each_pi_is_asked_for_the_night_that_begins(
    settings_of: Given, place: tuple[float, float, str], noon: datetime
) -> None:
    requests, _ = tick(settings_of(elsewhere(*place)), noon)
    assert [request.run_config for request in requests] == [
        capture_config("garden", NIGHT),
        capture_config("roof", NIGHT),
    ]
    assert len({request.run_key for request in requests}) == 2
    assert len({request.tags[names.EXCLUSIVE_TAG] for request in requests}) == 2


@pytest.mark.parametrize("zone", ["Atlantic/Canary", "America/Los_Angeles"])
@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 3, 8), date(2026, 10, 25)])
def test_the_days_when_clocks_change_are_nights_like_others(
    settings_of: Given, zone: str, day: date
) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
    requests, _ = tick(settings_of(elsewhere(30.0, -17.0, zone)), noon)
    assert requests[0].run_config == capture_config("garden", day)


def test_where_it_does_not_get_dark_it_says_so(settings_of: Given) -> None:
    settings = settings_of(elsewhere(69.0, 18.9, "Europe/Oslo"))
    zone = ZoneInfo("Europe/Oslo")
    requests, reason = tick(settings, datetime(2026, 6, 21, 12, tzinfo=zone))
    assert requests == []
    assert reason == "The night of 2026-06-21 does not get dark at La Palma."
    requests, reason = tick(settings, datetime(2026, 12, 21, 12, tzinfo=zone))
    assert len(requests) == 2


# The job, with the simulated Pi


@pytest.fixture(scope="module")
def pi(tmp_path_factory: pytest.TempPathFactory) -> SimulatedObservatory:
    root = tmp_path_factory.mktemp("observatory")
    make_night(root, sources=["pi"], size="small", capture="on-arm", truth_images=False)
    return SimulatedObservatory(root, seconds_per_frame=0.01)


def settings_for(observatory: SimulatedObservatory) -> Settings:
    file = observatory.root / "observatory.toml"
    file.write_text(observatory.settings_toml(observatory.root / "data"))
    observatory.write_environment(observatory.root / ".env")
    return load_settings(file)


def arm(
    settings: Settings, instance: DagsterInstance, source: str = "pi"
) -> dg.ExecuteInProcessResult:
    config = capture_config(source, NIGHT)
    return (
        build_defs(settings)
        .resolve_job_def(names.CAPTURE_JOB)
        .execute_in_process(
            instance=instance,
            run_config=config | {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
    )


def said(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (output,) = (
        event.step_output_data for event in result.all_events if event.is_successful_output
    )
    return {name: value.value for name, value in output.metadata.items()}


def test_each_pi_has_its_own_twilight(settings_of: Given) -> None:
    """In a night of June at 52° north it gets dark for one, and not for the other."""
    text = elsewhere(52.0, 5.1, "Europe/Amsterdam")
    assert text.endswith('user_env = "U"\n')
    settings = settings_of(text + 'twilight = "astronomical"\n')
    requests, _ = tick(settings, datetime(2026, 6, 21, 12, tzinfo=ZoneInfo("Europe/Amsterdam")))
    assert [request.run_config for request in requests] == [
        capture_config("garden", date(2026, 6, 21))
    ]


def lights(settings: Settings) -> list[Batch]:
    batches = look(settings.source("pi"), settings)
    return [batch for batch in batches if batch.kind is FrameKind.LIGHT]


def test_arming_brings_the_frames_and_twice_is_harmless(
    pi: SimulatedObservatory, instance: DagsterInstance
) -> None:
    with pi:
        settings = settings_for(pi)
        assert lights(settings) == []
        first = said(arm(settings, instance))
        assert first["state"] == "armed"
        assert str(first["dusk_utc"]).startswith("2026-11-20T19")
        assert str(first["dawn_utc"]).startswith("2026-11-21T06")
        assert said(arm(settings, instance))["state"] == "already armed"
        until = time.monotonic() + 20
        while not ((found := lights(settings)) and found[0].closed):
            assert time.monotonic() < until
            time.sleep(0.1)
        (session,) = found
        assert session.key == "2026-11-20_M42_ZWO-ASI294MC"
        assert len(session.files) == 6
        assert said(arm(settings, instance))["state"] == "already armed"
        assert lights(settings) == found


def test_the_run_shows_what_is_up_and_the_moon(
    pi: SimulatedObservatory, instance: DagsterInstance
) -> None:
    with pi:
        file = settings_for(pi).file
        wish = '\n[[sources.plan]]\ntarget = "M 42"\nexposure_s = 10\nmin_altitude_deg = 30\n'
        file.write_text(file.read_text() + wish)
        shown = said(arm(load_settings(file), instance))
        (plan,) = (pi.root / "served/pi/plans").glob("*.json")
    assert "| M 42 | 23:2" in str(shown["plan"])
    assert "Moon: 83% lit" in str(shown["plan"])
    assert shown["moon_illuminated"] == pytest.approx(0.83, abs=0.01)
    (item,) = json.loads(plan.read_text())["items"]
    assert (item["target"], item["exposure_s"]) == ("M 42", 10)
    assert item["begin_utc"].startswith("2026-11-20T23:2")


def test_a_pi_that_is_off_is_a_sentence(
    pi: SimulatedObservatory, instance: DagsterInstance
) -> None:
    with pi:
        settings = settings_for(pi)
    result = arm(settings, instance)
    assert not result.success
    (failure,) = (e.step_failure_data for e in result.all_events if e.is_step_failure)
    assert failure.user_failure_data
    assert "pi" in str(failure.user_failure_data.description)
    run = instance.get_run_by_id(result.run_id)
    assert run
    assert names.FAILURE_TAG not in run.tags


def test_the_request_names_its_night(settings_of: Given) -> None:
    one, other = capture_request("garden", NIGHT), capture_request("garden", date(2026, 11, 21))
    assert one.run_key != other.run_key
    assert one.tags == other.tags
