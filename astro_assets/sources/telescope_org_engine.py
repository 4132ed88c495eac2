"""telescope.org's image engine: it makes a job's images ready, and says how long they are.

What belongs here: asking for them, waiting with bounds, the length that proves a download. What
does not: the download itself (`telescope_org`).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from astro_assets.errors import BrokenFile, LoginRefused, NotReady, SourceUnreachable
from astro_assets.sources.telescope_org_calls import Answer, Said, Site, is_login_page
from astro_assets.sources.telescope_org_jobs import Wanted
from astro_assets.sources.telescope_org_pages import frame

ENGINE_LIMIT_S = 60.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_CREATE = {"zip": "0-create-dlzip", "cube": "0-create-dl3d"}
_PROCESSED = {"zip": "3", "cube": "1"}

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is ready to be downloaded.

    path, query : where
    sizes : the lengths that it may have, plain and packed by bzip2; empty where nobody says
    """

    path: str
    query: Mapping[str, str]
    sizes: tuple[int, ...]


def prepare(site: Site, want: Wanted) -> Prepared:
    """Have the images of a job made ready and wait for them, for a bounded time.

    Raises
    ------
    NotReady : not in time
    BrokenFile : the site has no such images
    LoginRefused, SourceUnreachable, IdentityRefused
    """
    return _processed(site, want) if want.processed else _raw(site, want)


def _raw(site: Site, want: Wanted) -> Prepared:
    asked = {"jid": want.jid, **({"flatid": want.flat} if want.flat else {})}
    made = _engine(site, _CREATE[want.form], asked, want.jid)
    ieid = str(made.get("ieID", ""))

    def ready() -> Prepared | None:
        answer = _answer(site, "0-is-job-ready", {"ieid": ieid}, want.jid)
        if answer.status != "READY":
            return None
        data = answer.data if isinstance(answer.data, dict) else {}
        sizes = (str(data.get(key, "")) for key in ("fitssize", "fitsbzsize"))
        return Prepared(
            "v3image-download.php",
            {"jid": want.jid, "ieid": ieid},
            tuple(int(size) for size in sizes if size.isdecimal() and int(size) > 0),
        )

    return _waited_for(ready, site, want.jid)


def _processed(site: Site, want: Wanted) -> Prepared:
    query = {"jid": want.jid, "type": _PROCESSED[want.form]}
    log_ins = 0

    def ready() -> Prepared | None:
        nonlocal log_ins
        page = site.web.get("imageengine-request.php", query)
        if is_login_page(page.text):
            log_ins += 1
            if log_ins > 1:
                raise LoginRefused(f"{site.where} asks for a log-in again and again: look at it")
            site.log_in()
            return None
        if page.status != 200:
            raise _no_images(site, want.jid, f"status {page.status}")
        address = frame(page.text)
        if not address:
            return None
        path, asked = site.web.link(address)
        return Prepared(path, asked, ())

    return _waited_for(ready, site, want.jid)


def _waited_for(ready: Callable[[], Found | None], site: Site, jid: str) -> Found:
    give_up = time.monotonic() + ENGINE_LIMIT_S
    pause_s = _FIRST_PAUSE_S
    while True:
        found = ready()
        if found is not None:
            return found
        if time.monotonic() + pause_s > give_up:
            raise NotReady(
                f"{site.where}: the image engine has not made job {jid} ready within "
                f"{ENGINE_LIMIT_S:.0f} s: the next look tries again"
            )
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _engine(site: Site, request: str, asked: dict[str, str], jid: str) -> dict[str, Any]:
    answer = _answer(site, request, asked, jid)
    if not isinstance(answer.data, dict) or not str(answer.data.get("ieID") or ""):
        raise _no_images(site, jid, answer.status)
    return answer.data


def _answer(site: Site, request: str, asked: dict[str, str], jid: str) -> Answer:
    answer = site.call("image-engine", request, asked)
    if answer.said is Said.SOMETHING:
        raise SourceUnreachable(
            f"{site.where}: the image engine's answer for job {jid} is not understood: "
            "the next look tries again"
        )
    if answer.said is not Said.YES:
        raise _no_images(site, jid, answer.status)
    return answer


def _no_images(site: Site, jid: str, status: str) -> BrokenFile:
    return BrokenFile(f"{site.where} has no images of job {jid} ({status}): look at its page there")
