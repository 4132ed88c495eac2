"""A folder of many sessions, and an instance that has run them, for tests and the bench."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.utils import make_new_run_id

from astro_assets.defs.decide import Request, fetch_request
from astro_assets.defs.history import run_tags
from astro_assets.settings import Settings, load_settings
from astro_assets.sources.batches import look
from astro_assets_tests.defs.conftest import SITE
from astro_assets_tests.sources.conftest import frame

SOURCE = "archive"
_OLD_S = 10 * 86400


def make_folder(root: Path, sessions: int, frames: int) -> Settings:
    """A folder source with so many sessions of so many small frames, some days old."""
    old = time.time() - _OLD_S
    for session in range(sessions):
        content = frame(
            1, OBJECT=f"NGC {session + 1}", INSTRUME="camera", IMAGETYP="Light Frame",
            **{"DATE-OBS": "2026-11-10T22:00:00"},
        )  # fmt: skip
        folder = root / "frames" / f"{session:05d}"
        folder.mkdir(parents=True)
        for number in range(frames):
            path = folder / f"{number:04d}.fits"
            path.write_bytes(content)
            os.utime(path, (old, old))
    file = root / "observatory.toml"
    file.write_text(
        f'root = "data"\n{SITE}\n[[sources]]\nname = "{SOURCE}"\nkind = "folder"\npath = "frames"\n'
    )
    return load_settings(file)


def requests_of(settings: Settings) -> list[Request]:
    """What a first look at the folder asks for."""
    return [fetch_request(SOURCE, b) for b in look(settings.source(SOURCE), settings)]


def record(
    instance: DagsterInstance,
    tags: Iterable[dict[str, str]],
    status: DagsterRunStatus = DagsterRunStatus.SUCCESS,
) -> None:
    """Let runs of these tags have been, without running them."""
    for of_run in tags:
        run = DagsterRun(
            job_name=f"{SOURCE}_session", run_id=make_new_run_id(), tags=of_run, status=status
        )
        instance.add_run(run)


def record_requests(instance: DagsterInstance, requests: Iterable[Request]) -> None:
    """Let these requests have been done."""
    record(instance, [run_tags(request) for request in requests])
