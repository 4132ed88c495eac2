"""telescope.org's image engine: it packs a job's images and says when they are ready.

What does not belong here: HTTP (`telescope_org`), how images are packed (`telescope_org_jobs`).
"""

import bz2
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from astro_assets.sim.servers.telescope_org_jobs import (
    COMPLETE,
    Job,
    flat_zip,
    job_cube,
    job_zip,
    load_jobs,
)

Answer = dict[str, Any]


@dataclass(slots=True)
class EngineJob:
    """A download that is being prepared."""

    jid: str
    name: str
    content: bytes
    flat: str
    polls_left: int


class ImageEngine:
    """Downloads by their number, the `ieid`.

    folder : `jobs.json`, `<jid>/<filter>.fits` and `flats/<number>/<filter>.fits`
    ready_after : how often it says PROCESSING before READY
    zip_of : packs a job's zip
    """

    def __init__(
        self, folder: Path, *, ready_after: int, zip_of: Callable[[Path, Job], bytes] = job_zip
    ) -> None:
        self._folder = folder
        self._ready_after = ready_after
        self._zip_of = zip_of
        self._processed: dict[tuple[str, str], str] = {}
        self._jobs: dict[str, EngineJob] = {}
        self._lock = Lock()

    def create_zip(self, asked: dict[str, Any]) -> Answer:
        """`0-create-dlzip`."""
        return self._create(asked, "zip", self._zip_of)

    def create_cube(self, asked: dict[str, Any]) -> Answer:
        """`0-create-dl3d`."""
        return self._create(asked, "fits", job_cube)

    def is_ready(self, asked: dict[str, Any]) -> Answer:
        """`0-is-job-ready`: fitssize is the length of what will be sent, fitsbzsize under bzip2."""
        job = self._polled(str(asked.get("ieid")))
        if job is None:
            return refusal("Unknown job")
        if job.polls_left > 0:
            return success("PROCESSING", {"flatID": job.flat})
        sizes = {"fitssize": str(len(job.content)), "fitsbzsize": str(_packed_size(job))}
        return success("READY", {"flatID": job.flat, **sizes})

    def processed(self, jid: str, kind: str) -> str | None:
        """`imageengine-request.php`: the link to a processed image once there is one.

        kind : 1 for the cube, 3 for the zip

        Returns
        -------
        str : the link; empty while it is being made; None where there is no such job
        """
        pack, ending = {"1": (job_cube, "fits"), "3": (self._zip_of, "zip")}.get(kind, (None, ""))
        job = self._complete(jid)
        if job is None or pack is None:
            return None
        if (jid, kind) not in self._processed:
            content = pack(self._folder, job)
            self._processed[jid, kind] = self._queue(jid, f"{jid}-processed.{ending}", content, "")
        ieid = self._processed[jid, kind]
        made = self._polled(ieid)
        ready = made is not None and made.polls_left == 0
        return f"v3image-download.php?jid={jid}&ieid={ieid}" if ready else ""

    def prepared(self, jid: str, ieid: str) -> EngineJob | None:
        """The download, if it is ready and that job's."""
        job = self._jobs.get(ieid)
        return job if job and job.jid == jid and job.polls_left == 0 else None

    def _polled(self, ieid: str) -> EngineJob | None:
        """The download, one look nearer to being ready; as it was before that look."""
        with self._lock:
            job = self._jobs.get(ieid)
            if job is None:
                return None
            before = replace(job)
            job.polls_left = max(0, job.polls_left - 1)
            return before

    def _complete(self, jid: str) -> Job | None:
        complete = (job for job in load_jobs(self._folder) if job["status"] == COMPLETE)
        return next((job for job in complete if str(job["jid"]) == jid), None)

    def _create(
        self, asked: dict[str, Any], ending: str, pack: Callable[[Path, Job], bytes]
    ) -> Answer:
        jid = str(asked.get("jid"))
        job = self._complete(jid)
        if job is None:
            return refusal("No data")
        flat = str(asked.get("flatid") or "")
        try:
            if flat:
                name, content = f"flat-{flat}.zip", flat_zip(self._folder, flat)
            else:
                name, content = f"{jid}.{ending}", pack(self._folder, job)
        except FileNotFoundError:
            return refusal("No data")
        flat = flat or str(job["flatid"] or "")
        ieid = self._queue(jid, name, content, flat)
        status = "OK_WAIT" if self._ready_after else "OK_READY"
        return success(status, {"ieID": ieid, "flatID": flat})

    def _queue(self, jid: str, name: str, content: bytes, flat: str) -> str:
        with self._lock:
            ieid = str(len(self._jobs) + 1)
            self._jobs[ieid] = EngineJob(jid, name, content, flat, self._ready_after)
        return ieid


def success(status: str, data: object) -> Answer:
    """The site's way to say yes."""
    return {"success": 1, "status": status, "data": data}


def refusal(status: str) -> Answer:
    """The site's way to say no."""
    return {"success": 0, "status": status, "data": ""}


def _packed_size(job: EngineJob) -> int:
    """A zip is sent as it is."""
    if job.name.endswith(".zip"):
        return len(job.content)
    return len(bz2.compress(job.content, compresslevel=1))
