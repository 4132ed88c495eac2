"""How far a night is: for the demo's progress bar."""

from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from astro_assets.defs.decide import State, closing_waves
from astro_assets.defs.history import History
from astro_assets.settings import Settings
from astro_assets.steps import inventory
from astro_assets.store import Store

_UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True)
class Standing:
    """sessions_done : with a stack; complete : sessions, composites and reports are all there"""

    sessions_done: int
    complete: bool
    sentence: str
    failures: tuple[str, ...]


class Monitor:
    """Looks at the instance of ``$DAGSTER_HOME`` and at the products."""

    def __init__(self, settings: Settings, expected_sessions: int) -> None:
        self._store = Store(settings.root)
        self.expected_sessions = expected_sessions
        self._instance = DagsterInstance.get()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._instance.dispose()

    def look(self) -> Standing:
        """How far the night is now."""
        running = self._instance.get_runs(RunsFilter(statuses=_UNDER_WAY))
        failed = self._instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE]))
        done = len(list(inventory.stacks(self._store)))
        closed = done >= self.expected_sessions and not running and self._closing_done()
        doing = sorted(
            f"{r.job_name} {r.tags.get('dagster/partition', '')}".strip() for r in running
        )
        return Standing(
            sessions_done=done,
            complete=closed,
            sentence=", ".join(doing[:2]) or ("complete" if closed else "watching the sources"),
            failures=tuple(
                f"{r.job_name} {r.tags.get('dagster/partition', '')}: see run {r.run_id[:8]}"
                for r in failed
            ),
        )

    def _closing_done(self) -> bool:
        history = History(self._instance, datetime.now(UTC))
        waves = closing_waves(
            inventory.targets(self._store),
            lambda: inventory.nights(self._store),
            history.busy_targets(),
        )
        return all(
            state in (State.DONE, State.FAILED)
            for wave in waves
            for state in history.states(wave).values()
        )
