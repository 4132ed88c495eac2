"""What Dagster loads: everything that follows from the settings, or what to do without them."""

from collections.abc import Sequence

import dagster as dg

from astro_assets.defs.across import across_assets
from astro_assets.defs.jobs import closing_jobs, lane_jobs
from astro_assets.defs.lane import Watch, lane_assets
from astro_assets.defs.requests import requests_asset, requests_job, requests_schedule, takers
from astro_assets.defs.sensors import closing_sensor, source_sensor
from astro_assets.errors import SettingsError
from astro_assets.settings import PiSource, Settings, load_settings
from astro_assets.steps import resources

FIRST_GROUP = "start_here"


def build_defs(
    settings: Settings, watch: Watch | None = None, meanwhile: Sequence[str] = ()
) -> dg.Definitions:
    """Lanes, closing assets, jobs, sensors and schedules of an observatory.

    watch : shows how far a download is, where there is a terminal
    meanwhile : modules to load while frames are fetched, where the same process needs them next
    """
    resources.use(settings.resources)
    closing = closing_jobs()
    lanes = {source: lane_jobs(source) for source in settings.active_sources}
    asking = {source: requests_job(source) for source in takers(settings)}
    without_cameras = dg.Definitions(
        assets=[
            *(
                asset
                for source in lanes
                for asset in lane_assets(source, settings, watch, meanwhile)
            ),
            *across_assets(settings),
            *(requests_asset(settings, source) for source in asking),
            *(_notice(f"problem_{n}", str(p)) for n, p in enumerate(settings.problems, start=1)),
        ],
        jobs=[*(job for jobs in lanes.values() for job in jobs), *closing, *asking.values()],
        sensors=[
            *(source_sensor(source, settings, jobs) for source, jobs in lanes.items()),
            closing_sensor(settings, closing),
        ],
        schedules=[requests_schedule(settings, source, job) for source, job in asking.items()],
        # In one process: a step costs a tenth of a second instead of seconds of imports.
        executor=dg.in_process_executor,
    )
    cameras = [source for source in settings.active_sources if isinstance(source, PiSource)]
    if not cameras:
        return without_cameras
    return dg.Definitions.merge(without_cameras, _camera_defs(settings, cameras))


def _camera_defs(settings: Settings, cameras: Sequence[PiSource]) -> dg.Definitions:
    """What arms and follows the Pis; SSH is loaded only where there are any."""
    from astro_assets.defs.capture import capture_job, capture_schedule
    from astro_assets.defs.follow import camera_jobs, capture_asset, follow_sensor

    capture = capture_job(settings)
    return dg.Definitions(
        assets=[capture_asset(camera) for camera in cameras],
        jobs=[capture, *camera_jobs(settings)],
        sensors=[follow_sensor(camera, settings, capture) for camera in cameras],
        schedules=[capture_schedule(settings, capture)],
    )


def defs_without_settings(problem: SettingsError) -> dg.Definitions:
    """Definitions that load whatever is wrong with the settings, and say what to do."""
    return dg.Definitions(assets=[_notice("settings", str(problem))])


def _notice(name: str, sentence: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        group_name=FIRST_GROUP,
        description=f"{sentence}\n\nThen reload this code location.",
        kinds={"toml"},
    )


try:
    _settings = load_settings()
except SettingsError as error:
    defs = defs_without_settings(error)
else:
    defs = build_defs(_settings)
