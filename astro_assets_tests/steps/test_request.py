"""Observation requests, on the simulated site: sent once, refused before, followed to the end."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from astro_assets.errors import BrokenFile, NotReady, SourceUnreachable
from astro_assets.settings import TelescopeOrgSource
from astro_assets.sim.servers.telescope_org_jobs import load_jobs
from astro_assets.sources import telescope_org_submit
from astro_assets.sources.http import Page, WebSession
from astro_assets.sources.telescope_org_calls import Answer, Said, Site
from astro_assets.steps import request as steps_request
from astro_assets.steps.request import Outcome, request_images, telescope_org_source
from astro_assets.steps.request_targets import Row, Target
from astro_assets_tests.sources.conftest import Night, job
from astro_assets_tests.sources.conftest import night as _night
from astro_assets_tests.sources.test_telescope_org import write_jobs

night = _night

M31 = {"name": "M 31", "telescope": "galaxy", "filter": "BVR", "exposure_s": 120}


def rows(*targets: dict[str, Any]) -> list[Row]:
    return [Row(f"line {n}", Target(**target)) for n, target in enumerate(targets, start=2)]


def source(night: Night) -> TelescopeOrgSource:
    return telescope_org_source(night.settings, None)


def ask(night: Night, *targets: dict[str, Any], again: bool = False) -> list[Outcome]:
    return request_images(night.settings, source(night), rows(*targets), again=again)


def states(outcomes: list[Outcome]) -> list[str]:
    return [outcome.state for outcome in outcomes]


def submissions(night: Night) -> int:
    return night.observatory.requests["telescope_org"].submissions


def newest(night: Night) -> dict[str, Any]:
    return dict(load_jobs(night.served / "telescope_org")[-1])


def set_status(night: Night, rid: str, status: int) -> None:
    jobs = load_jobs(night.served / "telescope_org")
    for entry in jobs:
        if str(entry["rid"]) == rid:
            entry["status"] = status
    write_jobs(night, jobs)  # type: ignore[arg-type]


@pytest.fixture(params=["calls", "forms", "forms, since the calls are not understood"])
def way(request: pytest.FixtureRequest, night: Night, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the site can be asked."""
    if request.param == "forms":
        night.observatory.telescope_org.constructor.api = False
    elif request.param != "calls":
        post = WebSession.post

        def garbled(self: WebSession, path: str, form: Any, *more: Any, **named: Any) -> Page:
            if "0-rb" in form.get("request", ""):
                return Page(200, "<html>Moved</html>")
            return post(self, path, form, *more, **named)

        monkeypatch.setattr(WebSession, "post", garbled)
    return str(request.param)


def test_a_request_arrives_as_it_was_meant(night: Night, way: str) -> None:
    southern = {
        "ra": "05:35:17.3", "dec": "-05:23:28", "telescope": "COAST", "filter": "V",
        "exposure_s": 12.5, "comments": "my first, née 'M 42' & more",
    }  # fmt: skip
    outcomes = ask(night, M31, southern)
    assert states(outcomes) == ["submitted", "submitted"]
    assert submissions(night) == 2
    first, second = (dict(entry) for entry in load_jobs(night.served / "telescope_org")[-2:])
    assert [str(entry["rid"]) for entry in (first, second)] == [o.rid for o in outcomes]
    assert first["objectname"] == "M 31"
    assert first["objectid"] == "00:42:44.35 +41:16:08.60"
    assert (first["telescope"], first["exposure_ms"], first["filters"]) == (
        "galaxy", 120_000, ["B", "V", "R"],
    )  # fmt: skip
    assert second["objectname"] == "J053517-052328"
    assert second["objectid"] == "05:35:17.30 -05:23:28.00"
    assert (second["telescope"], second["exposure_ms"], second["filters"]) == (
        "coast", 12_500, ["V"],
    )  # fmt: skip
    assert second["usercomments"] == "my first, née 'M 42' & more"


def test_the_same_is_not_asked_for_twice(night: Night, way: str) -> None:
    (first,) = ask(night, M31)
    same_elsewhere = M31 | {"name": "", "ra": 10.6848, "dec": "+41.2691", "comments": "other"}
    again = ask(night, M31, M31, same_elsewhere, again=True)
    assert {outcome.rid for outcome in again} == {first.rid}
    assert states(again) == ["new", "new", "new"]
    assert submissions(night) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"filter": "V"}, {"telescope": "cluster"}, {"exposure_s": 60},
        {"ra": "00:43:44.35", "dec": "+41:16:08.6"},
    ],
)  # fmt: skip
def test_what_differs_is_another_request(night: Night, change: dict[str, Any]) -> None:
    assert states(ask(night, M31, M31 | change)) == ["submitted", "submitted"]


@pytest.mark.parametrize("objecttype", ["RADEC", "MESSIER", "by name"])
def test_an_open_request_that_somebody_else_sent_is_taken_over(
    night: Night, objecttype: str
) -> None:
    there = {
        "RADEC": {"objectid": "00:42:45.00 +41:16:20.00", "objectname": "Andromeda"},
        "MESSIER": {"objecttype": "MESSIER", "objectid": "31", "objectname": ""},
        "by name": {"objecttype": "OTHER", "objectid": "x", "objectname": "Messier 31"},
    }[objecttype]
    by_hand = job(None, 800000, 3) | there | {"telescope": "galaxy", "exposure_ms": 120_000}
    write_jobs(night, [by_hand])
    (outcome,) = ask(night, M31)
    assert (outcome.rid, outcome.state) == ("800000", "waiting")
    assert submissions(night) == 0
    assert states(ask(night, M31 | {"exposure_s": 60}))[0] == "submitted"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"exposure_s": 181}, "181 s cannot be exposed; more than 0 s and at most 180 s can"),
        ({"exposure_s": 0}, "0 s cannot be exposed"),
        ({"telescope": "hubble"}, "there is no telescope 'hubble'; there are constellation"),
        ({"telescope": "pirate"}, "pirate has no filter 'BVR'; it has Colour, Blue, Green, Red"),
        ({"telescope": "coast", "filter": "Red"}, "coast has no filter 'Red'; it has BVR, B, V, R"),
        ({"filter": "Colour"}, "only pirate has a filter 'Colour'; galaxy says 'BVR'"),
        ({"filter": ""}, "no filter is named; galaxy has BVR"),
        ({"name": "LMC", "ra": "05:23:34", "dec": "-69:45:22"}, "it never rises at Tenerife"),
        ({"name": "Planet 9"}, "'Planet 9' is not in NGC, IC or Messier: give ra and dec"),
        ({"name": ""}, "neither a name nor ra and dec"),
        ({"ra": "00:42:44"}, "only one of ra and dec"),
        ({"ra": "25:00:00", "dec": "+10:00:00"}, "is no place"),
        ({"ra": 361, "dec": 0}, "is no place"),
        ({"ra": "noon", "dec": "+10:00:00"}, "is no place"),
        ({"ra": 10, "dec": 91}, "is no place"),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_sent(
    night: Night, change: dict[str, Any], sentence: str
) -> None:
    (outcome,) = ask(night, M31 | change)
    assert outcome.state == "refused"
    assert sentence in outcome.sentence
    counts = night.observatory.requests["telescope_org"]
    assert (counts.logins, counts.listings, counts.submissions) == (0, 0, 0)
    assert states(ask(night, M31 | change, M31)) == ["refused", "submitted"], "others go on"


def test_what_rises_barely_is_left_to_the_site(night: Night) -> None:
    """The site says 25 by itself, and that is final."""
    (outcome,) = ask(night, M31 | {"name": "far south", "ra": 10.0, "dec": -61.6})
    assert outcome.state == "submitted"
    assert newest(night)["status"] == 1
    set_status(night, outcome.rid, 25)
    (outcome,) = ask(night)
    assert outcome.state == "never rises"
    assert "is over without an image: never rises" in outcome.sentence


def test_the_site_s_own_refusal_is_told(night: Night) -> None:
    (outcome, other) = ask(night, M31 | {"filter": "Infrared"}, M31)
    assert outcome.state == "refused"
    assert "does not take the request (it says: Invalid filter)" in outcome.sentence
    assert other.state == "submitted"
    assert "Infrared" not in night.store.requests("telescope_org").read_text()


def test_a_request_is_followed_to_its_end(night: Night) -> None:
    (outcome,) = ask(night, M31)
    for status, state in ((3, "waiting"), (4, "in progress"), (8, "complete")):
        set_status(night, outcome.rid, status)
        (followed,) = ask(night)
        assert (followed.state, followed.sentence, followed.rid) == (state, "", outcome.rid)
    assert states(ask(night, M31)) == ["complete"], "a table that is read again asks for nothing"
    assert submissions(night) == 1
    assert states(ask(night, M31, again=True)) == ["submitted"]
    assert submissions(night) == 2


@pytest.mark.parametrize("status", range(20, 27))
def test_every_end_without_an_image_is_told_with_its_reason(night: Night, status: int) -> None:
    (outcome,) = ask(night, M31)
    set_status(night, outcome.rid, status)
    (followed,) = ask(night, M31)
    assert "is over without an image: " in followed.sentence
    assert submissions(night) == 1
    assert states(ask(night, M31, again=True)) == ["submitted"]


def killed(night: Night, point: str) -> None:
    """In a process of its own: ask, and die at ``point``."""

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    submit = telescope_org_submit.submit
    if point == "before it is sent":
        steps_request.submit = die  # type: ignore[assignment]
    else:

        def send_and_die(*args: Any) -> str:
            submit(*args)
            die()
            return ""

        steps_request.submit = send_and_die
    ask(night, M31)


@pytest.mark.parametrize(("point", "sent"), [("before it is sent", 0), ("after it is sent", 1)])
def test_a_crash_between_sending_and_noting_sends_nothing_twice(
    night: Night, point: str, sent: int
) -> None:
    process = multiprocessing.get_context("fork").Process(target=killed, args=(night, point))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert submissions(night) == sent
    noted = json.loads(night.store.requests("telescope_org").read_text())
    assert [entry["rid"] for entry in noted] == [""]
    (outcome,) = ask(night, M31)
    assert submissions(night) == 1
    assert outcome.rid == str(newest(night)["rid"])
    # Also when the observation was over before anybody looked.
    set_status(night, outcome.rid, 8)
    assert states(ask(night, M31)) == ["complete"]


def test_a_crash_and_an_end_before_the_next_look(night: Night) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=killed, args=(night, "after it is sent")
    )
    process.start()
    process.join()
    set_status(night, str(newest(night)["rid"]), 8)
    assert states(ask(night, M31)) == ["complete"]
    assert submissions(night) == 1


def ask_slowly(night: Night) -> None:
    """In a process of its own: between looking and sending there is time for others."""
    submit = telescope_org_submit.submit

    def late(*args: Any) -> str:
        time.sleep(1)
        return submit(*args)

    steps_request.submit = late
    ask(night, M31)


def test_two_processes_at_once_send_it_once(night: Night) -> None:
    forked = multiprocessing.get_context("fork")
    processes = [forked.Process(target=ask_slowly, args=(night,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert submissions(night) == 1


def lost_answer(monkeypatch: pytest.MonkeyPatch, word: str, *, sent: bool) -> None:
    """The connection dies when the site is told to submit: before, or after it has done so."""
    post = WebSession.post

    def dying(self: WebSession, path: str, form: Any, *more: Any, **named: Any) -> Page:
        if word in (form.get("request"), form.get("action")):
            assert named.get("once") is True, "never sent again by itself"
            if sent:
                post(self, path, form, *more, **named)
            raise SourceUnreachable("the line is dead")
        return post(self, path, form, *more, **named)

    monkeypatch.setattr(WebSession, "post", dying)


@pytest.mark.parametrize("word", ["0-rb-submit", "main-submit"])
@pytest.mark.parametrize("sent", [True, False])
def test_an_answer_that_is_lost(
    night: Night, monkeypatch: pytest.MonkeyPatch, word: str, sent: bool
) -> None:
    night.observatory.telescope_org.constructor.api = word == "0-rb-submit"
    with monkeypatch.context() as patched:
        lost_answer(patched, word, sent=sent)
        if sent:
            (outcome,) = ask(night, M31)
            assert outcome.rid == str(newest(night)["rid"])
        else:
            with pytest.raises(SourceUnreachable, match="the line is dead"):
                ask(night, M31)
    ask(night, M31)
    assert submissions(night) == 1


def test_a_yes_that_leaves_no_trace_is_not_repeated_at_once(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Site.call_once

    def yes(self: Site, module: str, request: str, parameters: Any) -> Answer:
        if request == "0-rb-submit":
            return Answer(Said.YES, "OK", {})
        return call(self, module, request, parameters)

    with monkeypatch.context() as patched:
        patched.setattr(Site, "call_once", yes)
        with pytest.raises(NotReady, match="has taken the request for M 31 and does not list it"):
            ask(night, M31)
    assert states(ask(night, M31)) == ["submitted"]
    assert submissions(night) == 1


@pytest.mark.parametrize("word", ["0-rb-set", "0-rb-submit", "part2-save", "main-submit"])
def test_a_session_that_runs_out_in_the_middle_starts_over(
    night: Night, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    night.observatory.telescope_org.constructor.api = word.startswith("0-rb")
    post, seen = WebSession.post, []

    def expiring(self: WebSession, path: str, form: Any, *more: Any, **named: Any) -> Page:
        if word in (form.get("request"), form.get("action")):
            if not seen:
                night.observatory.telescope_org.expire_sessions()
            seen.append(word)
        return post(self, path, form, *more, **named)

    monkeypatch.setattr(WebSession, "post", expiring)
    assert states(ask(night, M31)) == ["submitted"]
    assert len(seen) == 2
    assert submissions(night) == 1


def test_a_damaged_record_is_told_and_sends_nothing(night: Night) -> None:
    file = night.store.requests("telescope_org")
    for content in ("{", '[{"rid": "1"}]', '[{"request": {"name": "x"}, "asked_utc": ""}]'):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        with pytest.raises(BrokenFile, match=r"is damaged .* move it away"):
            ask(night, M31)
    assert submissions(night) == 0


def test_nothing_to_ask_and_nothing_to_follow_does_not_log_in(night: Night) -> None:
    assert ask(night) == []
    assert night.observatory.requests["telescope_org"].logins == 0


def test_names_are_asked_for_online_only_when_that_is_allowed(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    from astropy.coordinates import SkyCoord

    asked: list[str] = []

    def from_name(name: str) -> SkyCoord:
        asked.append(name)
        return SkyCoord(10, 20, unit="deg")

    monkeypatch.setattr(SkyCoord, "from_name", staticmethod(from_name))
    assert states(ask(night, M31 | {"name": "HD 1"})) == ["refused"]
    assert asked == []
    text = night.file.read_text()
    kind = 'kind = "telescope_org"\n'
    night.file.write_text(text.replace(kind, f"{kind}resolve_names_online = true\n"))
    allowed = night.with_more_settings("")
    assert states(ask(allowed, M31 | {"name": "HD 1"}, M31)) == ["submitted", "submitted"]
    assert asked == ["HD 1"], "catalogues that are here come first"


def test_the_record_is_readable(night: Night) -> None:
    (outcome,) = ask(night, M31)
    (noted,) = json.loads(Path(night.store.requests("telescope_org")).read_text())
    assert noted["rid"] == outcome.rid
    assert noted["request"]["name"] == "M 31"
