"""What the instance remembers of requests, told by real runs of a small job."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from astro_assets.defs import names
from astro_assets.defs.decide import Request, State
from astro_assets.defs.failures import translated
from astro_assets.defs.history import History, run_request, run_tags
from astro_assets.defs.orphans import end_orphans, process_tags
from astro_assets.errors import (
    AstroAssetsError,
    LoginRefused,
    NothingToDo,
    SourceUnreachable,
    StorageFailed,
)

MINUTE = timedelta(minutes=1)
ERRORS: dict[str, AstroAssetsError | None] = {
    "well": None,
    "unreachable": SourceUnreachable("the server does not answer"),
    "disk": StorageFailed("the disk is full"),
    "refused": LoginRefused("the server refuses the log-in"),
    "nothing": NothingToDo("there are no frames"),
}


@dg.op(config_schema={"how": dg.Field(str, default_value="well")})
def act(context: dg.OpExecutionContext) -> None:
    error = ERRORS[context.op_config["how"]]
    with translated(context):
        if error is not None:
            raise error


@dg.job
def session() -> None:
    act()


@pytest.fixture
def request_(request: pytest.FixtureRequest) -> Request:
    """A request of each test's own, so that all can share one instance."""
    return Request("pi_session", "pi_sessions", "2026-11-20_M31_Pi", request.node.name, "M31")


@pytest.fixture
def run(instance: DagsterInstance) -> Callable[[Request, str], datetime]:
    """Run a request in this process; returns when it ended."""

    def run(request: Request, how: str) -> datetime:
        result = session.execute_in_process(
            instance=instance,
            tags=run_tags(request),
            run_config={
                "ops": {"act": {"config": {"how": how}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
        record = instance.get_run_record_by_id(result.run_id)
        assert record
        assert record.end_time
        return datetime.fromtimestamp(record.end_time, UTC)

    return run


def state(
    instance: DagsterInstance, request: Request, now_utc: datetime, *, retry_now: bool = False
) -> State:
    return History(instance, now_utc, retry_now=retry_now).states([request])[request]


Run = Callable[[Request, str], datetime]


def test_new_running_done(instance: DagsterInstance, run: Run, request_: Request) -> None:
    now = datetime.now(UTC)
    assert state(instance, request_, now) is State.NEW
    started = instance.create_run_for_job(
        session, status=DagsterRunStatus.STARTED, tags=run_tags(request_)
    )
    assert state(instance, request_, now) is State.RUNNING
    assert state(instance, request_, now, retry_now=True) is State.RUNNING
    instance.delete_run(started.run_id)
    ended = run(request_, "well")
    for when in (now, ended + 1000 * MINUTE):
        assert state(instance, request_, when) is State.DONE
        assert state(instance, request_, when, retry_now=True) is State.DONE
    assert state(instance, replace(request_, digest="a late frame"), ended) is State.NEW


@pytest.mark.parametrize("how", ["unreachable", "disk"])
def test_what_may_pass_is_due_again_after_longer_and_longer(
    instance: DagsterInstance, run: Run, request_: Request, how: str
) -> None:
    for pause_min in (2, 15, 60):
        ended = run(request_, how)
        assert state(instance, request_, ended) is State.FAILED
        assert state(instance, request_, ended + (pause_min - 0.1) * MINUTE) is State.FAILED
        assert state(instance, request_, ended + (pause_min + 0.1) * MINUTE) is State.NEW
    ended = run(request_, how)
    assert state(instance, request_, ended + 100_000 * MINUTE) is State.FAILED


@pytest.mark.parametrize("how", ["refused", "nothing"])
def test_what_does_not_pass_is_not_asked_for_again(
    instance: DagsterInstance, run: Run, request_: Request, how: str
) -> None:
    ended = run(request_, how)
    assert state(instance, request_, ended + 100_000 * MINUTE) is State.FAILED


@pytest.mark.parametrize("how", ["unreachable", "refused"])
def test_a_person_tries_each_failure_once(
    instance: DagsterInstance, run: Run, request_: Request, how: str
) -> None:
    ended = run(request_, how)
    assert state(instance, request_, ended + MINUTE, retry_now=True) is State.NEW
    before_it_failed = ended - MINUTE
    assert state(instance, request_, before_it_failed, retry_now=True) is State.FAILED


def test_a_success_after_failures_counts(
    instance: DagsterInstance, run: Run, request_: Request
) -> None:
    run(request_, "unreachable")
    run(request_, "well")
    assert state(instance, request_, datetime.now(UTC)) is State.DONE


def test_what_somebody_cancels_is_not_asked_for_again_by_itself(
    instance: DagsterInstance, request_: Request
) -> None:
    started = instance.create_run_for_job(
        session, status=DagsterRunStatus.STARTED, tags=run_tags(request_)
    )
    instance.report_run_canceled(started)
    later = datetime.now(UTC) + 100_000 * MINUTE
    assert state(instance, request_, later) is State.FAILED
    assert state(instance, request_, later, retry_now=True) is State.NEW


def test_another_attempt_has_another_run_key(
    instance: DagsterInstance, run: Run, request_: Request
) -> None:
    keys = set()
    for _ in range(3):
        attempt = History(instance, datetime.now(UTC)).attempts([request_])[request_]
        keys.add(run_request(request_, attempt).run_key)
        run(request_, "unreachable")
    assert len(keys) == 3


def test_many_requests_are_looked_up_at_once(
    instance: DagsterInstance, run: Run, request_: Request
) -> None:
    many = [replace(request_, digest=f"{n}") for n in range(1203)]
    run(many[0], "well")
    run(many[1202], "refused")
    states = History(instance, datetime.now(UTC)).states(many)
    assert states[many[0]] is State.DONE
    assert states[many[1202]] is State.FAILED
    assert sum(found is State.NEW for found in states.values()) == 1201


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_target_is_busy_while_a_session_of_it_is_under_way(
    instance: DagsterInstance, request_: Request, status: str
) -> None:
    def busy() -> set[str]:
        return History(instance, datetime.now(UTC)).busy_targets()

    target = f"target {status}"
    composite = Request(names.COMPOSITE_JOB, names.TARGETS, target, "d", target)
    compose = dg.JobDefinition(graph_def=session.graph, name=names.COMPOSITE_JOB)
    instance.create_run_for_job(compose, status=DagsterRunStatus[status], tags=run_tags(composite))
    assert target not in busy()
    started = instance.create_run_for_job(
        session,
        status=DagsterRunStatus[status],
        tags=run_tags(replace(request_, target=target)),
    )
    assert target in busy()
    instance.report_run_failed(started)
    assert target not in busy()


# Runs whose process is gone


def under_way(instance: DagsterInstance, request: Request, tags: dict[str, str]) -> str:
    return instance.create_run_for_job(
        session, status=DagsterRunStatus.STARTED, tags=run_tags(request) | tags
    ).run_id


def status_of(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    found = instance.get_run_by_id(run_id)
    assert found
    return found.status


def test_a_run_whose_process_was_killed_is_ended_and_due_again(
    tmp_path: Path, request_: Request
) -> None:
    script = tmp_path / "long.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "import dagster as dg\n"
        "from astro_assets.defs.failures import translated\n"
        "@dg.op\n"
        "def wait(context: dg.OpExecutionContext) -> None:\n"
        "    with translated(context):\n"
        "        pathlib.Path(sys.argv[2]).touch()\n"
        "        time.sleep(100)\n"
        "@dg.job\n"
        "def long():\n"
        "    wait()\n"
        "long.execute_in_process(instance=dg.DagsterInstance.local_temp(sys.argv[1]),\n"
        f"    tags={run_tags(request_)!r})\n"
    )
    home, sign = tmp_path / "home", tmp_path / "sign"
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(home), str(sign)], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 60
    while not sign.exists():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    with DagsterInstance.local_temp(str(home)) as instance:
        assert end_orphans(instance) == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert state(instance, request_, datetime.now(UTC)) is State.RUNNING
        assert end_orphans(instance) == 1
        assert end_orphans(instance) == 0
        assert state(instance, request_, datetime.now(UTC) + 3 * MINUTE) is State.NEW
        assert state(instance, request_, datetime.now(UTC), retry_now=True) is State.NEW


def test_runs_that_may_be_alive_are_left_alone(
    instance: DagsterInstance, request_: Request
) -> None:
    host, _, birth, _ = process_tags("")[names.PROCESS_TAG].split("/")

    def tag(host: str, pid: int, run_id: str, birth: str = birth) -> dict[str, str]:
        return {names.PROCESS_TAG: f"{host}/{pid}/{birth}/{run_id}"}

    gone = subprocess.Popen(["true"])
    gone.wait()
    nobody = gone.pid
    alive = under_way(instance, request_, {})
    instance.add_run_tags(alive, process_tags(alive))
    untold = under_way(instance, request_, {})
    elsewhere = under_way(instance, request_, {})
    instance.add_run_tags(elsewhere, tag("another-machine", nobody, elsewhere))
    copied = under_way(instance, request_, tag(host, nobody, "the run that this one repeats"))
    dead = under_way(instance, request_, {})
    instance.add_run_tags(dead, tag(host, nobody, dead))
    reused = under_way(instance, request_, {})
    boot, ticks = birth.split(":")
    instance.add_run_tags(reused, tag(host, os.getpid(), reused, f"{boot}:{int(ticks) - 100}"))
    rebooted = under_way(instance, request_, {})
    instance.add_run_tags(rebooted, tag(host, os.getpid(), rebooted, f"an-earlier-one:{ticks}"))

    assert end_orphans(instance) == 3
    for run_id in (alive, untold, elsewhere, copied):
        assert status_of(instance, run_id) is DagsterRunStatus.STARTED
    for run_id in (dead, reused, rebooted):
        assert status_of(instance, run_id) is DagsterRunStatus.FAILURE
