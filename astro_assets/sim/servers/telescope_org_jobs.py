"""telescope.org's jobs and requests as files: what `jobs.json` tells, and what the engine packs.

What does not belong here: HTTP (`telescope_org`), HTML (`telescope_org_pages`).
"""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np
from astropy.io import fits

NEW = 1
COMPLETE = 8
CANCELLED = 22
NEVER_RISES = 25
INBOX = 1
TELESCOPES = {
    1: "constellation",
    2: "galaxy",
    3: "cluster",
    5: "planet",
    6: "coast",
    7: "pirate",
}
STATUS_NAMES = {
    1: "New",
    2: "New allocated",
    3: "Waiting",
    4: "In progress",
    5: "Reallocate",
    6: "Waiting again",
    7: "Complete on site",
    8: "Success",
    9: "Hold",
    10: "Frozen",
    20: "Expired",
    21: "Expired w/CJobs",
    22: "Cancelled",
    23: "Cancelled w/CJobs",
    24: "Invalid",
    25: "Never rises",
    26: "Other error",
}
# Any fixed moment does: the same frames give the same bytes for ever.
_ZIP_TIME = (2026, 1, 1, 0, 0, 0)


class Job(TypedDict):
    """One request, and the job that serves it once it is complete (several may share one)."""

    jid: int | None
    rid: int
    objecttype: str
    objectname: str
    objectid: str
    telescope: str
    exposure_ms: int
    filters: list[str]
    completed_utc: str | None
    requesttime: int
    status: int
    flatid: int | None
    folderid: NotRequired[int]
    usercomments: NotRequired[str]


def load_jobs(folder: Path) -> list[Job]:
    """Everything in ``folder``'s `jobs.json`, as it is now."""
    unfinished = {"jid": None, "completed_utc": None, "flatid": None}
    entries = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
    return [cast("Job", unfinished | entry) for entry in entries]


def save_jobs(folder: Path, jobs: list[Job]) -> None:
    """Write `jobs.json` anew, in one step."""
    part = folder / ".jobs.json.new"
    part.write_text(json.dumps(jobs, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / "jobs.json")


def flat_zip(folder: Path, flat: str) -> bytes:
    """The zip of one flat: `flats/<number>/<filter>.fits`. Raises FileNotFoundError."""
    frames = sorted((folder / "flats" / flat).glob("*.fits"))
    if not frames:
        raise FileNotFoundError(flat)
    return _zipped({f"flat-{flat}-{frame.name}": frame.read_bytes() for frame in frames})


def job_zip(folder: Path, job: Job) -> bytes:
    """The zip that the image engine gives for a complete job: one FITS per filter.

    The same bytes each time, so that their length and sha256 can be known beforehand.
    """
    return _zipped(
        {
            f"{job['jid']}-{name}.fits": _plane(folder, job, name).read_bytes()
            for name in job["filters"]
        }
    )


def _zipped(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _ZIP_TIME)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, compresslevel=1)
    return packed.getvalue()


def job_cube(folder: Path, job: Job) -> bytes:
    """The cube that the image engine gives: (filters, ny, nx), planes in the order of FILTER."""
    planes, headers = [], []
    for name in job["filters"]:
        with fits.open(_plane(folder, job, name), do_not_scale_image_data=True) as frame:
            planes.append(np.array(frame[0].data))
            headers.append(frame[0].header.copy())
    cube = fits.PrimaryHDU(np.stack(planes), headers[0], do_not_scale_image_data=True)
    for keyword in ("BZERO", "BSCALE"):
        if keyword in headers[0]:
            cube.header[keyword] = headers[0][keyword]
    cube.header["FILTER"] = ",".join(job["filters"])
    written = io.BytesIO()
    cube.writeto(written)
    return written.getvalue()


def completion(job: Job) -> datetime | None:
    """When the job was complete, in UTC."""
    moment = job.get("completed_utc")
    if not moment:
        return None
    parsed = datetime.fromisoformat(moment)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _plane(folder: Path, job: Job, name: str) -> Path:
    return folder / str(job["jid"]) / f"{name}.fits"
