"""telescope.org's request constructor: one draft per visitor, by calls or by forms.

Both ways check alike and end in the same list of requests. What does not belong here: HTTP
(`telescope_org`), pages (`telescope_org_pages`).
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from time import time
from typing import Any

from astro_assets.sim.servers.requests import Requests
from astro_assets.sim.servers.telescope_org_engine import Answer, refusal, success
from astro_assets.sim.servers.telescope_org_jobs import (
    CANCELLED,
    COMPLETE,
    NEVER_RISES,
    NEW,
    TELESCOPES,
    Job,
    load_jobs,
    save_jobs,
)

LONGEST_EXPOSURE_MS = 180_000
_LOWEST_DEC_DEG = -61
"""what stays below Tenerife's horizon"""
_FILTERS = {
    "coast": ("BVR", "B", "V", "R"),
    "pirate": ("Colour", "Blue", "Green", "Red"),
}
_OTHER_FILTERS = ("BVR", "B", "V", "R", "Ha", "OIII", "SII", "Clear")
_FIRST_RID = 771716
_STEPS = (
    "new", "main-go-part1", "part1-go-radec", "part1-radec-save", "main-go-part2", "part2-save",
    "main-go-part3", "part3-save", "main-submit",
)  # fmt: skip


@dataclass(slots=True)
class Draft:
    """What one visitor has filled in. ``step`` and ``ticket`` are the form's."""

    values: dict[str, str] = field(default_factory=dict)
    step: int = 0
    ticket: str = ""


class Refused(Exception):
    """The site does not take this; its text is what the site says."""


class RequestConstructor:
    """Drafts by visitor, and requests once they are submitted.

    api : whether the calls are there; without them only the forms are
    """

    def __init__(self, folder: Path, counts: Requests) -> None:
        self.api = True
        self._folder = folder
        self._counts = counts
        self._drafts: dict[str, Draft] = {}
        self._lock = Lock()

    def call(self, visitor: str, request: str, asked: dict[str, Any]) -> Answer:
        """`0-rb-clear`, `0-rb-set`, `0-rb-submit`, `0-cancel-request`."""
        if not self.api:
            return refusal("Module not available")
        try:
            with self._lock:
                if request == "0-rb-clear":
                    self._drafts[visitor] = Draft()
                    return success("OK", "")
                if request == "0-rb-set":
                    self._draft(visitor).values |= {k: str(v) for k, v in asked.items()}
                    return success("OK", "")
                if request == "0-rb-submit":
                    return success("OK", {"id": str(self._submit(visitor))})
                return self._cancel(str(asked.get("rid")))
        except Refused as error:
            return refusal(str(error))

    def new(self, visitor: str) -> str:
        """The form's first page. Returns its ticket."""
        draft = self._drafts[visitor] = Draft()
        return _ticket(draft)

    def step(self, visitor: str, form: Mapping[str, str]) -> str:
        """One step of the form. Returns the next ticket, or, at its end, nothing.

        Raises
        ------
        Refused : another ticket than the last page's, a step out of order, or nonsense
        """
        with self._lock:
            draft = self._drafts.get(visitor)
            if draft is None or not draft.ticket or form.get("ticket") != draft.ticket:
                raise Refused("This page has expired")
            if form.get("action") != _STEPS[draft.step + 1]:
                raise Refused("Please follow the steps in order")
            draft.values |= _values(form)
            draft.step += 1
            if form["action"] == "main-submit":
                self._submit(visitor)
                return ""
            return _ticket(draft)

    def _draft(self, visitor: str) -> Draft:
        if visitor not in self._drafts:
            raise Refused("No request has been started")
        return self._drafts[visitor]

    def _submit(self, visitor: str) -> int:
        values = self._draft(visitor).values
        jobs = load_jobs(self._folder)
        rid = max((job["rid"] for job in jobs), default=_FIRST_RID) + 1
        jobs.append(_checked(values, rid))
        save_jobs(self._folder, jobs)
        del self._drafts[visitor]
        self._counts.submission()
        return rid

    def _cancel(self, rid: str) -> Answer:
        jobs = load_jobs(self._folder)
        for job in jobs:
            if str(job["rid"]) == rid and job["status"] < COMPLETE:
                job["status"] = CANCELLED
                save_jobs(self._folder, jobs)
                return success("OK", "")
        raise Refused("No such request")


def _ticket(draft: Draft) -> str:
    draft.ticket = str(secrets.randbelow(10**9))
    return draft.ticket


def _values(form: Mapping[str, str]) -> dict[str, str]:
    """What one page of the form says, in the words of the calls."""
    action = form["action"]
    if action == "part1-radec-save":
        ra = ":".join(form.get(key, "") for key in ("raHours", "raMins", "raSecs"))
        dec = ":".join(form.get(key, "") for key in ("decDegrees", "decMins", "decSecs"))
        place = f"{ra}.{form.get('raFract', '')} {dec}.{form.get('decFract', '')}"
        name = form.get("newObjectName", "")
        return {"objecttype": "RADEC", "objectid": place, "objectname": name}
    if action == "part2-save":
        return {"telescopeid": form.get("newTelescopeSelection", ""), "telescopetype": "2"}
    if action == "part3-save":
        return {
            "exposuretime": form.get("newExposureTime", ""),
            "filtertype": form.get("newFilterSelection", ""),
            "usercomments": form.get("newRequestComments", ""),
        }
    return {}


def _checked(values: Mapping[str, str], rid: int) -> Job:
    """The request that was asked for. Raises `Refused` for nonsense."""
    number = values.get("telescopeid", "")
    telescope = TELESCOPES.get(int(number)) if number.isdigit() else None
    if telescope is None or values.get("telescopetype") != "2":
        raise Refused("Invalid telescope")
    name = values.get("filtertype", "")
    if name not in _FILTERS.get(telescope, _OTHER_FILTERS):
        raise Refused("Invalid filter")
    exposure = values.get("exposuretime", "")
    if not exposure.isdigit() or not 0 < int(exposure) <= LONGEST_EXPOSURE_MS:
        raise Refused("Invalid exposure time")
    place = re.fullmatch(
        r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d\d ([+-]\d\d):[0-5]\d:[0-5]\d\.\d\d",
        values.get("objectid", ""),
    )
    if values.get("objecttype") != "RADEC" or place is None or abs(int(place[2])) > 90:
        raise Refused("Invalid object")
    return {
        "jid": None,
        "rid": rid,
        "objecttype": "RADEC",
        "objectname": values.get("objectname", ""),
        "objectid": place[0],
        "telescope": telescope,
        "exposure_ms": int(exposure),
        "filters": list(name) if name == "BVR" else [name],
        "completed_utc": None,
        "requesttime": int(time()),
        "status": NEVER_RISES if int(place[2]) < _LOWEST_DEC_DEG else NEW,
        "flatid": None,
        "usercomments": values.get("usercomments", ""),
    }
