"""telescope.org's jobs as files: one zip for each completed job of one's own requests.

What belongs here: what a job is, and where it belongs. What does not: the site's calls
(`telescope_org_api`).
"""

import logging
import re
from collections.abc import Iterator
from datetime import date, timedelta
from types import TracebackType
from typing import Self

import httpx

from astro_assets.errors import BrokenFile, SourceUnreachable, TransferCut
from astro_assets.frame import FrameKind
from astro_assets.night import night_of
from astro_assets.settings import Secrets, TelescopeOrgSource
from astro_assets.sources.http import WebSession
from astro_assets.sources.identity import https_certificate
from astro_assets.sources.protocol import Kind, Placement, RemoteFile, Sink, Transport
from astro_assets.sources.telescope_org_api import (
    Prepared,
    TelescopeOrgApi,
    parse_completion,
)

log = logging.getLogger(__name__)

TIMEZONE = "Atlantic/Canary"
"""All its telescopes stand on Tenerife."""
_COMPLETE = "8"
_CHUNK = 2**18
_SINGLE_FILTER = re.compile(r"(?i)[a-z]|red|green|blue|ha|oiii|sii|clear|luminance")

_pages: dict[tuple[str, str, str], dict[str, str]] = {}
"""Pages of completed requests, which do not change any more, by host, user and request."""


class TelescopeOrgTransport:
    """Lists completed jobs and downloads them through the image engine."""

    def __init__(self, source: TelescopeOrgSource, secrets: Secrets) -> None:
        self._source = source
        self._user, self._password = source.credentials(secrets)
        self._web: WebSession | None = None
        self._api: TelescopeOrgApi | None = None

    def __enter__(self) -> Self:
        self._close()
        source = self._source
        self._web = WebSession(source.name, source.host, source.port, source.ca_file)
        hint = f"check the variables {source.user_env} and {source.password_env}"
        self._api = TelescopeOrgApi(self._web, self._user, self._password, hint)
        try:
            self._api.log_in()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def list(self) -> list[RemoteFile]:
        api = self._connected()
        files: dict[str, RemoteFile] = {}
        for rid in self._completed(api):
            file = as_file(self._facts(api, rid))
            if file is None:
                log.warning("%s: the page of request %s names no finished job", api.where, rid)
            else:
                # One job can serve several requests.
                files[file.path] = file
        return list(files.values())

    def download(self, file: RemoteFile, sink: Sink) -> None:
        api = self._connected()
        jid = file.path.removesuffix(".zip")
        prepared = api.prepare_zip(jid)
        if not self._streamed(api, jid, prepared, sink):
            # The session ran out between two calls, and a page came instead of the file.
            api.log_in_again()
            prepared = api.prepare_zip(jid)
            if not self._streamed(api, jid, prepared, sink):
                raise SourceUnreachable(
                    f"{api.where} sends a page instead of the images of job {jid}: "
                    "the next look tries again"
                )

    def _streamed(self, api: TelescopeOrgApi, jid: str, prepared: Prepared, sink: Sink) -> bool:
        """Pass the file on; False, with nothing passed on, when it is a page."""
        received = sink.begin("")
        with api.image(jid, prepared) as response:
            if response.status_code != httpx.codes.OK:
                raise BrokenFile(
                    f"{api.where} does not hand over job {jid} (status {response.status_code}): "
                    "look at its page there"
                )
            for chunk in response.iter_bytes(_CHUNK):
                if not received and chunk.lstrip()[:1] == b"<":
                    return False
                received += len(chunk)
                sink.write(chunk)
        if prepared.sizes and received not in prepared.sizes:
            raise TransferCut(
                f"{api.where}: job {jid} arrived with {received} bytes, "
                f"announced are {' or '.join(map(str, prepared.sizes))}"
            )
        return True

    def _completed(self, api: TelescopeOrgApi) -> Iterator[str]:
        for folder in api.folders():
            for request in api.requests(folder):
                if str(request.get("status")) == _COMPLETE:
                    yield str(request.get("id"))

    def _facts(self, api: TelescopeOrgApi, rid: str) -> dict[str, str]:
        key = (api.where, self._user, rid)
        if key not in _pages:
            page = api.request_page(rid)
            if as_file(page) is None:
                return page
            _pages[key] = page
        return _pages[key]

    def _connected(self) -> TelescopeOrgApi:
        if self._api is None:
            raise SourceUnreachable(f"{self._source.name} is not connected: connect first")
        return self._api

    def _close(self) -> None:
        web, self._web, self._api = self._web, None, None
        if web is not None:
            web.close()


def as_file(page: dict[str, str]) -> RemoteFile | None:
    """The job on a request's page as a file; None when it does not name a finished job."""
    completion = parse_completion(page.get("Completion Time", ""))
    if not page.get("jid") or completion is None:
        return None
    exposure = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s)\s*", page.get("Exposure Time", ""))
    facts = {"IMAGETYP": "Light Frame", "OBJECT": _object(page), **_pointing(page)}
    if exposure:
        exposure_s = float(exposure[1]) / (1000 if exposure[2] == "ms" else 1)
        facts["EXPTIME"] = f"{exposure_s:g}"
        facts["DATE-OBS"] = (
            (completion - timedelta(seconds=exposure_s)).replace(tzinfo=None).isoformat()
        )
    telescope = _telescope(page)
    facts |= {"TELESCOP": telescope, "INSTRUME": telescope}
    if _SINGLE_FILTER.fullmatch(page.get("Filter Type", "")):
        facts["FILTER"] = page["Filter Type"]
    return RemoteFile(
        path=f"{page['jid']}.zip",
        size_bytes=None,
        modified_utc=completion,
        facts=facts,
        complete=False,
    )


def _object(page: dict[str, str]) -> str:
    name = page.get("Object Name", "").strip()
    if name:
        return name
    catalogue = {"MESSIER": "M ", "NGC": "NGC ", "IC": "IC "}
    kind, number = page.get("Object Type", "").upper(), page.get("Object ID", "").strip()
    return f"{catalogue[kind]}{number}" if kind in catalogue and number else "unknown"


def _pointing(page: dict[str, str]) -> dict[str, str]:
    """``hh:mm:ss.ss ±dd:mm:ss.ss`` as OBJCTRA and OBJCTDEC, with blanks as is usual there."""
    match = re.fullmatch(
        r"\s*(\d+:\d+:\d+(?:\.\d+)?)\s+([-+]?\d+:\d+:\d+(?:\.\d+)?)\s*", page.get("Object ID", "")
    )
    if match is None:
        return {}
    return {"OBJCTRA": match[1].replace(":", " "), "OBJCTDEC": match[2].replace(":", " ")}


def _telescope(page: dict[str, str]) -> str:
    name = page.get("Telescope Name", "").strip()
    if name:
        return name
    labels = [label for label in page if label.startswith("Telescope") and page[label].strip()]
    return page[labels[0]].strip() if labels else "telescope.org"


def place(file: RemoteFile, timezone: str) -> Placement:
    """Place a job by its facts; its night is counted where its telescope stands."""
    del timezone
    moment = file.modified_utc
    return Placement(
        kind=FrameKind.LIGHT,
        night=night_of(moment, TIMEZONE) if moment else date(1970, 1, 1),
        target=file.facts.get("OBJECT", "unknown"),
        instrument=file.facts.get("TELESCOP", "telescope.org"),
    )


def connect(source: TelescopeOrgSource, secrets: Secrets) -> Transport:
    """HTTPS with a log-in."""
    return TelescopeOrgTransport(source, secrets)


TELESCOPE_ORG = Kind("telescope_org", connect, place, identity=https_certificate)
