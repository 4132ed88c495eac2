"""Following a Pi's capture: what it is doing as observations, a missed noon healed, jobs by hand.

What belongs here: one sensor per Pi, and the jobs that a person starts. What does not: arming at
noon (`capture`), fetching frames (`sensors`).
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from astro_assets.defs import names
from astro_assets.defs.capture import capture_request
from astro_assets.defs.failures import translated
from astro_assets.errors import AstroAssetsError
from astro_assets.night import night_of
from astro_assets.settings import PiSource, Settings
from astro_assets.steps.pi_camera import (
    CameraStatus,
    camera_status,
    capture_log,
    stop_capture,
    take_series,
)
from astro_assets.steps.plan import dark_hours

HEARTBEAT = "heartbeat"
SERIES = ("bias", "darks", "flats", "linearity")
_OBSERVE_EVERY_S = 600
"""while nothing changes but the time"""


def capture_asset(source: PiSource) -> dg.AssetSpec:
    """The camera as the UI shows it: observed, never made here."""
    return dg.AssetSpec(
        [source.name, names.CAPTURE_ASSET],
        group_name=source.name,
        kinds={"raspberry-pi"},
        description=f"The camera on {source.name}: frames of this night, the last error, the card. "
        "Its check fails when it should be taking pictures and gives no sign of life.",
    )


def follow_sensor(
    source: PiSource, settings: Settings, job: dg.JobDefinition
) -> dg.SensorDefinition:
    """Look at the Pi's heartbeat; between dusk and dawn, arm it when nobody has."""

    @dg.sensor(
        name=f"follow_{source.name}",
        job=job,
        minimum_interval_seconds=max(60, min(settings.watch.interval_s, 300)),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"What the camera on {source.name} is doing; arms it when noon was missed.",
    )
    def follow(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now_utc = datetime.now(UTC)
        try:
            status = camera_status(settings, source.name, now_utc)
        except AstroAssetsError as error:
            return dg.SkipReason(str(error))
        night = unarmed_night(settings, source, status, now_utc)
        requests = [] if night is None else [_healing(source.name, night, now_utc)]
        seen = json.loads(context.cursor or "{}")
        if not requests and not _news(seen, status, now_utc):
            return dg.SkipReason(_sentence(source.name, status))
        context.update_cursor(
            json.dumps({"told": _digest(status), "at": now_utc.isoformat(timespec="seconds")})
        )
        return dg.SensorResult(run_requests=requests, asset_events=_events(source, status))

    return follow


def unarmed_night(
    settings: Settings, source: PiSource, status: CameraStatus, now_utc: datetime
) -> date | None:
    """The night that should be armed by now and is not; None when all is well, or it is day.

    A night that was stopped by hand, or is done, stays so; one that a power cut has ended goes on.
    """
    night = night_of(now_utc, settings.site.timezone)
    dark = dark_hours(settings.site, source, night)
    if dark is None or status.running or now_utc >= dark.dawn_utc:
        return None
    return None if status.night == night.isoformat() and status.over else night


def camera_jobs(settings: Settings) -> list[dg.JobDefinition]:
    """What a person does by hand: stop, take a series, fetch the log."""

    class Camera(dg.Config):
        source: str

    class Series(dg.Config):
        source: str
        series: str
        numbers: list[str] = Field(default_factory=list)

    class Night(dg.Config):
        source: str
        night: str

    @dg.op(description="Ends the capture after the frame in hand.")
    def stop(context: dg.OpExecutionContext, config: Camera) -> None:
        with translated(context):
            context.log.info(stop_capture(settings, config.source))

    @dg.op(
        description="Takes bias, darks, flats or linearity; the numbers are those of the command "
        'line on the Pi, such as ["--count", "20", "--exposure", "30"].'
    )
    def take(context: dg.OpExecutionContext, config: Series) -> None:
        if config.series not in SERIES:
            raise dg.Failure(f"series is one of {', '.join(SERIES)}", allow_retries=False)
        with translated(context):
            context.log.info(take_series(settings, config.source, config.series, config.numbers))

    @dg.op(description="Shows what the Pi wrote down of a night.")
    def read_log(context: dg.OpExecutionContext, config: Night) -> None:
        with translated(context):
            text = capture_log(settings, config.source, date.fromisoformat(config.night))
        context.add_output_metadata({"log": dg.MetadataValue.text(text)})

    @dg.job(name="stop_capture", description="Ends the capture on a Pi.")
    def stop_job() -> None:
        stop()

    @dg.job(name="take_calibrations", description="Takes calibration frames on a Pi.")
    def series_job() -> None:
        take()

    @dg.job(name="capture_log", description="Fetches the log of a night from a Pi.")
    def log_job() -> None:
        read_log()

    return [stop_job, series_job, log_job]


def _healing(source: str, night: date, now_utc: datetime) -> dg.RunRequest:
    """As at noon; once an hour, should the Pi refuse."""
    request = capture_request(source, night)
    return dg.RunRequest(
        run_key=f"{request.run_key}:{now_utc:%Y-%m-%dT%H}",
        run_config=request.run_config,
        tags=request.tags,
    )


def _events(
    source: PiSource, status: CameraStatus
) -> Sequence[dg.AssetObservation | dg.AssetCheckEvaluation]:
    key = dg.AssetKey([source.name, names.CAPTURE_ASSET])
    numbers: dict[str, Any] = {
        "phase": status.phase,
        "night": status.night,
        "frames": status.frames,
        "lost": status.lost,
        "last_frame": status.last_frame,
        "last_error": status.last_error or "none",
        "alert": status.alert or "none",
        "next_exposure_utc": status.next_exposure_utc,
    }
    for name, value in (("temperature_c", status.temperature_c), ("disk_gb", status.disk_free_gb)):
        if value is not None:
            numbers[name] = float(value)
    return [
        dg.AssetObservation(key, metadata=numbers),
        dg.AssetCheckEvaluation(
            check_name=HEARTBEAT,
            asset_key=key,
            passed=status.beating and not status.alert,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(source.name, status),
        ),
    ]


def _news(seen: dict[str, Any], status: CameraStatus, now_utc: datetime) -> bool:
    if seen.get("told") != _digest(status):
        told = seen.get("at")
        quiet = told and (now_utc - datetime.fromisoformat(told)).total_seconds() < _OBSERVE_EVERY_S
        # Frames come by the minute; that alone is told every ten.
        return not quiet or seen.get("told", [])[:-1] != _digest(status)[:-1]
    return False


def _digest(status: CameraStatus) -> list[Any]:
    return [
        status.phase, status.night, status.beating, status.alert, status.last_error, status.frames
    ]  # fmt: skip


def _sentence(name: str, status: CameraStatus) -> str:
    if not status.beating:
        return f"{name}: the capture of {status.night} gives no sign of life: look at its log"
    if status.alert:
        return f"{name}: {status.alert}"
    if not status.night:
        return f"{name}: no night was ever armed"
    return f"{name}: {status.phase}, {status.frames} frames of the night of {status.night}"
