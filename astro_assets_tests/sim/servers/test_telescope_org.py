"""telescope.org as it is simulated, asked by a browser's and a program's requests."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.servers.telescope_org_jobs import job_zip, load_jobs
from astro_assets_tests.sim.clients import (
    api,
    sign_in,
    site,
)


class TestTelescopeOrg:
    def test_pages_through_the_requests(self, observatory: SimulatedObservatory) -> None:
        with site(observatory) as client:
            pages = [
                api(client, "request-manager", "1-get-list-own", folderid=1, sort="rid", **more)
                for more in ({}, {"startAfterRow": 100})
            ]
            everything = [page["data"]["requests"] for page in pages]
            assert [len(rows) for rows in everything] == [100, 6]
            assert pages[0]["data"]["totalRequests"] == "106"
            rows = everything[0] + everything[1]
            assert len({row["id"] for row in rows}) == 106
            assert all(isinstance(value, str) for row in rows for value in row.values())
            assert {row["status"] for row in rows} == {"3", "8", "20"}
            folders = api(client, "request-manager", "0-get-my-folders")["data"]
            assert folders[0]["count"] == "106"
            assert folders[3]["count"] is None

    def test_hands_out_the_zip(self, observatory: SimulatedObservatory, tree: Path) -> None:
        folder = tree / "served/telescope_org"
        expected = job_zip(folder, load_jobs(folder)[0])
        assert hashlib.sha256(expected).digest() == (
            hashlib.sha256(job_zip(folder, load_jobs(folder)[0])).digest()
        )
        with site(observatory) as client:
            made = api(client, "image-engine", "0-create-dlzip", jid=423180)
            assert made["status"] == "OK_WAIT"
            number = made["data"]["ieID"]
            where = {"jid": 423180, "ieid": number}
            assert client.get("/v3image-download.php", params=where).status_code == 404
            first, second = (
                api(client, "image-engine", "0-is-job-ready", ieid=number) for _ in range(2)
            )
            assert first["status"] == "PROCESSING"
            assert second["status"] == "READY"
            got = client.get("/v3image-download.php", params=where).content
        assert got == expected
        assert second["data"] == {
            "flatID": "31",
            "fitssize": str(len(got)),
            "fitsbzsize": str(len(got)),
        }
        with zipfile.ZipFile(io.BytesIO(got)) as archive:
            assert archive.testzip() is None
            for name in "BVR":
                assert archive.read(f"423180-{name}.fits") == (
                    (folder / "423180" / f"{name}.fits").read_bytes()
                )
        assert observatory.requests["telescope_org"].downloads == {"423180.zip": 1}

    def test_hands_out_the_cube(self, observatory: SimulatedObservatory, tree: Path) -> None:
        with site(observatory) as client:
            number = api(client, "image-engine", "0-create-dl3d", jid=423180)["data"]["ieID"]
            answers = [api(client, "image-engine", "0-is-job-ready", ieid=number) for _ in "ab"]
            got = client.get("/v3image-download.php", params={"jid": 423180, "ieid": number})
        assert int(answers[1]["data"]["fitssize"]) == len(got.content)
        with fits.open(io.BytesIO(got.content)) as cube:
            assert cube[0].header["FILTER"] == "B,V,R"
            for plane, name in zip(cube[0].data, "BVR", strict=True):
                served = fits.getdata(tree / f"served/telescope_org/423180/{name}.fits")
                assert np.array_equal(plane, served)

    def test_refuses_what_is_not_complete(self, observatory: SimulatedObservatory) -> None:
        with site(observatory) as client:
            answer = api(client, "image-engine", "0-create-dlzip", jid=999)
        assert answer["success"] == 0

    def test_the_pages_tell_of_the_job(self, observatory: SimulatedObservatory) -> None:
        with site(observatory) as client:
            page = client.post("/v4request-view.php?jid=423180").text
            assert "R771700 R771900" in page
            assert "60000 ms" in page
            assert "20 November 2026 23:40:00 UTC" in page
            assert '"jid": "423180"' in client.post("/v4request-view.php?rid=771900").text
            form = {"sort1": "completetime", "searchstatus[]": "1", "resultsperpage": "1000"}
            links = client.post("/v3job-search-query.php", data=form).text
            assert links.count("?jid=") == 103
            form |= {"searchtelescope": "5"}
            assert "?jid=" not in client.post("/v3job-search-query.php", data=form).text

    @pytest.mark.parametrize("how", ["never", "wrong password", "logged out", "expired"])
    def test_without_a_session_there_is_a_page_with_status_200(
        self, observatory: SimulatedObservatory, how: str
    ) -> None:
        with site(observatory, logged_in=how in {"logged out", "expired"}) as client:
            if how == "wrong password":
                assert "<form" in sign_in(client, "observer", "wrong").text
            if how == "logged out":
                client.post("/logout.php")
            if how == "expired":
                observatory.telescope_org.expire_sessions()
            form = {"module": "request-manager", "request": "1-get-list-own", "params": "{}"}
            for answer in (
                client.post("/api-user.php", data=form),
                client.get("/v3image-download.php", params={"jid": 423180, "ieid": 1}),
            ):
                assert answer.status_code == 200
                assert 'action="login.php"' in answer.text
