"""`astro-assets sync`: one look at the sources and everything that follows, in this process.

The same decisions, jobs and instance as the sensors'; nothing needs to run in the background.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import dagster as dg
from dagster import DagsterInstance

from astro_assets.defs import names
from astro_assets.defs.absence import absence
from astro_assets.defs.decide import Request, closing_waves, lane_waves, next_requests
from astro_assets.defs.history import History, add_partitions, run_tags
from astro_assets.defs.orphans import end_orphans, process_tags
from astro_assets.errors import AstroAssetsError, BrokenFile, SourceUnreachable
from astro_assets.settings import OftenOff, Settings, SourceSettings
from astro_assets.sources.batches import Batch, look
from astro_assets.sources.cautions import cautions
from astro_assets.steps import inventory
from astro_assets.steps.recipe import recipe_of
from astro_assets.steps.staleness import Staleness
from astro_assets.store import Store

RUN_CONFIG = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_INTERRUPTS = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")


@dataclass(slots=True)
class Outcome:
    """What a sync did, in sentences.

    failures : what somebody has to look at: runs that failed, files that were set aside
    skipped : what was left for another time, and why
    notes : asset checks that failed, files that want mending; the products are there
    """

    runs: int = 0
    failures: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


Tell = Callable[[str, int, int], None]
"""what is done now, runs done, runs known of"""


def sync(
    settings: Settings,
    defs: dg.Definitions,
    instance: DagsterInstance,
    sources: Sequence[SourceSettings],
    tell: Tell,
) -> Outcome:
    """Look at each source once and run all that is new, sessions first, then what follows."""
    outcome = Outcome()
    end_orphans(instance)
    now_utc = datetime.now(UTC)
    history = History(instance, now_utc, retry_now=True)
    runner = _Runner(defs, instance, outcome, tell)
    store = Store(settings.root)
    for source in sources:
        tell(f"{source.name}: looking", outcome.runs, runner.known)
        outcome.notes += cautions(source)
        try:
            batches = look(source, settings)
        except SourceUnreachable as error:
            off = isinstance(source, OftenOff)
            (outcome.skipped if off else outcome.failures).append(str(error))
            continue
        except AstroAssetsError as error:
            outcome.failures.append(str(error))
            continue
        missing = absence(source, batches, store, instance, now_utc)
        outcome.notes += [missing] if missing else []
        try:
            _run_lane(source, settings, batches, store, history, runner)
            outcome.notes += inventory.unused_lists(store, source.name)
        except BrokenFile as error:
            outcome.failures.append(f"{source.name}: {error}")
    _run_closing(store, history, runner)
    outcome.failures += inventory.damaged(store)
    tell("done", outcome.runs, runner.known)
    return outcome


def _run_lane(
    source: SourceSettings,
    settings: Settings,
    batches: Sequence[Batch],
    store: Store,
    history: History,
    runner: "_Runner",
) -> None:
    recipe = recipe_of(source, settings)

    def cameras() -> Mapping[str, str]:
        return {} if recipe.arrives_calibrated else inventory.cameras(store, source.name)

    def waves() -> Iterator[list[Request]]:
        chains = Staleness(store, source.name, recipe, source.gain_e_per_adu)
        return lane_waves(source.name, batches, cameras, chains)

    runner.run_until_settled(source.name, waves, history)


def _run_closing(store: Store, history: History, runner: "_Runner") -> None:
    def waves() -> Iterator[list[Request]]:
        return closing_waves(
            inventory.targets(store), lambda: inventory.nights(store), history.busy_targets()
        )

    runner.run_until_settled("composites and reports", waves, history)


@dataclass(slots=True)
class _Runner:
    """Runs requests one after another in this process."""

    defs: dg.Definitions
    instance: DagsterInstance
    outcome: Outcome
    tell: Tell
    known: int = 0

    def run_until_settled(
        self, what: str, waves: Callable[[], Iterator[list[Request]]], history: History
    ) -> None:
        while (found := next_requests(waves(), history.states)).launch:
            add_partitions(self.instance, found.launch)
            self.known += len(found.launch)
            for request in found.launch:
                self._run(request)
        if not found.settled:
            self.outcome.skipped.append(
                f"{what}: runs that Dagster has started or queued are not done yet; what follows "
                "them is left for later"
            )

    def _run(self, request: Request) -> None:
        self.tell(f"{request.job}: {request.partition}", self.outcome.runs, self.known)
        run_id = str(uuid4())
        result = self.defs.resolve_job_def(request.job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition,
            run_config=RUN_CONFIG,
            run_id=run_id,
            tags=run_tags(request) | process_tags(run_id),
            raise_on_error=False,
        )
        self.outcome.runs += 1
        if _interrupted(result):
            raise KeyboardInterrupt
        if not result.success:
            self.outcome.failures.append(f"{request.partition}: {_why(result)}")
        self.outcome.failures += [
            f"{request.partition}: {s}" for s in _sentences(result, names.LOOK_AT)
        ]
        self.outcome.notes += [
            f"{request.partition}: {s}" for s in _sentences(result, names.REMARKS)
        ]
        self.outcome.notes += [
            f"{request.partition}: {check.description}"
            for check in result.get_asset_check_evaluations()
            if not check.passed
        ]


def _sentences(result: dg.ExecuteInProcessResult, name: str) -> Iterator[str]:
    """For each asset that tells something of single files, the first one's sentence."""
    for event in result.all_events:
        if not event.is_step_materialization:
            continue
        metadata = event.step_materialization_data.materialization.metadata
        if name in metadata:
            first, *others = cast("list[str]", metadata[name].value)
            yield f"{first} ({len(others)} more files likewise)" if others else first


def _interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Dagster keeps Ctrl-C for itself and calls the run failed."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    errors += [
        event.job_failure_data.error
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.RUN_FAILURE
    ]
    return any(error is not None and error.cls_name in _INTERRUPTS for error in errors)


def _why(result: dg.ExecuteInProcessResult) -> str:
    """The sentence of the first failed step."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            cause = data.error and (data.error.cause or data.error)
            what = cause.message.strip().splitlines()[0] if cause else "no message"
            return f"this should not have happened ({what}); its page in the web UI says more"
    return "the run failed; its page in the web UI says why"
