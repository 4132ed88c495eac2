"""Sensors: one watches each source, one asks for what follows once sessions are done."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterInstance

from astro_assets.defs.absence import absence
from astro_assets.defs.cursor import LONGEST_PAUSE, Cursor
from astro_assets.defs.decide import (
    Request,
    closing_waves,
    fetch_request,
    lane_waves,
    next_requests,
    ready,
)
from astro_assets.defs.history import History, add_partitions, run_request
from astro_assets.defs.jobs import Job
from astro_assets.defs.orphans import end_orphans
from astro_assets.errors import AstroAssetsError, BrokenFile, Permanent, SourceUnreachable
from astro_assets.settings import OftenOff, Settings, SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.cautions import cautions
from astro_assets.steps import inventory
from astro_assets.steps.recipe import recipe_of
from astro_assets.steps.staleness import Staleness
from astro_assets.store import Store

MOST_RUNS_PER_TICK = 50
"""new partition keys cost a tick some milliseconds each, and a tick has a minute"""
_A_TICK_S = 30.0
"""of the minute that Dagster gives a tick, for what a server can be asked piece by piece"""
_AT_ONCE = "Once that is mended: astro-assets sync, or reset this sensor's cursor."

Tick = dg.SensorResult | dg.SkipReason


def source_sensor(
    source: SourceSettings, settings: Settings, jobs: list[Job]
) -> dg.SensorDefinition:
    """Look at a source, group what is there, and ask for a run per batch that is news."""
    watcher = _Watcher(source, settings)

    @dg.sensor(
        name=f"watch_{source.name}",
        jobs=jobs,
        minimum_interval_seconds=settings.watch.interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks at {source.name} every {settings.watch.interval_s} s and asks for a "
        "run per new session or calibration set. A source that is off is a skip, not a failure.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        return watcher.tick(context)

    return watch


class _Watcher:
    """One look at one source."""

    def __init__(self, source: SourceSettings, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._store = Store(settings.root)

    def tick(self, context: dg.SensorEvaluationContext) -> Tick:
        now_utc = datetime.now(UTC)
        cursor = Cursor.read(context.cursor)
        if cursor.pausing(now_utc):
            assert cursor.next_try is not None
            until = cursor.next_try.isoformat(timespec="seconds")
            return dg.SkipReason(f"{cursor.reason} Next look after {until}.")
        for caution in cautions(self._source):
            context.log.warning(caution)
        try:
            batches = look(self._source, self._settings, _A_TICK_S)
        except AstroAssetsError as error:
            return self._failed(context, cursor, error, now_utc)
        cursor = cursor.looked(empty=not batches)
        told = (
            self._silence(cursor),
            absence(self._source, batches, self._store, context.instance, now_utc),
        )
        sentences = [sentence for sentence in told if sentence]
        for sentence in sentences:
            context.log.warning(sentence)
        try:
            return self._asked_for(context, cursor, batches, now_utc, sentences)
        except BrokenFile as error:  # among the masters; nothing that uses them can be decided
            return dg.SkipReason(" ".join([*sentences, str(error)]))

    def _failed(
        self,
        context: dg.SensorEvaluationContext,
        cursor: Cursor,
        error: AstroAssetsError,
        now_utc: datetime,
    ) -> dg.SkipReason:
        """Later and later; a refusal waits the longest, for somebody has to mend it."""
        refused = isinstance(error, Permanent)
        reason = f"{error}. {_AT_ONCE}" if refused else str(error)
        interval = timedelta(seconds=self._settings.watch.interval_s)
        cursor = cursor.failed(reason, now_utc, LONGEST_PAUSE if refused else interval)
        silence = None
        if isinstance(error, SourceUnreachable):
            cursor = cursor.silent()
            silence = self._silence(cursor)
        context.update_cursor(cursor.text())
        if silence is None:
            return dg.SkipReason(reason)
        context.log.warning(silence)
        return dg.SkipReason(f"{reason}. {silence}")

    def _silence(self, cursor: Cursor) -> str | None:
        """Told once, until it comes back: a telescope may be off by day, not for weeks."""
        source = self._source
        if not isinstance(source, OftenOff):
            return None
        if cursor.empty_looks != source.tell_after_empty_looks:
            return None
        return (
            f"{source.name} was off or empty at {cursor.empty_looks} looks in a row: "
            "if it should be on, see to it; this is told once"
        )

    def _asked_for(
        self,
        context: dg.SensorEvaluationContext,
        cursor: Cursor,
        batches: Sequence[Batch],
        now_utc: datetime,
        sentences: Sequence[str],
    ) -> Tick:
        """Ask for runs; what is not asked for at this tick is at a later one."""
        name, instance = self._source.name, context.instance
        history = History(instance, now_utc)
        recipe = recipe_of(self._source, self._settings)
        chains = Staleness(self._store, name, recipe, self._source.gain_e_per_adu)
        finished, remembered = ready(
            batches,
            cursor.seen,
            now_utc,
            timedelta(seconds=self._settings.watch.quiet_s),
            lambda some: _asked(name, some, history, chains),
        )
        found = next_requests(
            lane_waves(
                name,
                finished,
                lambda: {} if recipe.arrives_calibrated else inventory.cameras(self._store, name),
                chains,
                {batch.key for batch in batches},
            ),
            history.states,
        )
        context.update_cursor(cursor.remembering(remembered).text())
        if not found.launch:
            growing = len(batches) - len(finished)
            reason = _nothing_new(len(batches), growing, settled=found.settled)
            return dg.SkipReason(" ".join([*sentences, reason]))
        return dg.SensorResult(run_requests=_launched(found.launch, history, instance))


def _asked(source: str, batches: Sequence[Batch], history: History, chains: Staleness) -> set[str]:
    """Also those that are asked for again since their masters have changed, not their frames."""
    requests = {
        fetch_request(source, batch, chain): batch.key
        for batch in batches
        for chain in ("", *chains.session_chains(batch.key))
    }
    attempts = history.attempts(list(requests))
    return {key for request, key in requests.items() if attempts[request]}


def _launched(
    requests: Sequence[Request], history: History, instance: DagsterInstance
) -> list[dg.RunRequest]:
    launch = requests[:MOST_RUNS_PER_TICK]
    add_partitions(instance, launch)
    attempts = history.attempts(launch)
    return [run_request(request, attempts[request]) for request in launch]


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
        damaged = inventory.damaged(store)
        for sentence in damaged:
            context.log.warning(sentence)
        history = History(context.instance, datetime.now(UTC))
        found = next_requests(
            closing_waves(
                inventory.targets(store), lambda: inventory.nights(store), history.busy_targets()
            ),
            history.states,
        )
        if not found.launch:
            return dg.SkipReason(" ".join([*damaged, "No target and no night has news."]))
        return dg.SensorResult(run_requests=_launched(found.launch, history, context.instance))

    return after_sessions


def _nothing_new(batches: int, growing: int, *, settled: bool) -> str:
    if growing:
        return f"{growing} of {batches} sessions and sets are still growing; waiting for them."
    if not settled:
        return "Runs are under way; what needs them waits."
    return f"Nothing new in {batches} sessions and calibration sets."
