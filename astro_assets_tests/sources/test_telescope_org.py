"""telescope.org against the simulated site: everything that it offers, asked for sparingly."""

import bz2
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.errors import ListingFailed, NotReady, SourceUnreachable
from astro_assets.settings import Settings, load_settings
from astro_assets.sim.servers import telescope_org_engine as simulated_engine
from astro_assets.sim.servers.telescope_org_jobs import job_zip, load_jobs
from astro_assets.sources import telescope_org, telescope_org_engine, telescope_org_lists
from astro_assets.sources.batches import look
from astro_assets.sources.kinds import connect
from astro_assets.sources.telescope_org_calls import Site
from astro_assets.sources.telescope_org_memory import FILE_NAME
from astro_assets_tests.sources.conftest import NIGHT, Kept, Night, frame, job, put

SESSION = f"{NIGHT}_M45_Cluster"


def with_settings(night: Night, *lines: str) -> Night:
    """The same night; ``lines`` stand in telescope.org's table."""
    text = night.file.read_text()
    kind = 'kind = "telescope_org"\n'
    assert kind in text
    night.file.write_text(text.replace(kind, kind + "".join(f"{line}\n" for line in lines)))
    return replace(night, settings=load_settings(night.file))


def write_jobs(night: Night, jobs: list[dict[str, Any]]) -> None:
    put(night.served / "telescope_org/jobs.json", json.dumps(jobs))


def transport(settings: Settings) -> telescope_org.TelescopeOrgTransport:
    made = connect(settings.source("telescope_org"), settings.secrets)
    assert isinstance(made, telescope_org.TelescopeOrgTransport)
    return made


@pytest.fixture
def site(night: Night) -> Iterator[Site]:
    with Site(night.settings.source("telescope_org"), night.settings.secrets) as site:
        yield site


@pytest.mark.parametrize("number", [0, 1, 100, 101, 1849])
def test_every_page_of_requests(night: Night, site: Site, number: int) -> None:
    done = [job(1000 + n, 2000 + n) for n in range(min(number, 2))]
    write_jobs(night, done + [job(None, 3000 + n, 3) for n in range(number - len(done))])
    counts = night.observatory.requests["telescope_org"]
    before = counts.listings
    entries = telescope_org_lists.requests_in(site, "1")
    assert len({entry.rid for entry in entries}) == number
    assert counts.listings - before == max(1, -(-number // 100))
    (batches,) = [night.look("telescope_org")]
    files = [file.path for batch in batches for file in batch.files]
    assert sorted(files) == [f"{1000 + n}.zip" for n in range(min(number, 2))]


def test_requests_of_all_folders_but_the_trash(night: Night) -> None:
    write_jobs(night, [job(1000 + n, 2000 + n) | {"folderid": n} for n in (1, 2, 3, 4)])
    with transport(night.settings) as opened:
        assert sorted(file.path for file in opened.list()) == ["1001.zip", "1002.zip", "1003.zip"]


def test_a_list_that_moves_under_the_hand_is_asked_for_again(
    night: Night, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job(None, 3000 + n, 3) for n in range(150)]
    write_jobs(night, jobs)
    call, calls = Site.call, []

    def call_and_change(self: Site, module: str, request: str, asked: dict[str, Any]) -> Any:
        answer = call(self, module, request, asked)
        calls.append(asked)
        if len(calls) == 1:
            write_jobs(night, jobs[:-1])  # the newest, on the first page, is gone
        return answer

    monkeypatch.setattr(Site, "call", call_and_change)
    entries = telescope_org_lists.requests_in(site, "1")
    assert {entry.rid for entry in entries} == {str(3000 + n) for n in range(149)}
    assert len(calls) == 4


def test_a_list_that_never_adds_up_is_no_list(
    night: Night, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(night, [job(None, 3000 + n, 3) for n in range(150)])
    call = Site.call

    def always_the_first_page(self: Site, module: str, request: str, asked: dict[str, Any]) -> Any:
        return call(self, module, request, asked | {"startAfterRow": 0})

    monkeypatch.setattr(Site, "call", always_the_first_page)
    with pytest.raises(ListingFailed, match="lists 100 of 150 requests in folder 1"):
        telescope_org_lists.requests_in(site, "1")


def test_pages_are_read_once_and_for_all(night: Night) -> None:
    write_jobs(night, [job(1000 + n, 2000 + n) for n in range(120)] + [job(1000, 2500)])
    counts = night.observatory.requests["telescope_org"]
    first = night.look("telescope_org")
    # Job 1000 serves two requests: its page, which names both, is read once.
    assert counts.pages == 120
    assert night.look("telescope_org") == first
    assert counts.pages == 120
    kept = night.store.remembered("telescope_org") / FILE_NAME
    kept.write_text(kept.read_text()[:-100])
    assert night.look("telescope_org") == first, "what is damaged is asked for anew"
    assert counts.pages == 240
    write_jobs(night, [job(1000 + n, 2000 + n) for n in range(121)])
    assert sum(len(batch.files) for batch in night.look("telescope_org")) == 121
    assert counts.pages == 241


def test_another_site_s_pages_are_not_taken(night: Night) -> None:
    night.look("telescope_org")
    kept = night.store.remembered("telescope_org") / FILE_NAME
    content = json.loads(kept.read_text())
    content["site"] = "elsewhere:443"
    kept.write_text(json.dumps(content))
    before = night.observatory.requests["telescope_org"].pages
    night.look("telescope_org")
    assert night.observatory.requests["telescope_org"].pages > before


def test_a_look_that_fails_keeps_what_it_has_learnt(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(night, [job(1000 + n, 2000 + n) for n in range(10)])
    page, asked = telescope_org_lists.request_page, []

    def breaks_off(site: Site, rid: str) -> dict[str, str] | None:
        asked.append(rid)
        if len(asked) > 6:
            raise SourceUnreachable("the line is dead")
        return page(site, rid)

    with monkeypatch.context() as patched:
        patched.setattr(telescope_org_lists, "request_page", breaks_off)
        with pytest.raises(SourceUnreachable, match="the line is dead"):
            night.look("telescope_org")
    counts = night.observatory.requests["telescope_org"]
    assert counts.pages == 6
    assert sum(len(batch.files) for batch in night.look("telescope_org")) == 10
    assert counts.pages == 10


def test_a_long_list_is_learnt_in_several_looks(night: Night) -> None:
    write_jobs(night, [job(1000 + n, 2000 + n) for n in range(60)])
    source = night.settings.source("telescope_org")
    counts = night.observatory.requests["telescope_org"]
    with pytest.raises(NotReady, match="the next look goes on from there"):
        look(source, night.settings, 0.0)
    found = 0
    while not found:
        with suppress(NotReady):
            found = sum(len(batch.files) for batch in look(source, night.settings, 0.15))
    assert found == 60
    assert counts.pages == 60, "nothing was asked for twice"


def test_weeks_in_waiting_are_simply_not_there(night: Night) -> None:
    write_jobs(night, [job(None, 2000 + status, status) for status in (*range(1, 8), 9, 10)])
    assert night.look("telescope_org") == []


def test_the_cube_stays_as_it_came(night: Night) -> None:
    night = with_settings(night, 'form = "cube"')
    (manifest,) = night.fetch("telescope_org").values()
    (record,) = manifest.records
    assert [file.path for file in record.files] == ["423183.fits"]
    with fits.open(night.store.raw("telescope_org", SESSION) / "423183.fits") as cube:
        assert cube[0].header["FILTER"] == "B,V,R"
        assert cube[0].data.shape == (3, 40, 60)
    assert night.observatory.requests["telescope_org"].downloads == {"423183.fits": 1}


def test_a_cube_packed_by_bzip2_is_unpacked(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    cube, made = simulated_engine.job_cube, []

    def packed(folder: Path, entry: Any) -> bytes:
        made.append(cube(folder, entry))
        return bz2.compress(made[0])

    def sizes(of: Any) -> int:
        return len(made[0])

    monkeypatch.setattr(simulated_engine, "job_cube", packed)
    monkeypatch.setattr(simulated_engine, "_packed_size", sizes)
    night = with_settings(night, 'form = "cube"')
    with transport(night.settings) as opened:
        sink = Kept()
        opened.download(opened.list()[0], sink)
    assert bytes(sink) == made[0]


@pytest.mark.parametrize("form", ["zip", "cube"])
def test_processed_images(night: Night, form: str) -> None:
    night = with_settings(night, f'form = "{form}"', "processed = true")
    (manifest,) = night.fetch("telescope_org").values()
    ending = "zip" if form == "zip" else "fits"
    assert [record.path for record in manifest.records] == [f"423183-processed.{ending}"]
    assert night.observatory.requests["telescope_org"].downloads == {
        f"423183-processed.{ending}": 1
    }


def test_a_session_that_runs_out_while_a_processed_image_is_made(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = with_settings(night, "processed = true")
    requests = night.observatory.requests["telescope_org"]
    with transport(night.settings) as opened:
        (file,) = opened.list()
        before = requests.logins
        night.observatory.telescope_org.expire_sessions()
        sink = Kept()
        opened.download(file, sink)
    assert sink[:2] == b"PK"
    assert requests.logins == before + 1


def test_flats_are_calibration_sets_of_their_own(night: Night) -> None:
    night = with_settings(night, "flats = true")
    for colour in "BV":
        put(night.served / f"telescope_org/flats/31/{colour}.fits", frame(80, FILTER=colour))
    night.observatory.telescope_org.expire_sessions()
    manifests = night.fetch("telescope_org")
    assert sorted(manifests) == [SESSION, f"{NIGHT}_flat_Cluster_31"]
    flats = [f.file.path for f in manifests[f"{NIGHT}_flat_Cluster_31"].frames()]
    assert flats == ["flat-31/flat-31-B.fits", "flat-31/flat-31-V.fits"]
    assert night.observatory.requests["telescope_org"].downloads["flat-31.zip"] == 1


def test_a_flat_of_many_jobs_is_fetched_once(night: Night) -> None:
    night = with_settings(night, "flats = true")
    write_jobs(night, [job(1000 + n, 2000 + n) for n in (3, 1, 2)])
    with transport(night.settings) as opened:
        flats = [file for file in opened.list() if file.path.startswith("flat-")]
    assert [(file.path, file.facts["JOBID"]) for file in flats] == [("flat-31.zip", "1001")]


def completed(jid: int, rid: int, days_ago: float, **more: Any) -> dict[str, Any]:
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    return job(jid, rid) | {"completed_utc": moment.isoformat()} | more


def test_the_search_finds_jobs_of_others(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is one's own: the site lists these only in its search.
    monkeypatch.setattr(telescope_org_lists, "own_requests", lambda site: [])
    write_jobs(
        night,
        [
            completed(1, 2001, 1), completed(2, 2002, 5),
            completed(3, 2003, 1, telescope="galaxy"),
            completed(4, 2004, 1, filters=["Ha"]),
        ],
    )  # fmt: skip

    def found(*lines: str) -> list[str]:
        with transport(with_settings(night, *lines).settings) as opened:
            return sorted(file.path for file in opened.list())

    assert found() == []
    text = night.file.read_text()
    for lines, expected in (
        (["search_days = 7"], ["1.zip", "2.zip", "3.zip", "4.zip"]),
        (["search_days = 3"], ["1.zip", "3.zip", "4.zip"]),
        (["search_days = 3", 'search_telescope = "galaxy"'], ["3.zip"]),
        (["search_days = 7", 'search_filter = "Ha"'], ["4.zip"]),
    ):
        night.file.write_text(text)
        assert found(*lines) == expected


def test_a_search_with_too_much_is_told(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telescope_org_lists, "_SEARCH_ROWS", 3)
    write_jobs(night, [completed(n, 2000 + n, 1) for n in range(5)])
    night = with_settings(night, "search_days = 7")
    with pytest.raises(ListingFailed, match="make search_days smaller"):
        night.look("telescope_org")


def test_own_jobs_are_not_asked_for_again_when_the_search_finds_them(night: Night) -> None:
    write_jobs(night, [completed(1, 2001, 1), completed(2, 2002, 1)])
    with_search = with_settings(night, "search_days = 7")
    with_search.look("telescope_org")
    assert night.observatory.requests["telescope_org"].pages == 2


def test_an_expired_session_logs_in_once_more(night: Night) -> None:
    (batch,) = night.look("telescope_org")
    requests = night.observatory.requests["telescope_org"]
    with transport(night.settings) as opened:
        before = requests.logins
        night.observatory.telescope_org.expire_sessions()
        assert [file.path for file in opened.list()] == ["423183.zip"]
        night.observatory.telescope_org.expire_sessions()
        sink = Kept()
        opened.download(batch.files[0], sink)
    assert sink[:2] == b"PK"
    assert requests.logins == before + 2


def test_a_page_instead_of_the_zip_is_no_zip(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = night.look("telescope_org")
    prepare, asked = telescope_org_engine.prepare, []

    def prepare_and_expire(site: Site, want: Any) -> telescope_org_engine.Prepared:
        prepared = prepare(site, want)
        if not asked:
            night.observatory.telescope_org.expire_sessions()
        asked.append(want.jid)
        return prepared

    monkeypatch.setattr(telescope_org, "prepare", prepare_and_expire)
    sink = Kept()
    with transport(night.settings) as opened:
        opened.download(batch.files[0], sink)
    folder = night.served / "telescope_org"
    assert bytes(sink) == job_zip(folder, load_jobs(folder)[0])
    assert len(asked) == 2


@pytest.mark.parametrize("processed", [False, True])
def test_an_image_engine_that_is_never_ready(
    night: Night, monkeypatch: pytest.MonkeyPatch, processed: bool
) -> None:
    monkeypatch.setattr(telescope_org_engine, "ENGINE_LIMIT_S", 2.0)
    pauses: list[float] = []
    now = [0.0]

    def sleep(pause_s: float) -> None:
        pauses.append(pause_s)
        now[0] += pause_s

    monkeypatch.setattr(telescope_org_engine.time, "sleep", sleep)
    monkeypatch.setattr(telescope_org_engine.time, "monotonic", lambda: now[0])
    night.observatory.telescope_org._engine._ready_after = 10**6
    night = with_settings(night, f"processed = {str(processed).lower()}")
    with transport(night.settings) as opened:
        (file,) = opened.list()
        with pytest.raises(NotReady, match="not made job 423183 ready within 2 s"):
            opened.download(file, Kept())
    assert now[0] <= 2.0
    assert all(later == 2 * sooner for sooner, later in pairwise(pauses)), "less and less often"


def test_success_0_concerns_that_job_alone(night: Night) -> None:
    jobs = [job(423183, 771716), job(423184, 771717)]
    write_jobs(night, jobs)
    for number, colour in enumerate("BVR"):
        put(night.served / f"telescope_org/423184/{colour}.fits", frame(90 + number))
    for path in (night.served / "telescope_org/423183").iterdir():
        path.unlink()
    manifest = night.fetch("telescope_org")[SESSION]
    assert {frame.file.path[:6] for frame in manifest.frames()} == {"423184"}
    (noted,) = manifest.quarantined
    assert "has no images of job 423183 (No data)" in noted.reason


def test_the_pixels_of_zip_and_cube_are_the_same(night: Night) -> None:
    night.fetch("telescope_org")
    folder = night.store.raw("telescope_org", SESSION)
    planes = [fits.getdata(folder / f"423183/423183-{colour}.fits") for colour in "BVR"]
    with_settings(night, 'form = "cube"').fetch("telescope_org")
    assert np.array_equal(np.stack(planes), fits.getdata(folder / "423183.fits"))


def test_a_search_needs_days(night: Night) -> None:
    for line in ('search_filter = "BVR"', 'search_telescope = "galaxy"'):
        text = night.file.read_text()
        (problem,) = with_settings(night, line).settings.problems
        assert "search_days beside it" in str(problem)
        assert line.split(" ", 1)[0] in problem.key
        night.file.write_text(text)
