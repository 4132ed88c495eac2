"""The HTML pages of the simulated telescope.org, with what clients read from them.

What does not belong here: log-in and API (`telescope_org`).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from astro_assets.sim.servers.telescope_org_jobs import (
    STATUS_NAMES,
    TELESCOPES,
    Job,
    completion,
)

LOGIN = """<!DOCTYPE html>
<html><head><title>Log in</title></head><body>
<form method="post" action="login.php"><input type="hidden" name="action" value="login">
<input name="username"><input type="password" name="password">
<input type="checkbox" name="stayloggedin" value="true"><input type="submit" value="Log in">
</form></body></html>
"""
WELCOME = "<!DOCTYPE html>\n<html><body><p>You are logged in.</p></body></html>\n"
NOTHING = "<!DOCTYPE html>\n<html><body><p>No data</p></body></html>\n"


def view(requests: Sequence[Job]) -> str:
    """The page of one job; ``requests`` are all that the job serves."""
    job = requests[0]
    finished = completion(job)
    rows = {
        "Request ID": " ".join(f"R{request['rid']}" for request in requests),
        "Job ID": f"J{job['jid']}" if job["jid"] else "",
        "Object Type": job["objecttype"],
        "Object ID": job["objectid"],
        "Object Name": job["objectname"],
        "Telescope Type Name": "Robotic",
        "Telescope Name": job["telescope"].capitalize(),
        "Filter Type": "".join(job["filters"]),
        "Exposure Time": f"{job['exposure_ms']} ms",
        # The month's name by hand: strftime's follows the machine's language.
        "Completion Time": _in_words(finished) if finished else "",
        "Status": STATUS_NAMES[job["status"]],
    }
    table = "\n".join(
        f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>"
        for label, value in rows.items()
    )
    flat = f'<button class="dl-flat" value="{job["flatid"]}">Flat</button>' if job["flatid"] else ""
    info = json.dumps({"rid": str(job["rid"]), "jid": str(job["jid"] or "")})
    return (
        f"<!DOCTYPE html>\n<html><head><script>\nvar info = {info};\n</script></head>"
        f"<body><table>\n{table}\n</table>\n{flat}\n</body></html>\n"
    )


def form(ticket: str) -> str:
    """A page of the request constructor, or, without a ticket, the one after the last."""
    if not ticket:
        return (
            "<!DOCTYPE html>\n<html><body><p>Your request has been submitted.</p></body></html>\n"
        )
    return (
        '<!DOCTYPE html>\n<html><body><form method="post" action="request-constructor.php">'
        f'<input type="hidden" name="ticket" value="{ticket}"></form></body></html>\n'
    )


def problem(text: str) -> str:
    """A page that only says what is wrong."""
    return f"<!DOCTYPE html>\n<html><body><p>{escape(text)}</p></body></html>\n"


def processed(link: str) -> str:
    """The page of a processed image: a frame around it once there is one."""
    content = f'<iframe src="{escape(link)}"></iframe>' if link else "<p>Please wait</p>"
    return f"<!DOCTYPE html>\n<html><body>{content}</body></html>\n"


def search(jobs: Sequence[Job], form: Mapping[str, Any], lists: Mapping[str, list[str]]) -> str:
    """The result of the job search: a link for each complete job, the newest first.

    form : the form's fields; lists : those that hold five numbers, day to minute
    """
    earliest = _moment(lists.get("searchearliestcom[]", []))
    latest = _moment(lists.get("searchlatestcom[]", []))
    found: dict[int, datetime] = {}
    for job in jobs:
        finished = completion(job)
        if job["jid"] is None or finished is None or not _asked_for(job, form):
            continue
        if (earliest is None or finished >= earliest) and (latest is None or finished <= latest):
            found[job["jid"]] = finished
    newest_first = sorted(found, key=lambda jid: found[jid], reverse=True)
    links = "\n".join(
        f'<a href="v4request-view.php?jid={jid}">{jid}</a>'
        for jid in newest_first[: int(form.get("resultsperpage") or 1000)]
    )
    return f"<!DOCTYPE html>\n<html><body>\n{links}\n</body></html>\n"


def _asked_for(job: Job, form: Mapping[str, Any]) -> bool:
    filters = str(form.get("searchfilter") or "")
    telescope = str(form.get("searchtelescope") or "")
    name = TELESCOPES.get(int(telescope), "") if telescope.isdigit() else telescope.lower()
    return (not filters or filters == "".join(job["filters"])) and (
        not name or name == job["telescope"].lower()
    )


def _moment(parts: list[str]) -> datetime | None:
    """Day, month, year, hour, minute as the form sends them."""
    if len(parts) != 5 or not all(part.isdigit() for part in parts):
        return None
    day, month, year, hour, minute = map(int, parts)
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _in_words(moment: datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment:%Y %H:%M:%S} UTC"
