"""HTTPS with a cookie session, with `httpx`: one host, nothing outside of it.

What belongs here: the connection, redirects, waiting when asked to, bounds on what an answer may
take. What does not: what a site's pages and calls mean (`telescope_org_calls`).
"""

import codecs
import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from astro_assets.errors import IdentityRefused, NotReady, SourceUnreachable, TransferCut
from astro_assets.settings.sources import Trust
from astro_assets.sources.tls import client_context, no_trust

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
MAX_WAIT_S = 60.0
"""The longest that a server's Retry-After is waited for; a longer one is for another look."""
LONGEST_REST_S = 86400.0
MAX_PAGE_BYTES = 16 * 2**20
MAX_PAGE_S = 60.0
_MAX_REDIRECTS = 5
_TRIES_WHEN_BUSY = 3
_BUSY = (429, 503)
_SAME_METHOD = (307, 308)
_CHUNK = 2**18

for _library in ("httpx", "httpcore"):
    # They tell every header to whoever asks for details, cookies among them.
    logging.getLogger(_library).setLevel(logging.WARNING)

_resting: dict[str, float] = {}
"""By host: the moment (monotonic) until which it does not want to be asked. Of this process,
since each download may be a new session."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that was read to its end. ``status`` is HTTP's."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Body:
    """An answer whose bytes are still to be read."""

    status: int
    _response: httpx.Response

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come; the connection's faults are raised as `WebSession.body` says."""
        return self._response.iter_raw(_CHUNK)


class WebSession:
    """Requests to one host over HTTPS; cookies are kept while it is open.

    where : the source and the host, for errors
    """

    def __init__(self, name: str, host: str, port: int, trust: Trust) -> None:
        self.where = f"{name}: {host}:{port}"
        self._host = host
        self._port = port
        self._trust = trust
        self._client = httpx.Client(
            base_url=f"https://{host}:{port}/",
            verify=client_context(trust, name),
            follow_redirects=False,
            # What is packed could swell without bound; nothing here is worth packing.
            headers={"Accept-Encoding": "identity"},
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Page:
        """A page. Raises as `post`."""
        return self._page(self._client.build_request("GET", path, params=query))

    def post(
        self,
        path: str,
        form: Mapping[str, str | list[str]],
        query: Mapping[str, str] | None = None,
        *,
        once: bool = False,
    ) -> Page:
        """The answer to a form. A redirect is followed within the host only.

        once : do not send it again when the server is busy, since it may have been taken

        Raises
        ------
        SourceUnreachable : no connection, or an answer that is none
        NotReady : the server asks for more patience than `MAX_WAIT_S`
        IdentityRefused : the certificate does not hold, or a redirect leads away
        """
        request = self._client.build_request("POST", path, data=form, params=query)
        return self._page(request, tries=1 if once else _TRIES_WHEN_BUSY)

    @contextmanager
    def body(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[Body]:
        """A download. Raises as `post`, and `TransferCut` when it breaks off."""
        response = self._sent(self._client.build_request("GET", path, params=query))
        try:
            yield Body(response.status_code, response)
        except httpx.TransportError as error:
            raise self._broken_off(error) from _quotable(error)
        finally:
            response.close()

    def link(self, address: str) -> tuple[str, dict[str, str]]:
        """Path and query of a link on one of the site's pages.

        Raises
        ------
        IdentityRefused : it leads to another host, or away from HTTPS
        """
        target = httpx.URL(f"https://{self._host}:{self._port}/").join(address)
        self._refuse_elsewhere(target, "links")
        return target.path.lstrip("/"), dict(target.params)

    def _page(self, request: httpx.Request, tries: int = _TRIES_WHEN_BUSY) -> Page:
        response = self._sent(request, tries)
        content = bytearray()
        give_up = time.monotonic() + MAX_PAGE_S
        try:
            for chunk in response.iter_raw(_CHUNK):
                content += chunk
                if len(content) > MAX_PAGE_BYTES or time.monotonic() > give_up:
                    raise SourceUnreachable(
                        f"{self.where}{request.url.path} sends a page without end: "
                        "look at it in a browser"
                    )
        except httpx.TransportError as error:
            raise self._unreachable(error) from _quotable(error)
        finally:
            response.close()
        return Page(response.status_code, content.decode(_encoding(response), "replace"))

    def _sent(self, request: httpx.Request, tries: int = _TRIES_WHEN_BUSY) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS):
            response = self._patiently(request, tries)
            if not response.is_redirect:
                return self._plain(response)
            response.close()
            request = self._followed(request, response)
        raise SourceUnreachable(f"{self.where} redirects in a circle: look at it in a browser")

    def _plain(self, response: httpx.Response) -> httpx.Response:
        packing = response.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("", "identity"):
            response.close()
            raise SourceUnreachable(
                f"{self.where} packs its answer though it was asked not to: has the site changed?"
            )
        return response

    def _followed(self, request: httpx.Request, response: httpx.Response) -> httpx.Request:
        target = response.url.join(response.headers["location"])
        self._refuse_elsewhere(target, "redirects")
        if response.status_code in _SAME_METHOD:
            kind = request.headers.get("content-type", "")
            return self._client.build_request(
                request.method, target, content=request.content, headers={"content-type": kind}
            )
        return self._client.build_request("GET", target)

    def _refuse_elsewhere(self, target: httpx.URL, leads: str) -> None:
        here = (self._host.lower(), self._port)
        if target.scheme != "https" or (target.host, target.port or 443) != here:
            # Not whither: the address is the server's own text, and may echo anything.
            raise IdentityRefused(
                f"{self.where} {leads} to another host, or away from HTTPS: nothing was sent "
                "there; look at it in a browser"
            )

    def _patiently(self, request: httpx.Request, tries: int) -> httpx.Response:
        """Send; when the server is busy and says for how long, ask again no sooner."""
        for _ in range(tries):
            self._wait()
            try:
                response = self._client.send(request, stream=True)
            except httpx.TransportError as error:
                raise self._unreachable(error) from _quotable(error)
            if response.status_code not in _BUSY:
                break
            response.close()
            _resting[self.where] = time.monotonic() + _retry_after_s(response)
        if response.status_code >= 500 or response.status_code in _BUSY:
            response.close()
            raise SourceUnreachable(
                f"{self.where} is out of order (status {response.status_code}): "
                "the next look tries again"
            )
        return response

    def _wait(self) -> None:
        wait_s = _resting.get(self.where, 0.0) - time.monotonic()
        if wait_s > MAX_WAIT_S:
            until = datetime.now(UTC) + timedelta(seconds=wait_s)
            raise NotReady(
                f"{self.where} asks to be left alone until {until:%Y-%m-%d %H:%M} UTC: "
                "a look after that tries again"
            )
        if wait_s > 0:
            time.sleep(wait_s)

    def _unreachable(self, error: httpx.TransportError) -> IdentityRefused | SourceUnreachable:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return no_trust(self.where, cause, self._trust)
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TimeoutException):
            return SourceUnreachable(f"{self.where} does not answer in time")
        if isinstance(error, httpx.RemoteProtocolError):
            return SourceUnreachable(
                f"{self.where} broke off its answer: the next look tries again"
            )
        return SourceUnreachable(
            f"{self.where} is not reached ({error}): check the host and the network"
        )

    def _broken_off(self, error: httpx.TransportError) -> TransferCut | SourceUnreachable:
        if isinstance(error, httpx.TimeoutException):
            return SourceUnreachable(f"{self.where} does not go on in time")
        return TransferCut(f"{self.where} broke off in the middle of a file")


def _quotable(error: httpx.TransportError) -> httpx.TransportError | None:
    """The error as a cause to show, unless its text quotes what the server sent."""
    return None if isinstance(error, httpx.RemoteProtocolError) else error


def _encoding(response: httpx.Response) -> str:
    try:
        return codecs.lookup(response.charset_encoding or "utf-8").name
    except LookupError:
        return "utf-8"


def _retry_after_s(response: httpx.Response) -> float:
    """Seconds from a Retry-After in seconds or as a date; 1 where there is none."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return min(float(text), LONGEST_REST_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 1.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_REST_S)
