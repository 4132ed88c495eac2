"""telescope.org: its finished jobs, listed and downloaded.

What belongs here: the transport. What does not: calls (`telescope_org_calls`), lists and pages
(`telescope_org_lists`), what a job is as a file (`telescope_org_jobs`), the image engine
(`telescope_org_engine`), new requests (`telescope_org_submit`).
"""

import itertools
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from astro_assets.errors import BrokenFile, NotReady, SourceUnreachable
from astro_assets.settings import Secrets, TelescopeOrgSource
from astro_assets.sources import telescope_org_lists as lists
from astro_assets.sources.identity import https_certificate
from astro_assets.sources.protocol import Kind, RemoteFile, Sink, Transport
from astro_assets.sources.telescope_org_body import is_packed, is_page, measured, unpacked
from astro_assets.sources.telescope_org_calls import Site
from astro_assets.sources.telescope_org_engine import Prepared, prepare
from astro_assets.sources.telescope_org_jobs import flat_file, job_file, place, wanted
from astro_assets.sources.telescope_org_memory import Pages
from astro_assets.sources.telescope_org_pages import served_requests

log = logging.getLogger(__name__)

_OK = 200


class TelescopeOrgTransport:
    """Lists completed jobs and downloads them through the image engine."""

    def __init__(self, source: TelescopeOrgSource, secrets: Secrets) -> None:
        self._source = source
        self._site = Site(source, secrets)
        self._folder: Path | None = None
        self._within_s = math.inf
        self._give_up = math.inf

    def remember_in(self, folder: Path) -> None:
        self._folder = folder

    def hurry(self, within_s: float) -> None:
        self._within_s = within_s

    def __enter__(self) -> Self:
        self._site.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._site.close()

    def list(self) -> list[RemoteFile]:
        pages = Pages(self._folder, f"{self._source.host}:{self._source.port}")
        self._give_up = time.monotonic() + self._within_s
        try:
            return list(self._files(pages))
        finally:
            pages.save()

    def _files(self, pages: Pages) -> Iterator[RemoteFile]:
        files: dict[str, RemoteFile] = {}
        for page in self._finished(pages):
            file = job_file(page, self._source.form, processed=self._source.processed)
            if file is None:
                continue
            # One job can serve several requests.
            files[file.path] = file
            flat = flat_file(page) if self._source.flats else None
            if flat is not None:
                # One flat can belong to many jobs; it is had through the first of them.
                files[flat.path] = min(files.get(flat.path, flat), flat, key=_age)
        yield from files.values()

    def _finished(self, pages: Pages) -> Iterator[dict[str, str]]:
        """The page of each finished job, of own requests and of the search."""
        jobs = set()
        for entry in lists.own_requests(self._site):
            if entry.status != lists.COMPLETE:
                continue
            page = self._page(pages, f"R{entry.rid}")
            if page is None:
                log.warning(
                    "%s: the page of request %s names no finished job", self._site.where, entry.rid
                )
                continue
            jobs.add(page["jid"])
            yield page
        for jid in _searched(self._site, self._source):
            page = None if jid in jobs else self._page(pages, f"J{jid}")
            if page is not None:
                yield page

    def _page(self, pages: Pages, key: str) -> dict[str, str] | None:
        """The page of a finished job, asked for only once; None when it names none."""
        known = pages.get(key)
        if known is not None:
            return known
        ask = lists.request_page if key.startswith("R") else lists.job_page
        page = ask(self._site, key[1:])
        if page is None or job_file(page, "zip", processed=False) is None:
            return None
        # The other requests of that job have the same page.
        for same in {key, *(f"R{rid}" for rid in served_requests(page))}:
            pages.put(same, page)
        if time.monotonic() > self._give_up:
            # Not before: each look gets at least one page further.
            raise NotReady(
                f"{self._site.where}: the pages of {len(pages)} finished requests are read, more "
                "are to come: the next look goes on from there"
            )
        return page

    def download(self, file: RemoteFile, sink: Sink) -> None:
        want = wanted(file)
        if not self._streamed(file, prepare(self._site, want), sink):
            # The session ran out between two calls, and a page came instead of the file.
            self._site.log_in()
            if not self._streamed(file, prepare(self._site, want), sink):
                raise SourceUnreachable(
                    f"{self._site.where} sends a page instead of the images of job {want.jid}: "
                    "the next look tries again"
                )

    def _streamed(self, file: RemoteFile, prepared: Prepared, sink: Sink) -> bool:
        """Pass the file on; False, with nothing passed on, when it is a page."""
        sink.begin("")
        what = f"{self._site.where}: {file.path}"
        with self._site.web.body(prepared.path, prepared.query) as body:
            if body.status != _OK:
                raise BrokenFile(
                    f"{what} is not handed over (status {body.status}): look at its page there"
                )
            chunks = measured(body.chunks(), prepared.sizes, what)
            start = next(chunks, b"")
            if is_page(start):
                return False
            chunks = itertools.chain([start], chunks)
            if is_packed(start):
                chunks = unpacked(chunks, prepared.sizes, what)
            for chunk in chunks:
                sink.write(chunk)
        return True


def _searched(site: Site, source: TelescopeOrgSource) -> list[str]:
    """The jobs that the settings search for."""
    if source.search_days is None:
        return []
    return lists.searched_jobs(
        site, source.search_days, source.search_filter or "", source.search_telescope or ""
    )


def _age(file: RemoteFile) -> tuple[str, str]:
    return str(file.modified_utc), file.facts["JOBID"]


def connect(source: TelescopeOrgSource, secrets: Secrets) -> Transport:
    """HTTPS with a log-in."""
    return TelescopeOrgTransport(source, secrets)


TELESCOPE_ORG = Kind("telescope_org", connect, place, identity=https_certificate)
