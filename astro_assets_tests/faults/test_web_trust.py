"""telescope.org: whom the client speaks to, and what it never says."""

import json
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from astro_assets.errors import IdentityRefused
from astro_assets_tests.faults.far import PASSWORD, TelescopeOrgFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.servers.certificates import identity
from astro_assets_tests.faults.servers.process import HOST
from astro_assets_tests.faults.test_web_transfer import DOWNLOAD
from astro_assets_tests.faults.web_proxy import Answer, Reply, WebProxy, status
from astro_assets_tests.sources.conftest import frame

WRONG = {
    "self-signed": {"self_signed": True},
    "expired": {"expired": True},
    "of another host": {"names": ("elsewhere.example",)},
}


@pytest.fixture
def web(far: TelescopeOrgFar, tmp_path: Path) -> Iterator[WebProxy]:
    far.put("1.fits", frame(1))
    with WebProxy(far.address[1], tmp_path / "web") as proxy:
        far.options |= proxy.options
        yield proxy


@cells(45, "H", "X, no password sent")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_certificate_that_does_not_hold(
    far: TelescopeOrgFar, cell: Cell, tmp_path: Path, wrong: str
) -> None:
    shown = identity(tmp_path / "wrong", **WRONG[wrong])  # type: ignore[arg-type]
    with WebProxy(far.address[1], tmp_path / "web", shown) as proxy:
        far.options |= proxy.options
        (error,) = far.fetch().failures
    assert isinstance(error, IdentityRefused)
    assert "no password was sent" in str(error)
    assert proxy.asked == []
    cell.saw(f"{wrong}: refused within the handshake, not a byte of HTTP")


@cells(45, "H", "X, no password sent")
def test_another_certificate_than_the_pinned_one(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell, tmp_path: Path
) -> None:
    far.options["certificate_sha256"] = identity(tmp_path / "other").sha256
    (error,) = far.fetch().failures
    assert isinstance(error, IdentityRefused)
    assert "it is not the pinned one" in str(error)
    assert web.asked == []
    cell.saw("a good certificate, but not the pinned one: refused, not a byte of HTTP")


@cells(45, "H", "by the pin alone")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_pinned_certificate_is_believed_whoever_signed_it(
    far: TelescopeOrgFar, cell: Cell, tmp_path: Path, wrong: str
) -> None:
    far.put("1.fits", frame(1))
    shown = identity(tmp_path / "wrong", **WRONG[wrong])  # type: ignore[arg-type]
    with WebProxy(far.address[1], tmp_path / "web", shown) as proxy:
        far.options |= proxy.options | {"certificate_sha256": shown.sha256}
        assert far.fetch().published == {far.path("1.fits"): frame(1)}
    cell.saw(f"{wrong}, and pinned: fetched")


@cells(45, "H", "a warning at each run")
def test_unchecked_is_told_each_time(
    far: TelescopeOrgFar, cell: Cell, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    far.put("1.fits", frame(1))
    shown = identity(tmp_path / "wrong", self_signed=True)
    with WebProxy(far.address[1], tmp_path / "web", shown) as proxy:
        far.options |= proxy.options | {"insecure_no_certificate_check": True}
        assert far.fetch().published == {far.path("1.fits"): frame(1)}
        first = caplog.text.count("insecure_no_certificate_check is set")
        far.look()
    assert caplog.text.count("insecure_no_certificate_check is set") > first > 0
    cell.saw("insecure_no_certificate_check: fetched, with a warning")


class Listener:
    """Notes whether anybody says anything to it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    self.heard.append(connection.recv(2**16))

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def elsewhere() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@cells(50, "H", "no cookie sent")
@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("path", [DOWNLOAD, "api-user.php", "login.php"])
def test_a_redirect_that_leads_away(
    far: TelescopeOrgFar, web: WebProxy, elsewhere: Listener, cell: Cell, scheme: str, path: str
) -> None:
    for place in (
        f"{scheme}://{HOST}:{elsewhere.port}/",
        f"{scheme}://localhost:{elsewhere.port}/",
    ):
        web.spoil(path, lambda _, place=place: [status(302, f"Location: {place}")], times=99)
        (error,) = far.fetch().failures
        assert isinstance(error, IdentityRefused)
        assert "nothing was sent there" in str(error)
        web.rules.clear()
    assert elsewhere.heard == []
    cell.saw(f"{path} to {scheme}: refused, nothing was sent there")


@cells(50, "H", "no cookie sent")
def test_a_redirect_to_http_on_the_same_host(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell
) -> None:
    web.spoil(DOWNLOAD, lambda _: [status(301, f"Location: http://{HOST}:{web.port}/")], times=99)
    (error,) = far.fetch().failures
    assert isinstance(error, IdentityRefused)
    cell.saw("to http on the same host and port: refused")


@cells(50, "H", "no cookie sent")
def test_a_frame_that_leads_away(
    far: TelescopeOrgFar, web: WebProxy, elsewhere: Listener, cell: Cell
) -> None:
    far.options["processed"] = True
    page = f'<iframe src="https://{HOST}:{elsewhere.port}/x.zip"></iframe>'.encode()
    web.spoil("imageengine-request.php", lambda _: [status(200, body=page)], times=99)
    (error,) = far.fetch().failures
    assert isinstance(error, IdentityRefused)
    assert "links to another host" in str(error)
    assert elsewhere.heard == []
    cell.saw("the iframe of a processed image leads away: refused, nothing was sent there")


@cells(50, "H", "within the host it is followed")
@pytest.mark.parametrize("code", [302, 307])
def test_a_redirect_within_the_host(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell, code: int
) -> None:
    web.spoil("login.php", lambda _: [status(code, "Location: /login.php?again=1")])
    outcome = far.fetch()
    if code == 307:
        assert outcome.published == {far.path("1.fits"): frame(1)}
        assert web.asked_for("login.php")[1].form["username"] == "anonymous"
    else:
        assert [asked.method for asked in web.asked_for("login.php")[:2]] == ["POST", "GET"]
    cell.saw(f"{code}: followed as {web.asked_for('login.php')[1].method}")


def echoing(answer: Answer) -> Reply:
    """Whatever goes wrong, the site says the password."""
    said = {"success": 0, "status": f"no such user {PASSWORD}", "data": PASSWORD}
    return [status(200, body=json.dumps(said).encode())]


@cells(51, "H", "0 hits anywhere")
@pytest.mark.parametrize("path", [DOWNLOAD, "api-user.php", "login.php", "v4request-view.php"])
def test_a_secret_that_is_echoed(
    far: TelescopeOrgFar,
    web: WebProxy,
    cell: Cell,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    replies = {
        "in an answer": echoing,
        "in an address": lambda _: [
            status(302, f"Location: https://{PASSWORD}.example/{PASSWORD}")
        ],
        "as a status": lambda _: [f"HTTP/1.1 999x {PASSWORD}\r\n\r\n".encode()],
        "as a page": lambda _: [status(500, body=PASSWORD.encode())],
    }
    for reply in replies.values():
        web.spoil(path, reply, times=99)
        outcome = far.fetch()
        told = [*map(repr, outcome.failures), *outcome.quarantined.values(), caplog.text]
        told += ["".join(traceback.format_exception(error)) for error in outcome.failures]
        assert [text for text in told if PASSWORD in text] == []
        web.rules.clear()
    written = [
        p for p in far.root.rglob("*") if p.is_file() and PASSWORD.encode() in p.read_bytes()
    ]
    assert written == []
    cell.saw(f"{path}: echoed {', '.join(replies)}: 0 hits in errors, logs and files")
