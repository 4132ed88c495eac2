"""What telescope.org holds: own requests in their folders, the search for jobs, a request's page.

What belongs here: asking for all of it, and what an entry says. What does not: reading pages
(`telescope_org_pages`), what a job is as a file (`telescope_org_jobs`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from astro_assets.errors import ListingFailed
from astro_assets.sources.telescope_org_calls import Said, Site
from astro_assets.sources.telescope_org_pages import linked_jobs, parse_page

PAGE_ROWS = 100
TRASH = "4"
COMPLETE = 8
STATUS = {
    1: "new",
    2: "new, allocated",
    3: "waiting",
    4: "in progress",
    5: "to be allocated anew",
    6: "waiting again",
    7: "complete on site",
    8: "complete",
    9: "on hold",
    10: "frozen",
    20: "expired",
    21: "expired, with completed jobs",
    22: "cancelled",
    23: "cancelled, with completed jobs",
    24: "invalid",
    25: "never rises",
    26: "other error",
}
FAILED = frozenset(range(20, 27))
"""final, and without an image of this request"""
TELESCOPES = {
    "constellation": 1,
    "galaxy": 2,
    "cluster": 3,
    "planet": 5,
    "coast": 6,
    "pirate": 7,
}
_TRIES = 3
_SEARCH_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """An own request, as the list has it."""

    rid: str
    status: int
    object_type: str
    object_id: str
    object_name: str
    requested_utc: datetime | None

    @property
    def open(self) -> bool:
        """Whether it may still be observed."""
        return self.status != COMPLETE and self.status not in FAILED


def folders(site: Site) -> list[str]:
    """The ids of all folders, the trash among them. Raises `ListingFailed`."""
    rows = _listed(site, "0-get-my-folders", {})
    if not isinstance(rows, list):
        raise site.not_understood("folders")
    ids = [str(row.get("id", "")) for row in rows if isinstance(row, dict)]
    if not all(ids) or len(ids) != len(rows):
        raise site.not_understood("folders")
    return ids


def own_requests(site: Site, *, trash: bool = False) -> list[Entry]:
    """The requests in all folders. Raises `ListingFailed`."""
    found: dict[str, Entry] = {}
    for folder in folders(site):
        if trash or folder != TRASH:
            found |= {entry.rid: entry for entry in requests_in(site, folder)}
    return list(found.values())


def requests_in(site: Site, folder: str) -> list[Entry]:
    """All requests of one folder, page by page.

    A request that comes or goes meanwhile moves the others from one page to another; the folder
    is then asked for again. Raises `ListingFailed`.
    """
    for _ in range(_TRIES):
        pages = list(_pages(site, folder))
        rows = {entry.rid: entry for _, page in pages for entry in page}
        totals = {total for total, _ in pages}
        if totals == {len(rows)}:
            return list(rows.values())
    raise ListingFailed(
        f"{site.where} lists {len(rows)} of {max(totals)} requests in folder {folder}: "
        "the next look tries again"
    )


def _pages(site: Site, folder: str) -> Iterator[tuple[int, list[Entry]]]:
    seen = 0
    while True:
        parameters = {
            "limit": PAGE_ROWS,
            "sort": "rid",
            "folderid": folder,
            "startAfterRow": seen,
        }
        page = _listed(site, "1-get-list-own", parameters)
        rows = page.get("requests") if isinstance(page, dict) else None
        total = str(page.get("totalRequests", "")) if isinstance(page, dict) else ""
        if not isinstance(rows, list) or not total.isdecimal():
            raise site.not_understood("requests")
        yield int(total), [_entry(site, row) for row in rows]
        seen += len(rows)
        if not rows or seen >= int(total):
            return


def _entry(site: Site, row: Any) -> Entry:
    if not isinstance(row, dict) or not str(row.get("id", "")).isdecimal():
        raise site.not_understood("requests")
    status, moment = str(row.get("status", "")), str(row.get("requesttime", ""))
    return Entry(
        rid=str(row["id"]),
        status=int(status) if status.isdecimal() else 0,
        object_type=str(row.get("objecttype", "")),
        object_id=str(row.get("objectid", "")),
        object_name=str(row.get("objectname", "")),
        requested_utc=_epoch(moment),
    )


def _epoch(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _listed(site: Site, request: str, parameters: dict[str, object]) -> Any:
    answer = site.call("request-manager", request, parameters)
    if answer.said is Said.SOMETHING:
        raise site.not_understood("requests")
    if answer.said is not Said.YES:
        raise ListingFailed(
            f"{site.where} does not list its requests ({answer.status}): the next look tries again"
        )
    return answer.data


def searched_jobs(site: Site, days: int, filter_name: str, telescope: str) -> list[str]:
    """The numbers of the jobs, also of others, completed within ``days``; the newest first.

    filter_name, telescope : empty for all

    Raises
    ------
    ListingFailed : there are more than one page takes
    """
    now = datetime.now(UTC)
    form: dict[str, str | list[str]] = {
        "sort1": "completetime",
        "sort1order": "desc",
        "searchearliestcom[]": _in_parts(now - timedelta(days=days)),
        "searchlatestcom[]": _in_parts(now + timedelta(minutes=1)),
        "searchstatus[]": ["1"],
        "resultsperpage": str(_SEARCH_ROWS),
        "searchfilter": filter_name,
        "searchtelescope": str(TELESCOPES[telescope]) if telescope else "",
        "submit": "Go",
    }
    text = site.page("v3job-search-query.php", form)
    if text is None:
        raise site.not_understood("a search")
    found = linked_jobs(text)
    if len(found) >= _SEARCH_ROWS:
        raise ListingFailed(
            f"{site.where} finds {_SEARCH_ROWS} jobs or more, and shows no further ones: "
            "make search_days smaller"
        )
    return found


def _in_parts(moment: datetime) -> list[str]:
    return [str(n) for n in (moment.day, moment.month, moment.year, moment.hour, moment.minute)]


def request_page(site: Site, rid: str) -> dict[str, str] | None:
    """The facts on a request's page by their labels, with ``jid``; None when it is gone."""
    return _view(site, rid=rid)


def job_page(site: Site, jid: str) -> dict[str, str] | None:
    """As `request_page`, for a job."""
    page = _view(site, jid=jid)
    return None if page is None else {**page, "jid": jid}


def _view(site: Site, **which: str) -> dict[str, str] | None:
    text = site.page("v4request-view.php", {}, **which)
    return None if text is None else parse_page(text)
