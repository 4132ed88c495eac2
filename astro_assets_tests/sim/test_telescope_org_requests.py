"""The simulated telescope.org takes requests as strictly as the real site."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.servers.telescope_org_jobs import load_jobs
from astro_assets_tests.sim.clients import api, site

GOOD = {
    "telescopeid": 2,
    "telescopetype": 2,
    "exposuretime": 120_000,
    "filtertype": "BVR",
    "objecttype": "RADEC",
    "objectname": "M 31",
    "objectid": "00:42:44.30 +41:16:09.00",
    "usercomments": "by a test",
}
PAGES: tuple[dict[str, Any], ...] = (
    {"action": "main-go-part1"},
    {"action": "part1-go-radec"},
    {
        "action": "part1-radec-save", "raHours": "00", "raMins": "42", "raSecs": "44",
        "raFract": "30", "decDegrees": "+41", "decMins": "16", "decSecs": "09", "decFract": "00",
        "newObjectName": "M 31",
    },
    {"action": "main-go-part2"},
    {"action": "part2-save", "submittype": "Save", "newTelescopeSelection": "2"},
    {"action": "main-go-part3"},
    {
        "action": "part3-save", "submittype": "Save", "newExposureTime": "120000",
        "newDarkFrame": "1", "newFilterSelection": "BVR", "newRequestComments": "by a test",
    },
    {"action": "main-submit"},
)  # fmt: skip


@pytest.fixture
def observatory(tmp_path: Path) -> Iterator[SimulatedObservatory]:
    folder = tmp_path / "served/telescope_org"
    folder.mkdir(parents=True)
    (folder / "jobs.json").write_text("[]")
    with SimulatedObservatory(tmp_path) as running:
        yield running


def call(client: httpx.Client, request: str, **asked: Any) -> Any:
    return api(client, "request-constructor", request, **asked)


def submitted(observatory: SimulatedObservatory) -> list[dict[str, Any]]:
    return [dict(job) for job in load_jobs(observatory.root / "served/telescope_org")]


def ticket(page: httpx.Response) -> str | None:
    found = re.search(r'name="ticket" value="(\d+)"', page.text)
    return found[1] if found else None


def new(client: httpx.Client) -> str | None:
    return ticket(client.get("/request-constructor.php", params={"action": "new"}))


def test_by_calls(observatory: SimulatedObservatory) -> None:
    with site(observatory) as client:
        assert call(client, "0-rb-clear")["success"] == 1
        assert call(client, "0-rb-set", **GOOD)["success"] == 1
        rid = call(client, "0-rb-submit")["data"]["id"]
        (listed,) = api(client, "request-manager", "1-get-list-own", folderid=1)["data"]["requests"]
        page = client.post(f"/v4request-view.php?rid={rid}").text
    assert (listed["id"], listed["status"], listed["usercomments"]) == (rid, "1", "by a test")
    assert "120000 ms" in page
    assert "BVR" in page
    assert observatory.requests["telescope_org"].submissions == 1


def test_by_forms(observatory: SimulatedObservatory) -> None:
    with site(observatory) as client:
        number = new(client)
        for page in PAGES:
            answer = client.post("/request-constructor.php", data={"ticket": number, **page})
            number = ticket(answer)
        assert "has been submitted" in answer.text
    (job,) = submitted(observatory)
    assert (job["objectid"], job["telescope"], job["exposure_ms"], job["filters"]) == (
        GOOD["objectid"], "galaxy", 120_000, ["B", "V", "R"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"exposuretime": 180_001}, {"exposuretime": 0}, {"exposuretime": "long"},
        {"telescopeid": 4}, {"telescopeid": 7}, {"telescopetype": 1},
        {"telescopeid": 6, "filtertype": "Colour"}, {"filtertype": ""},
        {"objectid": "0:42:44 +41:16:09"}, {"objectid": "24:00:00.00 +41:16:09.00"},
        {"objecttype": "COMET"},
    ],
)  # fmt: skip
def test_nonsense_is_refused(observatory: SimulatedObservatory, wrong: dict[str, Any]) -> None:
    with site(observatory) as client:
        call(client, "0-rb-clear")
        call(client, "0-rb-set", **GOOD | wrong)
        assert call(client, "0-rb-submit")["success"] == 0
    assert submitted(observatory) == []
    assert observatory.requests["telescope_org"].submissions == 0


def test_a_draft_belongs_to_one_visitor_and_is_used_up(observatory: SimulatedObservatory) -> None:
    with (
        site(observatory) as client,
        site(observatory) as other,
        site(observatory, logged_in=False) as nobody,
    ):
        assert call(client, "0-rb-submit")["success"] == 0
        call(client, "0-rb-clear")
        call(client, "0-rb-set", **GOOD)
        assert call(other, "0-rb-submit")["success"] == 0
        assert call(client, "0-rb-submit")["success"] == 1
        assert call(client, "0-rb-submit")["success"] == 0
        with pytest.raises(json.JSONDecodeError):
            call(nobody, "0-rb-clear")
    assert len(submitted(observatory)) == 1


@pytest.mark.parametrize("fault", ["another ticket", "an old ticket", "a step left out"])
def test_the_forms_steps_in_their_order(observatory: SimulatedObservatory, fault: str) -> None:
    with site(observatory) as client:
        first = new(client)
        second = ticket(client.post("/request-constructor.php", data={"ticket": first, **PAGES[0]}))
        data = {
            "another ticket": {"ticket": "1", **PAGES[1]},
            "an old ticket": {"ticket": first, **PAGES[1]},
            "a step left out": {"ticket": second, **PAGES[2]},
        }[fault]
        assert ticket(client.post("/request-constructor.php", data=data)) is None
        assert ticket(client.post("/request-constructor.php", data={"ticket": second, **PAGES[1]}))


def test_what_never_rises_is_taken_and_ends_with_25(observatory: SimulatedObservatory) -> None:
    with site(observatory) as client:
        call(client, "0-rb-clear")
        call(client, "0-rb-set", **GOOD | {"objectid": "05:23:34.00 -69:45:22.00"})
        assert call(client, "0-rb-submit")["success"] == 1
    assert submitted(observatory)[0]["status"] == 25


def test_open_requests_can_be_cancelled(observatory: SimulatedObservatory) -> None:
    with site(observatory) as client:
        call(client, "0-rb-clear")
        call(client, "0-rb-set", **GOOD)
        rid = call(client, "0-rb-submit")["data"]["id"]
        for success in (1, 0):
            answer = api(client, "request-manager", "0-cancel-request", rid=rid)
            assert answer["success"] == success
    assert submitted(observatory)[0]["status"] == 22


def test_without_the_calls_there_are_the_forms(observatory: SimulatedObservatory) -> None:
    observatory.telescope_org.constructor.api = False
    with site(observatory) as client:
        assert call(client, "0-rb-clear")["success"] == 0
        assert new(client)
