"""Observation requests of a telescope_org source: an asset that asks and follows, once a day.

Only for sources whose settings name a ``requests_file``; whatever stands in it is asked for once.
"""

import dagster as dg

from astro_assets.defs import names
from astro_assets.defs.failures import translated
from astro_assets.defs.jobs import Job
from astro_assets.defs.results import materialized
from astro_assets.settings import Settings, TelescopeOrgSource


def takers(settings: Settings) -> list[TelescopeOrgSource]:
    """The sources that are asked for observations."""
    return [
        source
        for source in settings.active_sources
        if isinstance(source, TelescopeOrgSource) and source.requests_file is not None
    ]


def requests_asset(settings: Settings, source: TelescopeOrgSource) -> dg.AssetsDefinition:
    """The requests of one source, with a table of how far each is."""

    @dg.asset(
        key=[source.name, "requests"],
        group_name=source.name,
        kinds={source.kind, "json"},
        pool=f"server_{source.name}",
        description=f"Asks {source.name} for what {source.requests_file} holds and has not been "
        "asked for yet, and looks how far the requests are. What is impossible is refused before.",
    )
    def requests(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from astro_assets.steps.request import request_file

        with translated(context):
            return materialized(request_file(settings, source))

    return requests


def requests_job(source: TelescopeOrgSource) -> Job:
    """One run asks and follows."""
    return dg.define_asset_job(
        names.requests_job(source.name),
        selection=[dg.AssetKey([source.name, "requests"])],
        description=f"Ask {source.name} for new observations, and follow the others.",
    )


def requests_schedule(
    settings: Settings, source: TelescopeOrgSource, job: Job
) -> dg.ScheduleDefinition:
    """Every noon: what is new in the file is asked for, and the states are looked up."""
    return dg.ScheduleDefinition(
        name=names.requests_job(source.name),
        job=job,
        cron_schedule="0 12 * * *",
        execution_timezone=settings.site.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"At noon: asks {source.name} for what is new in {source.requests_file}, and "
        "follows the requests that are open.",
    )
