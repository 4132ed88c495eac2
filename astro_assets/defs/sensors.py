"""Sensors: one watches each source, one asks for what follows once sessions are done."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from astro_assets.defs.decide import Sighting, closing_waves, lane_waves, next_requests, ready
from astro_assets.defs.history import History, add_partitions, run_request
from astro_assets.defs.jobs import Job
from astro_assets.defs.orphans import end_orphans
from astro_assets.errors import AstroAssetsError, Permanent
from astro_assets.settings import Settings, SourceSettings
from astro_assets.sources.batches import look
from astro_assets.steps import inventory
from astro_assets.store import Store

LONGEST_PAUSE = timedelta(hours=1)
MOST_RUNS_PER_TICK = 50
"""new partition keys cost a tick some milliseconds each, and a tick has a minute"""


def source_sensor(
    source: SourceSettings, settings: Settings, jobs: list[Job]
) -> dg.SensorDefinition:
    """Look at a source, group what is there, and ask for a run per batch that is news."""
    store = Store(settings.root)

    @dg.sensor(
        name=f"watch_{source.name}",
        jobs=jobs,
        minimum_interval_seconds=settings.watch.interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks at {source.name} every {settings.watch.interval_s} s and asks for a "
        "run per new session or calibration set. A source that is off is a skip, not a failure.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        now_utc = datetime.now(UTC)
        cursor = json.loads(context.cursor or "{}")
        next_try = cursor.get("next_try")
        if next_try and now_utc < datetime.fromisoformat(next_try):
            return dg.SkipReason(f"{cursor['reason']} Next look after {next_try}.")
        try:
            batches = look(source, settings)
        except AstroAssetsError as error:
            context.update_cursor(json.dumps(_backed_off(cursor, error, now_utc, settings)))
            return dg.SkipReason(str(error))
        finished, remembered = ready(
            batches, _sightings(cursor), now_utc, timedelta(seconds=settings.watch.quiet_s)
        )
        history = History(context.instance, now_utc)
        found = next_requests(
            lane_waves(source.name, finished, lambda: inventory.cameras(store, source.name)),
            history.states,
        )
        launch = found.launch[:MOST_RUNS_PER_TICK]
        add_partitions(context.instance, launch)
        context.update_cursor(json.dumps({"seen": _as_json(remembered)}))
        if not launch:
            growing = len(batches) - len(finished)
            return dg.SkipReason(_nothing_new(len(batches), growing, settled=found.settled))
        return dg.SensorResult(run_requests=[run_request(r, history.attempts(r)) for r in launch])

    return watch


def closing_sensor(settings: Settings, jobs: list[Job]) -> dg.SensorDefinition:
    """Ask for composites, then for the table and the reports, once sessions are done."""
    store = Store(settings.root)

    @dg.sensor(
        name="after_sessions",
        jobs=jobs,
        minimum_interval_seconds=min(settings.watch.interval_s, 60),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for a composite when a target has new stacks and no session under way, "
        "then for the table of frames and the night's report.",
    )
    def after_sessions(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        end_orphans(context.instance)
        history = History(context.instance, datetime.now(UTC))
        found = next_requests(
            closing_waves(
                inventory.targets(store), lambda: inventory.nights(store), history.busy_targets()
            ),
            history.states,
        )
        launch = found.launch[:MOST_RUNS_PER_TICK]
        if not launch:
            return dg.SkipReason("No target and no night has news.")
        add_partitions(context.instance, launch)
        return dg.SensorResult(run_requests=[run_request(r, history.attempts(r)) for r in launch])

    return after_sessions


def _sightings(cursor: dict[str, Any]) -> dict[str, Sighting]:
    return {
        key: Sighting(digest, datetime.fromisoformat(since))
        for key, (digest, since) in cursor.get("seen", {}).items()
    }


def _as_json(sightings: dict[str, Sighting]) -> dict[str, tuple[str, str]]:
    return {key: (s.digest, s.since_utc.isoformat()) for key, s in sightings.items()}


def _backed_off(
    cursor: dict[str, Any], error: AstroAssetsError, now_utc: datetime, settings: Settings
) -> dict[str, Any]:
    """The cursor after a failed look: twice the pause each time; a refusal waits the longest."""
    failures = cursor.get("failures", 0) + 1
    pause = timedelta(seconds=settings.watch.interval_s) * 2 ** min(failures - 1, 10)
    if isinstance(error, Permanent):
        pause = LONGEST_PAUSE
    next_try = now_utc + min(pause, LONGEST_PAUSE)
    return {
        "seen": cursor.get("seen", {}),
        "failures": failures,
        "next_try": next_try.isoformat(timespec="seconds"),
        "reason": str(error),
    }


def _nothing_new(batches: int, growing: int, *, settled: bool) -> str:
    if growing:
        return f"{growing} of {batches} sessions and sets are still growing; waiting for them."
    if not settled:
        return "Runs are under way; what needs them waits."
    return f"Nothing new in {batches} sessions and calibration sets."
