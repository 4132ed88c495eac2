"""The jobs that sensors and `sync` ask for: one per wave of a lane, and the closing ones."""

from typing import TypeAlias

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from astro_assets.defs import names
from astro_assets.frame import CALIBRATION_KINDS
from astro_assets.settings import SourceSettings
from astro_assets.steps.recipe import recipe_of

Job: TypeAlias = UnresolvedAssetJobDefinition
"""what `define_asset_job` gives; Dagster has no public name for it"""


def lane_jobs(source: SourceSettings) -> list[Job]:
    """A session is one run of four steps; calibrations are a run per set and kind."""
    name = source.name
    session = _job(
        names.session_job(name),
        [[name, asset] for asset in ("raw_lights", "calibrated", "solved", "stack")],
        f"Fetch, calibrate, solve and stack one session of {name}.",
    )
    if recipe_of(source).arrives_calibrated:
        return [session]
    return [
        _job(
            names.raw_calibrations_job(name),
            [[name, "raw_calibrations"]],
            f"Fetch one calibration set of {name}.",
        ),
        *(
            _job(
                names.master_job(name, kind),
                [[name, f"master_{kind}"]],
                f"Combine one {kind} set of {name}.",
            )
            for kind in CALIBRATION_KINDS
        ),
        _job(
            names.bad_pixel_map_job(name),
            [[name, "bad_pixel_map"]],
            f"Map the bad pixels of one camera of {name}.",
        ),
        session,
    ]


def closing_jobs() -> list[Job]:
    """Composites per target, and the table with the report per night."""
    return [
        _job(names.COMPOSITE_JOB, [["composite"]], "Combine all nights of one target."),
        _job(
            names.MORNING_JOB,
            [["frames"], ["night_report"]],
            "Write the table of frames and the report of one night.",
        ),
    ]


def _job(name: str, keys: list[list[str]], description: str) -> Job:
    return dg.define_asset_job(
        name,
        selection=[dg.AssetKey(key) for key in keys],
        description=description,
    )
