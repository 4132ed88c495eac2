"""The nightly capture: a schedule at local noon, a job, and the op that arms the Pi."""

from datetime import date

import dagster as dg

from astro_assets.defs import names
from astro_assets.defs.failures import translated
from astro_assets.night import night_of
from astro_assets.settings import PiSource, Settings
from astro_assets.steps.arm import arm_capture
from astro_assets.steps.plan import dark_hours


class Capture(dg.Config):
    """Which camera to arm, and for which night (YYYY-MM-DD)."""

    source: str
    night: str


def capture_job(settings: Settings) -> dg.JobDefinition:
    """Arm one Pi for one night and let go; the frames arrive through its source."""

    @dg.op(description="Uploads the night's plan to the Pi and starts its capture. Harmless twice.")
    def arm(context: dg.OpExecutionContext, config: Capture) -> None:
        with translated(context):
            armed = arm_capture(settings, config.source, date.fromisoformat(config.night))
        context.log.info(armed.sentence)
        plan = armed.plan
        context.add_output_metadata(
            {
                "state": armed.state,
                "dusk_utc": plan.dark.dusk_utc.isoformat(),
                "dawn_utc": plan.dark.dawn_utc.isoformat(),
                "plan": dg.MetadataValue.md(plan.table(settings.site.timezone)),
                "moon_illuminated": round(plan.moon.illuminated, 3),
            }
        )

    @dg.job(
        name=names.CAPTURE_JOB,
        description="Arms the capture on a Raspberry Pi for one night.",
    )
    def nightly_capture() -> None:
        arm()

    return nightly_capture


def capture_schedule(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """At local noon: one run per Pi, or a skip with the reason when it does not get dark."""
    cameras = [source for source in settings.active_sources if isinstance(source, PiSource)]

    @dg.schedule(
        name=names.CAPTURE_JOB,
        job=job,
        cron_schedule="0 12 * * *",
        execution_timezone=settings.site.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="At noon of the site: computes dusk and dawn and arms each Pi.",
    )
    def nightly_capture(
        context: dg.ScheduleEvaluationContext,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        night = night_of(context.scheduled_execution_time, settings.site.timezone)
        dark = [camera for camera in cameras if dark_hours(settings.site, camera, night)]
        if not dark:
            return dg.SkipReason(f"The night of {night} does not get dark at {settings.site.name}.")
        return [capture_request(camera.name, night) for camera in dark]

    return nightly_capture


def capture_request(source: str, night: date) -> dg.RunRequest:
    """The run that arms one Pi for one night."""
    return dg.RunRequest(
        run_key=f"{source}:{night}",
        run_config=capture_config(source, night),
        tags={names.EXCLUSIVE_TAG: f"capture:{source}"},
    )


def capture_config(source: str, night: date) -> dict[str, object]:
    """Run configuration of the capture job."""
    return {"ops": {"arm": {"config": {"source": source, "night": night.isoformat()}}}}
