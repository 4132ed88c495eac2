"""HTTPS as telescope.org speaks it: a log-in with a cookie, the API, the image engine, pages.

All values in answers are strings, and whoever is not logged in gets the log-in page with status
200, as on the real site. What does not belong here: packing images (`telescope_org_engine`), what
a new request must be like (`telescope_org_requests`).
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from astro_assets.sim.servers import telescope_org_pages as pages
from astro_assets.sim.servers.background import LoopThread, loopback_socket
from astro_assets.sim.servers.certificates import Certificates
from astro_assets.sim.servers.requests import Requests
from astro_assets.sim.servers.telescope_org_engine import Answer, ImageEngine, refusal, success
from astro_assets.sim.servers.telescope_org_jobs import INBOX, Job, completion, job_zip, load_jobs
from astro_assets.sim.servers.telescope_org_requests import Refused, RequestConstructor

_COOKIE = "PHPSESSID"
_CONSTRUCTING = {
    ("request-constructor", "0-rb-clear"),
    ("request-constructor", "0-rb-set"),
    ("request-constructor", "0-rb-submit"),
    ("request-manager", "0-cancel-request"),
}
_LIMIT = 100
_SHUTDOWN_S = 2


class TelescopeOrgServer:
    """The site.

    folder : `jobs.json` and `<jid>/<filter>.fits`
    job_ready_after : how often the image engine says PROCESSING before READY
    zip_of : packs a job's zip
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        certificates: Certificates,
        job_ready_after: int = 1,
        zip_of: Callable[[Path, Job], bytes] = job_zip,
    ) -> None:
        self.requests = Requests()
        self.port = 0
        self._folder = folder
        self._credentials = (user, password)
        self._certificates = certificates
        self._sessions: set[str] = set()
        self._engine = ImageEngine(folder, ready_after=job_ready_after, zip_of=zip_of)
        self.constructor = RequestConstructor(folder, self.requests)
        self._thread: LoopThread | None = None

    def start(self) -> None:
        """Answer on loopback: on a free port the first time, on the same one afterwards."""
        self._thread = LoopThread("simulated telescope.org", self._serve)
        self._thread.start()

    def stop(self) -> None:
        """Drop every connection and free the port."""
        if self._thread is not None:
            self._thread.stop()
            self._thread = None

    def expire_sessions(self) -> None:
        """Log everybody out, as the site does now and then."""
        self._sessions.clear()

    async def _serve(self, started: asyncio.Event, stop: asyncio.Event) -> None:
        listening = loopback_socket(self.port)
        self.port = listening.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                self._application(),
                ssl_certfile=self._certificates.certificate_file,
                ssl_keyfile=self._certificates.key_file,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if not serving.done():
            started.set()
            await stop.wait()
            server.should_exit = True
        await serving

    def _application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/login.php", self._login, methods=["POST"]),
                Route("/logout.php", self._logout, methods=["POST"]),
                Route("/api-user.php", self._api, methods=["POST"]),
                Route("/v3image-download.php", self._download, methods=["GET"]),
                Route("/v4request-view.php", self._view, methods=["POST"]),
                Route("/request-constructor.php", self._construct, methods=["GET", "POST"]),
                Route("/imageengine-request.php", self._processed, methods=["GET"]),
                Route("/v3job-search-query.php", self._search, methods=["POST"]),
            ]
        )

    async def _login(self, request: Request) -> Response:
        form = await request.form()
        given = (str(form.get("username")), str(form.get("password")))
        accepted = form.get("action") == "login" and given == self._credentials
        self.requests.login(accepted=accepted)
        if not accepted:
            return HTMLResponse(pages.LOGIN)
        session = secrets.token_hex(16)
        self._sessions.add(session)
        answer = HTMLResponse(pages.WELCOME)
        answer.set_cookie(_COOKIE, session, secure=True, httponly=True, samesite="lax")
        return answer

    async def _logout(self, request: Request) -> Response:
        self._sessions.discard(request.cookies.get(_COOKIE, ""))
        answer = HTMLResponse(pages.LOGIN)
        answer.delete_cookie(_COOKIE)
        return answer

    def _logged_in(self, request: Request) -> bool:
        return request.cookies.get(_COOKIE, "") in self._sessions

    async def _api(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        form = await request.form()
        calls: dict[tuple[str, str], Callable[[dict[str, Any]], Answer]] = {
            ("request-manager", "1-get-list-own"): self._requests_page,
            ("request-manager", "0-get-my-folders"): self._folders,
            ("image-engine", "0-create-dlzip"): self._engine.create_zip,
            ("image-engine", "0-create-dl3d"): self._engine.create_cube,
            ("image-engine", "0-is-job-ready"): self._engine.is_ready,
        }
        visitor = request.cookies[_COOKIE]
        module, name = str(form.get("module")), str(form.get("request"))
        call = calls.get((module, name))
        if (module, name) in _CONSTRUCTING:
            call = partial(self.constructor.call, visitor, name)
        if call is None:
            return JSONResponse(refusal("Unknown request"))
        try:
            asked = json.loads(str(form.get("params") or "{}"))
        except json.JSONDecodeError:
            return JSONResponse(refusal("Invalid parameters"))
        if not isinstance(asked, dict):
            return JSONResponse(refusal("Invalid parameters"))
        # Packing takes a while; the other connections go on meanwhile.
        return JSONResponse(await asyncio.to_thread(call, asked))

    def _requests_page(self, asked: dict[str, Any]) -> Answer:
        self.requests.listing()
        folder = _number(asked.get("folderid"), INBOX)
        jobs = [job for job in load_jobs(self._folder) if job.get("folderid", INBOX) == folder]
        jobs.sort(key=_sorting(str(asked.get("sort") or "rid")), reverse=True)
        first = _number(asked.get("startAfterRow"), 0)
        count = min(_number(asked.get("limit"), _LIMIT), _LIMIT)
        rows = enumerate(jobs[first : first + count], start=first + 1)
        page = {
            "totalRequests": str(len(jobs)),
            "requests": [_request_row(job, row) for row, job in rows],
        }
        return success("OK", page)

    def _folders(self, _asked: dict[str, Any]) -> Answer:
        counts: dict[int, int] = {}
        for job in load_jobs(self._folder):
            folder = job.get("folderid", INBOX)
            counts[folder] = counts.get(folder, 0) + 1
        names = ("Inbox", "Favourites", "Archive", "Trash")
        folders = [
            {
                "id": str(number),
                "creationtime": "0",
                "name": name,
                "count": str(counts[number]) if number in counts else None,
            }
            for number, name in enumerate(names, start=INBOX)
        ]
        return success("OK", folders)

    async def _download(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        asked = request.query_params
        prepared = self._engine.prepared(asked.get("jid", ""), asked.get("ieid", ""))
        if prepared is None:
            return HTMLResponse(pages.NOTHING, status_code=HTTPStatus.NOT_FOUND)
        self.requests.download(prepared.name)
        return Response(
            prepared.content,
            media_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{prepared.name}"'},
        )

    async def _construct(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        visitor = request.cookies[_COOKIE]
        if request.query_params.get("action") == "new":
            return HTMLResponse(pages.form(self.constructor.new(visitor)))
        form = {key: str(value) for key, value in (await request.form()).items()}
        try:
            return HTMLResponse(pages.form(self.constructor.step(visitor, form)))
        except Refused as error:
            return HTMLResponse(pages.problem(str(error)))

    async def _processed(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        asked = request.query_params
        link = await asyncio.to_thread(
            self._engine.processed, asked.get("jid", ""), asked.get("type", "")
        )
        if link is None:
            return HTMLResponse(pages.NOTHING, status_code=HTTPStatus.NOT_FOUND)
        return HTMLResponse(pages.processed(link))

    async def _view(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        self.requests.page()
        asked = {**await request.form(), **request.query_params}
        jid, rid = str(asked.get("jid", "")), str(asked.get("rid", ""))
        jobs = load_jobs(self._folder)
        named = [job for job in jobs if str(job["jid"]) == jid or str(job["rid"]) == rid]
        if not named:
            return HTMLResponse(pages.NOTHING, status_code=HTTPStatus.NOT_FOUND)
        shared = [job for job in jobs if job["jid"] and job["jid"] == named[0]["jid"]]
        return HTMLResponse(pages.view(shared or named))

    async def _search(self, request: Request) -> Response:
        if not self._logged_in(request):
            return HTMLResponse(pages.LOGIN)
        form = await request.form()
        lists = {
            key: [str(value) for value in form.getlist(key)] for key in form if key.endswith("[]")
        }
        return HTMLResponse(pages.search(load_jobs(self._folder), form, lists))


def _request_row(job: Job, row: int) -> dict[str, str]:
    return {
        "id": str(job["rid"]),
        "seen": "0",
        "usercomments": job.get("usercomments", ""),
        "objecttype": job["objecttype"],
        "objectid": job["objectid"],
        "objectname": job["objectname"],
        "requesttime": str(job["requesttime"]),
        "status": str(job["status"]),
        "row": str(row),
    }


def _sorting(sort: str) -> Callable[[Job], tuple[str, int]]:
    """The newest request first by default; the site sorts downwards."""

    def key(job: Job) -> tuple[str, int]:
        finished = completion(job)
        by = {"object": job["objectname"], "completion": finished.isoformat() if finished else ""}
        return by.get(sort, ""), job["rid"]

    return key


def _number(value: object, default: int) -> int:
    text = str(value)
    return int(text) if text.isdigit() else default
