"""HTTPS with a cookie session, with `httpx`: one host, nothing outside of it.

What belongs here: the connection, redirects, waiting when asked to. What does not: what a site's
pages and calls mean (`telescope_org_api`).
"""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from astro_assets.errors import IdentityRefused, SourceUnreachable, TransferCut
from astro_assets.sources.tls import client_context, no_trust

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 30
MAX_WAIT_S = 60
"""The longest that a server's Retry-After is obeyed at once; a longer one is for the next look."""
_MAX_REDIRECTS = 5
_TRIES_WHEN_BUSY = 3
_BUSY = (429, 503)


class WebSession:
    """Requests to one host over HTTPS; cookies are kept while it is open.

    where : the source and the host, for errors
    """

    def __init__(self, name: str, host: str, port: int, ca_file: Path | None) -> None:
        self.where = f"{name}: {host}:{port}"
        self._host = host
        self._port = port
        self._ca_file = ca_file
        self._client = httpx.Client(
            base_url=f"https://{host}:{port}/",
            verify=client_context(ca_file, name),
            follow_redirects=False,
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            trust_env=False,
        )

    def close(self) -> None:
        self._client.close()

    def post(
        self, path: str, form: Mapping[str, str], query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """The whole answer to a form. A redirect is followed within the host only.

        Raises
        ------
        SourceUnreachable : no connection, or an answer that is none
        IdentityRefused : the certificate does not hold, or a redirect leads away
        """
        with self.stream("POST", path, form=form, query=query) as response:
            self._read(response)
            return response

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to be read. Raises as `post`."""
        request = self._client.build_request(method, path, data=form, params=query)
        response = self._sent(request)
        try:
            yield response
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise TransferCut(f"{self.where}/{path} broke off ({error})") from error
        except httpx.TimeoutException as error:
            raise SourceUnreachable(f"{self.where} does not answer in time") from error
        finally:
            response.close()

    def _read(self, response: httpx.Response) -> None:
        try:
            response.read()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _sent(self, request: httpx.Request) -> httpx.Response:
        for _ in range(_MAX_REDIRECTS):
            response = self._patiently(request)
            if not response.is_redirect:
                return response
            response.close()
            request = self._followed(response)
        raise SourceUnreachable(f"{self.where} redirects in a circle: look at it in a browser")

    def _followed(self, response: httpx.Response) -> httpx.Request:
        target = response.url.join(response.headers["location"])
        here = (self._host, self._port)
        if target.scheme != "https" or (target.host, target.port or 443) != here:
            away = urlsplit(str(target)).hostname or "elsewhere"
            raise IdentityRefused(
                f"{self.where} redirects to {target.scheme}://{away}: nothing was sent there; "
                "look at it in a browser"
            )
        return self._client.build_request("GET", target)

    def _patiently(self, request: httpx.Request) -> httpx.Response:
        """Send; when the server is busy and says for how long, wait that long."""
        for _ in range(_TRIES_WHEN_BUSY):
            try:
                response = self._client.send(request, stream=True)
            except httpx.TransportError as error:
                raise self._unreachable(error) from error
            if response.status_code not in _BUSY:
                break
            response.close()
            wait_s = _retry_after_s(response)
            if wait_s > MAX_WAIT_S:
                break
            time.sleep(wait_s)
        if response.status_code in _BUSY or response.status_code >= 500:
            response.close()
            raise SourceUnreachable(
                f"{self.where} is out of order (status {response.status_code}): "
                "the next look tries again"
            )
        return response

    def _unreachable(self, error: httpx.TransportError) -> IdentityRefused | SourceUnreachable:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return no_trust(self.where, cause.verify_message, self._ca_file)
            cause = cause.__cause__ or cause.__context__
        if isinstance(error, httpx.TimeoutException):
            return SourceUnreachable(f"{self.where} does not answer in time")
        return SourceUnreachable(
            f"{self.where} is not reached ({error}): check the host and the network"
        )


def _retry_after_s(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() else 1.0
