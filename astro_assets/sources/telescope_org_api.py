"""telescope.org's calls and pages: logging in, own requests, a request's page, the image engine.

What belongs here: what is sent and what an answer says. What does not: HTTPS itself (`http`),
what a job is as a file (`telescope_org`).
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from bs4 import BeautifulSoup

from astro_assets.errors import BrokenFile, ListingFailed, LoginRefused, SourceUnreachable
from astro_assets.sources.http import WebSession

PAGE_ROWS = 100
TRASH = "4"
ENGINE_LIMIT_S = 60.0
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the image engine has ready; ``sizes`` are the lengths that the file may have."""

    engine_id: str
    sizes: tuple[int, ...]


class TelescopeOrgApi:
    """The calls, with one new log-in when the session has run out."""

    def __init__(self, web: WebSession, user: str, password: str, login_hint: str) -> None:
        self._web = web
        self._user = user
        self._password = password
        self._login_hint = login_hint
        self.where = web.where

    def log_in(self) -> None:
        """Log in and make sure that it worked, which the answer itself does not tell."""
        self._post_login()
        if _json(self._call("request-manager", "0-get-my-folders", {})) is None:
            raise self._refused()

    def folders(self) -> list[str]:
        """The ids of all folders but the trash. Raises `ListingFailed`."""
        rows = self._listed("0-get-my-folders", {})
        if not isinstance(rows, list):
            raise self._not_understood("folders")
        ids = [str(row.get("id", "")) for row in rows if isinstance(row, dict)]
        return [number for number in ids if number and number != TRASH]

    def requests(self, folder: str) -> Iterator[dict[str, Any]]:
        """All requests of one folder, page by page. Raises `ListingFailed`."""
        seen = 0
        while True:
            parameters: dict[str, object] = {
                "limit": PAGE_ROWS,
                "sort": "rid",
                "folderid": folder,
                "startAfterRow": seen,
            }
            page = self._listed("1-get-list-own", parameters)
            rows = page.get("requests") if isinstance(page, dict) else None
            if not isinstance(rows, list):
                raise self._not_understood("requests")
            yield from (row for row in rows if isinstance(row, dict))
            seen += len(rows)
            total = str(page.get("totalRequests", ""))
            if not total.isdigit() or (not rows and seen < int(total)):
                raise self._not_understood("requests")
            if seen >= int(total):
                return

    def request_page(self, rid: str) -> dict[str, str]:
        """The facts on a request's page by their labels, and the job's number as ``jid``."""
        text = self._page("v4request-view.php", {"rid": rid})
        return parse_request_page(text)

    def prepare_zip(self, jid: str) -> Prepared:
        """Have the image engine make a job's zip and wait for it, for a bounded time.

        Raises
        ------
        BrokenFile : the site has no images for this job
        SourceUnreachable : it was not ready in time
        """
        made = self._engine("0-create-dlzip", {"jid": jid}, jid)
        engine_id = str(made["data"].get("ieID", ""))
        give_up = time.monotonic() + ENGINE_LIMIT_S
        pause_s = _FIRST_PAUSE_S
        while True:
            state = self._engine("0-is-job-ready", {"ieid": engine_id}, jid)
            if state.get("status") == "READY":
                sizes = (str(state["data"].get(key, "")) for key in ("fitssize", "fitsbzsize"))
                return Prepared(engine_id, tuple(int(size) for size in sizes if size.isdigit()))
            if time.monotonic() > give_up:
                raise SourceUnreachable(
                    f"{self.where}: the image engine has not made job {jid} ready within "
                    f"{ENGINE_LIMIT_S:.0f} s: the next look tries again"
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    @contextmanager
    def image(self, jid: str, prepared: Prepared) -> Iterator[httpx.Response]:
        """The stream of a prepared file."""
        query = {"jid": jid, "ieid": prepared.engine_id}
        with self._web.stream("GET", "v3image-download.php", query=query) as response:
            yield response

    def log_in_again(self) -> None:
        """After an answer that is the log-in page."""
        self._post_login()

    def _post_login(self) -> None:
        form = {
            "action": "login",
            "username": self._user,
            "password": self._password,
            "stayloggedin": "true",
        }
        self._web.post("login.php", form)

    def _call(self, module: str, request: str, parameters: Mapping[str, object]) -> str:
        form = {"module": module, "request": request, "params": json.dumps(parameters)}
        return self._web.post("api-user.php", form).text

    def _answer(
        self, module: str, request: str, parameters: Mapping[str, object]
    ) -> dict[str, Any]:
        answer = _json(self._call(module, request, parameters))
        if answer is None:
            self._post_login()
            answer = _json(self._call(module, request, parameters))
        if answer is None:
            raise self._refused()
        return answer

    def _listed(self, request: str, parameters: Mapping[str, object]) -> Any:
        answer = self._answer("request-manager", request, parameters)
        if str(answer.get("success")) != "1":
            raise ListingFailed(
                f"{self.where} does not list its requests ({answer.get('status')}): "
                "the next look tries again"
            )
        return answer.get("data")

    def _engine(self, request: str, parameters: Mapping[str, object], jid: str) -> dict[str, Any]:
        answer = self._answer("image-engine", request, parameters)
        if str(answer.get("success")) != "1" or not isinstance(answer.get("data"), dict):
            raise BrokenFile(
                f"{self.where} has no images of job {jid} ({answer.get('status')}): "
                "look at its page there"
            )
        return answer

    def _page(self, path: str, query: Mapping[str, str]) -> str:
        for _ in range(2):
            response = self._web.post(path, {}, query)
            if not is_login_page(response.text):
                return response.text
            self._post_login()
        raise self._refused()

    def _refused(self) -> LoginRefused:
        return LoginRefused(f"{self.where} refuses user {self._user!r}: {self._login_hint}")

    def _not_understood(self, what: str) -> ListingFailed:
        return ListingFailed(
            f"{self.where} answers with {what} that are not understood: has the site changed?"
        )


def is_login_page(text: str) -> bool:
    """Whether the site answered with its log-in form (with status 200, as it does)."""
    return "login.php" in text and "password" in text


def parse_request_page(text: str) -> dict[str, str]:
    """Label and value of each row of the page's table, and ``jid`` from its script."""
    page = BeautifulSoup(text, "html.parser")
    facts: dict[str, str] = {}
    for row in page.find_all("tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.find_all(["td", "th"])]
        if len(cells) >= 2:
            facts[cells[0].rstrip(":")] = cells[1]
    info = re.search(r"var\s+info\s*=\s*\{.*?\"jid\"\s*:\s*\"?(\d+)", text, re.DOTALL)
    jid = info[1] if info else re.sub(r"\D", "", facts.get("Job ID", ""))
    return {**facts, "jid": jid}


def parse_completion(text: str) -> datetime | None:
    """``18 November 2024 05:41:09 UTC``, whatever this machine's language."""
    match = re.fullmatch(r"\s*(\d{1,2}) (\w+) (\d{4}) (\d\d):(\d\d):(\d\d)(?: UTC)?\s*", text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[n]) for n in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match[2].lower()) + 1
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _json(text: str) -> dict[str, Any] | None:
    """The answer of a call; None when it is a page instead."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
