"""Asking telescope.org for an observation: by its calls, else by its forms.

What belongs here: the two ways. What does not: what may be asked for (`telescope_org_wish`), and
whether it has been asked for already (`steps.request`).
"""

from collections.abc import Callable
from typing import TypeVar

from astro_assets.errors import NotReady, RequestRefused, SourceUnreachable, Transient
from astro_assets.sources import telescope_org_pages as pages
from astro_assets.sources.telescope_org_calls import Answer, Said, Site, is_login_page
from astro_assets.sources.telescope_org_lists import TELESCOPES
from astro_assets.sources.telescope_org_wish import ImageRequest

_MODULE = "request-constructor"
_FORM = "request-constructor.php"
_ONE_TELESCOPE = 2
"""telescopetype: this very telescope"""

Result = TypeVar("Result")
Arrived = Callable[[], str | None]
"""looks at the site's list: the new request's id, or None when it is not there"""


class _SessionOver(Exception):
    """The log-in page came in the middle; what was filled in is gone."""


def submit(site: Site, request: ImageRequest, arrived: Arrived) -> str:
    """Ask for one observation, once. Returns the request's id.

    An answer that does not come, or is not understood, is not proof that the site did not take the
    request: the list of own requests decides.

    Raises
    ------
    RequestRefused : the site does not take it, in neither way
    NotReady : the site has taken it, as it says, but does not list it
    LoginRefused, SourceUnreachable, IdentityRefused
    """
    answer = _again(lambda: _by_calls(site, request, arrived), site)
    if answer.said is Said.YES:
        rid = _id(answer) or arrived()
        if rid is None:
            raise NotReady(
                f"{site.where} has taken the request for {request.name} and does not list it: "
                "the next time shows whether it is there"
            )
        return rid
    if answer.said is Said.SOMETHING:
        rid = arrived()
        if rid is not None:
            return rid
    return _again(lambda: _by_forms(site, request, arrived), site)


def _again(ask: Callable[[], Result], site: Site) -> Result:
    """Once more from the start when the session has run out meanwhile."""
    try:
        return ask()
    except _SessionOver:
        site.log_in()
    try:
        return ask()
    except _SessionOver as error:
        raise SourceUnreachable(
            f"{site.where} asks for a log-in again and again: the next time tries again"
        ) from error


def _by_calls(site: Site, request: ImageRequest, arrived: Arrived) -> Answer:
    """The answer to the submission, or the first that is not yes."""
    values = {
        "telescopeid": TELESCOPES[request.telescope],
        "telescopetype": _ONE_TELESCOPE,
        "exposuretime": request.exposure_ms,
        "filtertype": request.filter,
        "objecttype": "RADEC",
        "objectname": request.name,
        "objectid": f"{request.ra} {request.dec}",
        "usercomments": request.comments,
    }
    for call, parameters in (("0-rb-clear", {}), ("0-rb-set", values)):
        answer = _said(site.call_once(_MODULE, call, parameters))
        if answer.said is not Said.YES:
            # Nothing has been submitted; only the forms are left.
            return Answer(Said.NO, answer.status)
    try:
        return _said(site.call_once(_MODULE, "0-rb-submit", {}))
    except Transient:
        rid = arrived()
        if rid is None:
            raise
        return Answer(Said.YES, data={"id": rid})


def _said(answer: Answer) -> Answer:
    if answer.said is Said.LOG_IN:
        raise _SessionOver
    return answer


def _id(answer: Answer) -> str | None:
    said = answer.data.get("id") if isinstance(answer.data, dict) else None
    number = str(said or "").removeprefix("R")
    return number if number.isdecimal() else None


def _by_forms(site: Site, request: ImageRequest, arrived: Arrived) -> str:
    ra_hours, ra_minutes, ra_rest = request.ra.split(":")
    dec_degrees, dec_minutes, dec_rest = request.dec.split(":")
    ra_seconds, ra_fraction = ra_rest.split(".")
    dec_seconds, dec_fraction = dec_rest.split(".")
    ticket = _ticket(site, site.web.get(_FORM, {"action": "new"}).text)
    steps: tuple[dict[str, str], ...] = (
        {"action": "main-go-part1"},
        {"action": "part1-go-radec"},
        {
            "action": "part1-radec-save",
            "raHours": ra_hours,
            "raMins": ra_minutes,
            "raSecs": ra_seconds,
            "raFract": ra_fraction,
            "decDegrees": dec_degrees,
            "decMins": dec_minutes,
            "decSecs": dec_seconds,
            "decFract": dec_fraction,
            "newObjectName": request.name,
        },
        {"action": "main-go-part2"},
        {
            "action": "part2-save",
            "submittype": "Save",
            "newTelescopeSelection": str(TELESCOPES[request.telescope]),
        },
        {"action": "main-go-part3"},
        {
            "action": "part3-save",
            "submittype": "Save",
            "newExposureTime": str(request.exposure_ms),
            "newDarkFrame": "1",
            "newFilterSelection": request.filter,
            "newRequestComments": request.comments,
        },
    )
    for step in steps:
        ticket = _ticket(site, site.web.post(_FORM, {"ticket": ticket, **step}).text)
    text = ""
    try:
        text = site.web.post(_FORM, {"ticket": ticket, "action": "main-submit"}, once=True).text
    except Transient:
        rid = arrived()
        if rid is None:
            raise
        return rid
    if is_login_page(text):
        raise _SessionOver
    rid = arrived()
    if rid is None:
        raise _not_taken(site, text)
    return rid


def _ticket(site: Site, text: str) -> str:
    """The hidden number that the next step must show."""
    if is_login_page(text):
        raise _SessionOver
    number = pages.ticket(text)
    if not number:
        raise _not_taken(site, text)
    return number


def _not_taken(site: Site, text: str) -> RequestRefused:
    said = site.quoted(pages.words(text))
    return RequestRefused(
        f"{site.where} does not take the request (it says: {said or 'nothing'}): "
        "try it there in a browser"
    )
