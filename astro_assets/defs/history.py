"""What the instance remembers of requests: which ran, which failed, which are due again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from astro_assets.defs import names
from astro_assets.defs.decide import Request, State

PERMANENT = "permanent"
_BATCH = 500
_FINISHED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
_BACK_OFF = (timedelta(minutes=2), timedelta(minutes=15), timedelta(hours=1))
"""how long after its first, second, third failure a request is due again"""


class History:
    """The states of requests, from the runs' tags.

    now_utc : the time of the look
    retry_now : a person (or cron) asks: what failed before ``now_utc`` is due at once, and what
        fails from then on is not, so that one look tries each once
    """

    def __init__(
        self, instance: DagsterInstance, now_utc: datetime, *, retry_now: bool = False
    ) -> None:
        self._instance = instance
        self._now_utc = now_utc
        self._retry_now = retry_now

    def states(self, requests: Sequence[Request]) -> Mapping[Request, State]:
        runs = self._runs([request.key for request in requests])
        return {request: self._state(runs.get(request.key, [])) for request in requests}

    def attempts(self, requests: Sequence[Request]) -> Mapping[Request, int]:
        """How often each request has been run."""
        runs = self._runs([request.key for request in requests])
        return {request: len(runs.get(request.key, [])) for request in requests}

    def busy_targets(self) -> set[str]:
        """Targets with a session's run under way."""
        records = self._instance.get_run_records(
            RunsFilter(statuses=[s for s in DagsterRunStatus if s not in _FINISHED])
        )
        return {
            tags[names.TARGET_TAG]
            for record in records
            if names.TARGET_TAG in (tags := record.dagster_run.tags)
            and record.dagster_run.job_name != names.COMPOSITE_JOB
        }

    def _runs(self, keys: Sequence[str]) -> dict[str, list[RunRecord]]:
        found: dict[str, list[RunRecord]] = {}
        for start in range(0, len(keys), _BATCH):
            wanted = list(keys[start : start + _BATCH])
            for record in self._instance.get_run_records(
                RunsFilter(tags={names.REQUEST_TAG: wanted})
            ):
                found.setdefault(record.dagster_run.tags[names.REQUEST_TAG], []).append(record)
        return found

    def _state(self, records: Sequence[RunRecord]) -> State:
        runs = [record.dagster_run for record in records]
        if any(run.status is DagsterRunStatus.SUCCESS for run in runs):
            return State.DONE
        if any(run.status not in _FINISHED for run in runs):
            return State.RUNNING
        if not runs:
            return State.NEW
        newest = max(records, key=lambda record: record.create_timestamp)
        ended = datetime.fromtimestamp(newest.end_time or 0, tz=self._now_utc.tzinfo)
        if self._retry_now:
            return State.NEW if ended < self._now_utc else State.FAILED
        if newest.dagster_run.tags.get(names.FAILURE_TAG) == PERMANENT:
            return State.FAILED
        if newest.dagster_run.status is DagsterRunStatus.CANCELED:
            # Somebody did not want it; other inputs, or `sync`, ask again.
            return State.FAILED
        if len(runs) > len(_BACK_OFF):
            return State.FAILED
        due = self._now_utc - ended >= _BACK_OFF[len(runs) - 1]
        return State.NEW if due else State.FAILED


def run_tags(request: Request) -> dict[str, str]:
    """The tags by which a request is found again."""
    tags = {
        names.REQUEST_TAG: request.key,
        names.EXCLUSIVE_TAG: f"{request.job}:{request.partition}",
    }
    if request.target:
        return tags | {names.TARGET_TAG: request.target}
    # What sessions wait for goes before them.
    return tags | {names.PRIORITY_TAG: "1"}


def add_partitions(instance: DagsterInstance, requests: Sequence[Request]) -> None:
    """Make the requests' partition keys known."""
    by_name: dict[str, list[str]] = {}
    for request in requests:
        by_name.setdefault(request.partitions, []).append(request.partition)
    for name, keys in by_name.items():
        instance.add_dynamic_partitions(name, keys)


def run_request(request: Request, attempt: int) -> dg.RunRequest:
    """The request in Dagster's terms; another attempt is another run key."""
    return dg.RunRequest(
        run_key=f"{request.key}#{attempt}",
        job_name=request.job,
        partition_key=request.partition,
        tags=run_tags(request),
    )
