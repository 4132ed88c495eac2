"""Runs whose process is gone, as after a power cut: they would stay "started" for ever.

What belongs here: noting which process a run is in, and ending runs whose process is dead. Dagster
does this for launchers of clusters; its default launcher forgets its processes with the machine's
restart, and nobody else knows of those in `sync`'s own process.
"""

import os
import socket
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from astro_assets.defs import names

_UNDER_WAY = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def process_tags(run_id: str) -> dict[str, str]:
    """The tag that says in which process a run is; the run's own id, since retries copy tags.

    None on systems other than Linux, where runs are left as they are.
    """
    pid = os.getpid()
    birth = _birth(pid)
    return {names.PROCESS_TAG: f"{socket.gethostname()}/{pid}/{birth}/{run_id}"} if birth else {}


def note_process(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> None:
    """Tag the run with the process that it is in."""
    tags = process_tags(context.run.run_id)
    if not tags.items() <= context.run.tags.items():
        context.instance.add_run_tags(context.run.run_id, tags)


def end_orphans(instance: DagsterInstance) -> int:
    """Mark runs of this machine as failed whose process is gone. Returns how many."""
    dead = [
        run.run_id for run in instance.get_runs(RunsFilter(statuses=_UNDER_WAY)) if _orphan(run)
    ]
    if not dead:
        return 0
    # Asked again: one that ended well has said so before its process went.
    orphans = instance.get_runs(RunsFilter(run_ids=dead, statuses=_UNDER_WAY))
    for run in orphans:
        instance.report_run_failed(
            run, "The run's process is gone, as after a power cut or a kill; it is asked for again."
        )
        # Its place in a pool, for which the next run of the same server would wait for ever.
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(orphans)


def _orphan(run: DagsterRun) -> bool:
    host, _, rest = run.tags.get(names.PROCESS_TAG, "").partition("/")
    if host != socket.gethostname():
        return False
    pid, birth, run_id = rest.split("/")
    return run_id == run.run_id and _birth(int(pid)) != birth


def _birth(pid: int) -> str | None:
    """What no other process has, also after the next start of the machine; None for a dead one."""
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name, in brackets, may hold blanks. After it: state, …, ticks since the start.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{boot}:{fields[18]}"
