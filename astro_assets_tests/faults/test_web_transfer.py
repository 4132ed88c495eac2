"""telescope.org: downloads that break, swell, are pages, are not ready, or are gone."""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from astro_assets.errors import NotReady, TransferCut
from astro_assets.sources import fetch, http, telescope_org_engine
from astro_assets_tests.faults.far import TelescopeOrgFar
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.faults.web_proxy import Answer, Reply, WebProxy, cut_at, status
from astro_assets_tests.sources.conftest import frame, job, put

DOWNLOAD = "v3image-download.php"
IS_READY = "api-user.php"


@pytest.fixture
def web(far: TelescopeOrgFar, tmp_path: Path) -> Iterator[WebProxy]:
    """A proxy that the settings lead to, before a job with one frame."""
    far.put("1.fits", frame(1))
    with WebProxy(far.address[1], tmp_path / "web") as proxy:
        far.options |= proxy.options
        yield proxy


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_TIMEOUT_S", 0.6)
    monkeypatch.setattr(fetch, "wait_exponential", lambda **_: lambda _: 0)


def published(far: TelescopeOrgFar) -> bool:
    outcome = far.fetch()
    return outcome.published == {far.path("1.fits"): frame(1)} and not outcome.failures


@cells(3, "H", "R")
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_reset(far: TelescopeOrgFar, web: WebProxy, cell: Cell, share: float) -> None:
    web.spoil(DOWNLOAD, cut_at(share, "reset"))
    assert published(far)
    assert len(web.asked_for(DOWNLOAD)) == 2
    cell.saw(f"reset at {share:.0%}, asked again, exact bytes")


@cells(4, "H", "time-out <= 60 s, R")
@pytest.mark.parametrize("path", [DOWNLOAD, "login.php", "v4request-view.php"])
def test_silence(far: TelescopeOrgFar, web: WebProxy, cell: Cell, path: str) -> None:
    web.spoil(path, cut_at(0.5, "stall"))
    if path != DOWNLOAD:
        assert "in time" in str(far.fetch().failures[0]), "a look is tried again by its sensor"
    assert published(far)
    cell.saw(f"{path}: the time-out (30 s, shortened here), asked again, exact bytes")


def test_the_time_out_is_no_longer_than_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert http.READ_TIMEOUT_S <= 60
    assert http.CONNECT_TIMEOUT_S <= 60


@cells(7, "H", "Q")
def test_more_bytes_than_announced(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    def swollen(answer: Answer) -> Reply:
        body = answer.body + b"more"
        return [answer.with_headers(f"Content-Length: {len(body)}"), body]

    web.spoil(DOWNLOAD, swollen, times=99)
    outcome = far.fetch()
    assert outcome.published == {}
    assert "announced are" in outcome.quarantined[far.job]
    assert far.kept()[0].endswith(b"more")
    cell.saw(f"quarantined: {outcome.quarantined[far.job]}")


@cells(8, "H", "R")
def test_fewer_bytes_than_their_length_says(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell
) -> None:
    web.spoil(DOWNLOAD, lambda answer: [answer.whole[:-1]])
    assert published(far)
    cell.saw("the body is one byte short: asked again, exact bytes")


@cells(8, "H", "R")
def test_a_length_that_is_short_itself(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    """Nothing of HTTP is wrong with it; only the image engine knows better."""

    def short(answer: Answer) -> Reply:
        body = answer.body[:-1]
        return [answer.with_headers(f"Content-Length: {len(body)}"), body]

    web.spoil(DOWNLOAD, short)
    assert published(far)
    assert len(web.asked_for(DOWNLOAD)) == 2
    cell.saw("Content-Length one less than fitssize: asked again, exact bytes")


@cells(8, "H", "never taken for whole")
def test_a_length_that_stays_short(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    def short(answer: Answer) -> Reply:
        body = answer.body[:-1]
        return [answer.with_headers(f"Content-Length: {len(body)}"), body]

    web.spoil(DOWNLOAD, short, times=99)
    outcome = far.fetch()
    assert outcome.published == {}
    assert isinstance(outcome.failures[0], TransferCut)
    web.rules.clear()
    assert published(far)
    cell.saw(f"left for later: {outcome.failures[0]}")


def flipped_elsewhere_each_time() -> Callable[[Answer], Reply]:
    """What a bad line does, unlike a file that is broken where it lies."""
    places = itertools.count(2900)

    def flip(answer: Answer) -> Reply:
        body = bytearray(answer.body)
        body[next(places)] ^= 0x10
        return [answer.with_headers(f"Content-Length: {len(body)}"), bytes(body)]

    return flip


@cells(32, "H", "R")
def test_two_downloads_damaged_on_the_way(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    web.spoil(DOWNLOAD, flipped_elsewhere_each_time(), times=2)
    assert published(far)
    assert len(web.asked_for(DOWNLOAD)) == 3
    cell.saw("other bytes each time: asked again, exact bytes")


@cells(32, "H", "never set aside for good")
def test_every_download_damaged_on_the_way(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    """Set aside, it would never be asked for again: the listing does not show that all is well."""
    web.spoil(DOWNLOAD, flipped_elsewhere_each_time(), times=99)
    outcome = far.fetch()
    assert (outcome.published, outcome.quarantined) == ({}, {})
    assert isinstance(outcome.failures[0], TransferCut)
    web.rules.clear()
    assert published(far)
    cell.saw(f"left for later: {outcome.failures[0]}")


def chunked(body: bytes, *, ended: bool) -> bytes:
    half = len(body) // 2
    sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]))
    return sent + b"0\r\n\r\n" if ended else sent[:-100]


@cells(8, "H", "R")
def test_a_cut_chunk(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    def cut(answer: Answer) -> Reply:
        return [
            answer.with_headers("Transfer-Encoding: chunked"),
            chunked(answer.body, ended=False),
        ]

    web.spoil(DOWNLOAD, cut)
    assert published(far)
    assert len(web.asked_for(DOWNLOAD)) == 2
    cell.saw("asked again, exact bytes")


def without_sizes(answer: Answer) -> Reply:
    """The image engine does not say how long its file is."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        return [answer.whole]
    if said.get("status") == "READY":
        said["data"] = {}
    body = json.dumps(said).encode()
    return [answer.with_headers(f"Content-Length: {len(body)}"), body]


@cells(8, "H", "proof by the archive or Q")
@pytest.mark.parametrize("missing", [0, 1, 30])
def test_no_length_at_all(far: TelescopeOrgFar, web: WebProxy, cell: Cell, missing: int) -> None:
    web.spoil(IS_READY, without_sizes, times=99)

    def endless(answer: Answer) -> Reply:
        return [answer.with_headers("Connection: close"), answer.body[: len(answer.body) - missing]]

    web.spoil(DOWNLOAD, endless, times=99)
    outcome = far.fetch()
    if missing:
        assert outcome.published == {}
        cell.saw(f"cut by {missing} bytes: quarantined: {outcome.quarantined[far.job]}")
    else:
        assert outcome.published == {far.path("1.fits"): frame(1)}
        cell.saw("whole: the zip's CRC proves it, published")


@cells(9, "H", "one new login, R")
def test_a_page_in_the_place_of_the_zip(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    (batch,) = far.look()
    before = len(web.asked_for("login.php"))
    page = b"  \n<!DOCTYPE html><html><form action='login.php'>password</form></html>"
    web.spoil(DOWNLOAD, lambda _: [status(200, body=page)])
    outcome = far.fetch_batches([batch])
    assert outcome.published == {far.path("1.fits"): frame(1)}
    # One for the connection of the fetch, one because of the page.
    assert len(web.asked_for("login.php")) == before + 2
    cell.saw("one new log-in, exact bytes")


@cells(9, "H", "bounded, never taken for a file")
def test_nothing_but_pages(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    web.spoil(DOWNLOAD, lambda _: [status(200, body=b"<html>Sorry</html>")], times=99)
    outcome = far.fetch()
    assert outcome.published == {}
    assert "sends a page instead of the images" in str(outcome.failures[0])
    assert len(web.asked_for(DOWNLOAD)) <= 6
    cell.saw(f"left for later: {outcome.failures[0]}")


@cells(10, "H", "bounded, D")
def test_an_engine_that_never_gets_ready(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telescope_org_engine, "ENGINE_LIMIT_S", 0.6)
    second = job(far.jid + 10**6, far.jid + 10**6)
    put(far.served / "jobs.json", json.dumps([job(far.jid, far.jid), second]))
    put(far.served / str(second["jid"]) / "2.fits", frame(2))
    refused: list[str] = []

    def stays_processing(answer: Answer) -> Reply:
        said = json.loads(answer.body)
        request, asked = answer.asked.call
        if request == "0-create-dlzip" and asked["jid"] == str(far.jid):
            refused.append(said["data"]["ieID"])
        if request == "0-is-job-ready" and asked["ieid"] in refused:
            said = {"success": 1, "status": "PROCESSING", "data": {}}
        body = json.dumps(said).encode()
        return [answer.with_headers(f"Content-Length: {len(body)}"), body]

    web.spoil(IS_READY, stays_processing, times=10**6)
    outcome = far.fetch()
    assert len(refused) == 1, "the job that is not ready is asked for once, not three times"
    assert list(outcome.published.values()) == [frame(2)], "the other job is not held up"
    assert outcome.quarantined == {}
    assert "not made job" in str(outcome.failures[0])
    web.rules.clear()
    assert sorted(far.fetch().published.values()) == sorted([frame(1), frame(2)])
    cell.saw(f"{outcome.failures[0]}; the other job landed; later it did too")


@cells(11, "H", "obeyed")
@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize("path", [DOWNLOAD, "login.php", "api-user.php"])
def test_patience_in_seconds(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell, code: int, path: str
) -> None:
    web.spoil(path, lambda _: [status(code, "Retry-After: 1")])
    assert published(far)
    first, second = web.asked_for(path)[:2]
    assert second.at - first.at >= 1
    cell.saw(f"{code} for {path}: asked again after {second.at - first.at:.1f} s, exact bytes")


@cells(11, "H", "obeyed")
def test_patience_until_a_moment(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=3)).replace(microsecond=0)
    web.spoil("login.php", lambda _: [status(503, f"Retry-After: {format_datetime(until, True)}")])
    assert published(far)
    assert datetime.now(UTC) >= until
    gaps = [later.at - sooner.at for sooner, later in pairwise(web.asked_for("login.php"))]
    cell.saw(f"asked again after the moment named, {gaps[0]:.1f} s later")


@cells(11, "H", "obeyed, also by later looks")
def test_more_patience_than_a_fetch_has(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    web.spoil(DOWNLOAD, lambda _: [status(429, "Retry-After: 3600")], times=99)
    outcome = far.fetch()
    assert len(web.asked_for(DOWNLOAD)) == 1, "asked once, and left alone"
    assert "asks to be left alone until" in str(outcome.failures[0])
    so_far = len(web.asked)
    with pytest.raises(NotReady):
        far.look()
    assert len(web.asked) == so_far
    cell.saw(f"{outcome.failures[0]}; nothing was sent since")


@cells(20, "H", "noted, the others land")
def test_a_job_that_is_gone(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    second = job(far.jid + 10**6, far.jid + 10**6)
    put(far.served / "jobs.json", json.dumps([job(far.jid, far.jid), second]))
    put(far.served / str(second["jid"]) / "2.fits", frame(2))
    batches = far.look()
    put(far.served / "jobs.json", json.dumps([second]))
    outcome = far.fetch_batches(batches)
    assert list(outcome.published.values()) == [frame(2)]
    assert "has no images of job" in outcome.quarantined[far.job]
    cell.saw(f"{outcome.quarantined[far.job]}; the other landed")


@cells(35, "H", "refused, bounded")
def test_a_bomb_in_the_content_encoding(far: TelescopeOrgFar, web: WebProxy, cell: Cell) -> None:
    """Three times gzip: some kilobytes that would be gigabytes."""
    import gzip

    bomb = gzip.compress(gzip.compress(gzip.compress(bytes(2**24))))

    def packed(answer: Answer) -> Reply:
        headers = ("Content-Encoding: gzip, gzip, gzip", f"Content-Length: {len(bomb)}")
        return [answer.with_headers(*headers), bomb]

    for path in (DOWNLOAD, "login.php"):
        web.spoil(path, packed, times=99)
        outcome = far.fetch()
        assert outcome.published == {}
        assert "packs its answer though it was asked not to" in str(outcome.failures[0])
        web.rules.clear()
    assert all(asked.headers["accept-encoding"] == "identity" for asked in web.asked)
    assert published(far)
    cell.saw("Content-Encoding refused; nothing was unpacked")


@cells(35, "H", "refused, bounded")
def test_a_page_without_end(
    far: TelescopeOrgFar, web: WebProxy, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_PAGE_BYTES", 10**5)

    def endless(answer: Answer) -> Reply:
        yield answer.with_headers("Connection: close")
        for _ in range(10**4):
            yield b"<p>" * 2**12

    web.spoil("api-user.php", endless, times=99)
    assert "sends a page without end" in str(far.fetch().failures[0])
    cell.saw("a page is read to 16 MB, no further")
