"""The simulated observatory's servers, asked by the real clients of each protocol."""

import ftplib
import hashlib
import io
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import paramiko
import pytest
from astropy.io import fits

from astro_assets.errors import NothingToDo
from astro_assets.settings import load_settings
from astro_assets.sim.observatory import SimulatedObservatory, describe
from astro_assets.sim.servers.pi import make_keys
from astro_assets.sim.servers.pi_camera import PiCamera
from astro_assets.sim.servers.telescope_org_jobs import job_zip, load_jobs
from astro_assets_tests.sim.clients import (
    api,
    ftp,
    ftps,
    login,
    retrieve,
    run,
    sign_in,
    site,
    ssh,
    trusting,
)

NIGHT = "2026-11-20"
ZIPPED = "T20/NGC 7000/20261120/calibrated-T20-observer-NGC 7000-20261120-214500-Red-BIN1-W-60-001"
SESSION = "2026-11-20_21-10-00_observation_M31/01-images-initial"


def frame(seed: int, **cards: str | float) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 65535, (40, 60), dtype=np.uint16)
    hdu = fits.PrimaryHDU(pixels)
    hdu.header.update(cards)
    written = io.BytesIO()
    hdu.writeto(written)
    return written.getvalue()


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def job(jid: int | None, rid: int, status: int = 8, **more: Any) -> dict[str, Any]:
    complete = {"jid": jid, "completed_utc": f"2026-11-20T23:{rid % 60:02d}:00+00:00", "flatid": 31}
    return {
        "rid": rid,
        "objecttype": "RADEC",
        "objectname": "M 45",
        "objectid": "03:47:00.00 +24:07:00.00",
        "telescope": "cluster",
        "exposure_ms": 60000,
        "filters": ["B", "V", "R"],
        "requesttime": 1795000000 + rid,
        "status": status,
        **(complete if jid else {}),
        **more,
    }


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simulated")
    served = root / "served"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"{Path(ZIPPED).name}.fit", frame(1))
    put(served / "itelescope" / f"{ZIPPED}.fit.zip", packed.getvalue())
    put(served / "itelescope/CALIBRATION FILES/T20/dark.fit", frame(2))
    for number in (1, 2):
        put(served / "vespera/user" / SESSION / f"img-{number:04d}.fits", frame(10 + number))
    jobs = [job(423180 + n, 771700 + n) for n in range(103)]
    jobs += [job(423180, 771900), job(None, 771901, 3), job(None, 771902, 20)]
    put(served / "telescope_org/jobs.json", json.dumps(jobs).encode())
    for number, name in enumerate("BVR"):
        put(served / f"telescope_org/423180/{name}.fits", frame(20 + number, FILTER=name))
    captures = served / f"pi/captures/{NIGHT}"
    put(captures / "bias-001.fits", frame(30, IMAGETYP="Bias Frame"))
    put(captures / "manifest.jsonl", b'{"file": "bias-001.fits"}\n')
    for number in (1, 2, 3):
        cards = {"IMAGETYP": "Light Frame", "OBJECT": "M 42", "EXPTIME": 10.0, "GAIN": 120}
        put(
            served / f"pi/.prepared/{NIGHT}/light-{number:03d}.fits",
            frame(40 + number, **cards, **{"CCD-TEMP": -10.0}),
        )
    return root


@pytest.fixture(scope="module")
def observatory(tree: Path) -> Iterator[SimulatedObservatory]:
    with SimulatedObservatory(tree, seconds_per_frame=0.05) as running:
        yield running


class TestItelescope:
    def test_lists_and_hands_out_the_same_bytes(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        served = (tree / "served/itelescope" / f"{ZIPPED}.fit.zip").read_bytes()
        with ftps(observatory) as client:
            assert client.sock.version() in {"TLSv1.2", "TLSv1.3"}
            names = {name for name, _ in client.mlsd("/")}
            assert {"T20", "CALIBRATION FILES"} <= names
            lines: list[str] = []
            client.retrlines("LIST T20", lines.append)
            assert lines[0].endswith(" NGC 7000")
            client.voidcmd("TYPE I")
            assert client.size(f"{ZIPPED}.fit.zip") == len(served)
            assert retrieve(client, f"{ZIPPED}.fit.zip") == served
            assert retrieve(client, f"{ZIPPED}.fit.zip", rest=1000) == served[1000:]
        assert observatory.requests["itelescope"].downloads[f"{ZIPPED}.fit.zip"] == 2

    def test_takes_up_the_tls_session_again(self, observatory: SimulatedObservatory) -> None:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(observatory)
            context.maximum_version = version
            with ftplib.FTP_TLS(context=context, timeout=5) as client:
                client.connect("localhost", observatory.ports["itelescope"])
                client.login(*login(observatory, "itelescope"))
                client.prot_p()
                plain = ftplib.FTP.ntransfercmd(client, "MLSD /")[0]
                data = context.wrap_socket(
                    plain, server_hostname="localhost", session=client.sock.session
                )
                assert data.session_reused
                while data.recv(1000):
                    pass
                data.unwrap()
                data.close()
                client.voidresp()

    def test_refuses_plain_ftp(self, observatory: SimulatedObservatory) -> None:
        with ftplib.FTP(timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ftplib.error_perm, match="SSL/TLS required"):
                client.login(*login(observatory, "itelescope"))

    def test_refuses_clear_data(self, observatory: SimulatedObservatory) -> None:
        with ftps(observatory) as client:
            client.prot_c()
            with pytest.raises(ftplib.error_perm, match="SSL/TLS required"):
                retrieve(client, f"{ZIPPED}.fit.zip")

    def test_refuses_a_wrong_password(self, observatory: SimulatedObservatory) -> None:
        before = observatory.requests["itelescope"].refused
        with ftplib.FTP_TLS(context=trusting(observatory), timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ftplib.error_perm, match="530"):
                client.login("observer", "wrong")
        assert observatory.requests["itelescope"].refused == before + 1

    def test_refuses_tls_1_1(self, observatory: SimulatedObservatory) -> None:
        context = trusting(observatory)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with ftplib.FTP_TLS(context=context, timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises((ssl.SSLError, ConnectionError)):
                client.auth()

    def test_is_read_only(self, observatory: SimulatedObservatory) -> None:
        with ftps(observatory) as client, pytest.raises(ftplib.error_perm, match="550"):
            client.delete(f"{ZIPPED}.fit.zip")

    def test_a_client_without_the_authority_goes_away(
        self, observatory: SimulatedObservatory
    ) -> None:
        context = ssl.create_default_context()
        with ftplib.FTP_TLS(context=context, timeout=5) as client:
            client.connect("localhost", observatory.ports["itelescope"])
            with pytest.raises(ssl.SSLCertVerificationError):
                client.auth()


class TestVespera:
    def test_lists_and_hands_out_the_same_bytes(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        with ftp(observatory) as client:
            names = {name for name, _ in client.mlsd(f"/user/{SESSION}")}
            assert {"img-0001.fits", "img-0002.fits"} <= names
            for name in ("img-0001.fits", "img-0002.fits"):
                served = (tree / "served/vespera/user" / SESSION / name).read_bytes()
                assert retrieve(client, f"/user/{SESSION}/{name}") == served
        assert observatory.requests["vespera"].downloads[f"{SESSION}/img-0001.fits"] == 1

    def test_old_firmware_knows_no_mlsd_and_lets_clients_delete(self, tmp_path: Path) -> None:
        file = tmp_path / "served/vespera/user/img-0001.fits"
        put(file, b"frame")
        with (
            SimulatedObservatory(tmp_path, vespera_mlsd=False, vespera_deletion=True) as running,
            ftp(running) as client,
        ):
            assert running.sources == ("vespera",)
            assert "MLS" not in client.sendcmd("FEAT")
            with pytest.raises(ftplib.error_perm, match="500"):
                list(client.mlsd("/user"))
            lines: list[str] = []
            client.retrlines("LIST /user", lines.append)
            assert lines[0].endswith("img-0001.fits")
            client.delete("/user/img-0001.fits")
        assert not file.exists()


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


class TestPi:
    def test_password_and_key_open_the_same_tree(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        for connect in ({}, {"key_filename": str(observatory.pi_key_file)}):
            with ssh(observatory, **connect) as client, client.open_sftp() as sftp:
                assert sftp.listdir("captures") == [NIGHT]
                content = io.BytesIO()
                sftp.getfo(f"captures/{NIGHT}/bias-001.fits", content)
                assert content.getvalue() == (
                    (tree / f"served/pi/captures/{NIGHT}/bias-001.fits").read_bytes()
                )
        assert observatory.requests["pi"].downloads[f"{NIGHT}/bias-001.fits"] == 2

    def test_refuses_wrong_password_and_wrong_key(
        self, observatory: SimulatedObservatory, tmp_path: Path
    ) -> None:
        with (
            pytest.raises(paramiko.AuthenticationException),
            ssh(observatory, password="wrong"),
        ):
            pass
        other = make_keys(tmp_path).client_key_file
        with (
            pytest.raises(paramiko.AuthenticationException),
            ssh(observatory, key_filename=str(other)),
        ):
            pass

    def test_a_client_that_does_not_know_the_host_goes_away(
        self, observatory: SimulatedObservatory
    ) -> None:
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.RejectPolicy())
            with pytest.raises(paramiko.SSHException, match="not found in known_hosts"):
                client.connect("localhost", observatory.ports["pi"], "observer", "x", timeout=5)

    def test_nothing_outside_of_the_tree(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        put(tree / "plan.json", b'{"night": "2026-01-01"}')
        with ssh(observatory) as client, client.open_sftp() as sftp:
            for path in ("../../truth", "/etc/passwd", "../telescope_org/jobs.json"):
                with pytest.raises(FileNotFoundError):
                    sftp.stat(path)
            assert run(client, "astro-capture arm --plan ../../plan.json")[0] == 2

    @pytest.mark.parametrize("plan", [b"no json", b"[]", b'{"night": 3}', b'{"night": "soon"}'])
    def test_a_plan_that_cannot_be_read_is_refused(
        self, observatory: SimulatedObservatory, plan: bytes
    ) -> None:
        with ssh(observatory) as client, client.open_sftp() as sftp:
            sftp.putfo(io.BytesIO(plan), "bad-plan.json")
            status, answer, complaint = run(client, "astro-capture arm --plan bad-plan.json")
        assert (status, answer) == (2, "")
        assert "bad-plan.json" in complaint

    def test_unknown_commands(self, observatory: SimulatedObservatory) -> None:
        with ssh(observatory) as client:
            assert run(client, "astro-capture arm --plan missing.json")[0] == 2
            assert run(client, "astro-capture dance")[0] == 2
            assert run(client, "rm -rf /")[0] == 127

    def test_arming_takes_the_prepared_frames_once_and_whole(
        self, observatory: SimulatedObservatory, tree: Path
    ) -> None:
        folder = tree / f"served/pi/captures/{NIGHT}"
        prepared = tree / f"served/pi/.prepared/{NIGHT}"
        expected = {file.name: file.read_bytes() for file in prepared.iterdir()}
        plan = json.dumps({"night": NIGHT}).encode()
        with ssh(observatory) as client, client.open_sftp() as sftp:
            sftp.putfo(io.BytesIO(plan), "plan.json")
            answers = [run(client, "astro-capture arm --plan plan.json") for _ in range(2)]
            assert [status for status, _, _ in answers] == [0, 0]
            assert [json.loads(answer)["state"] for _, answer, _ in answers] == [
                "armed",
                "already armed",
            ]
            phases = set()
            until = time.monotonic() + 10
            while "done" not in phases:
                assert time.monotonic() < until
                for file in folder.glob("light*.fits"):
                    assert file.read_bytes() == expected[file.name]
                phases.add(json.loads(run(client, "astro-capture status")[1])["phase"])
            assert "exposing" in phases
            again = run(client, "astro-capture arm --plan plan.json")
            assert json.loads(again[1]) == {"night": NIGHT, "state": "already armed"}
        lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
        lights = {line["file"]: line for line in lines[1:]}
        assert set(lights) == set(expected)
        for name, content in expected.items():
            assert lights[name]["size"] == len(content)
            assert lights[name]["sha256"] == hashlib.sha256(content).hexdigest()
            assert lights[name]["facts"] == {
                "IMAGETYP": "Light Frame",
                "OBJECT": "M 42",
                "EXPTIME": "10.0",
                "GAIN": "120",
                "CCD-TEMP": "-10.0",
            }
        assert json.loads((folder / "status.json").read_text())["frames"] == 4
        assert not list(prepared.iterdir())
        assert not list(folder.glob("*.part"))

    def test_a_frame_is_whole_from_the_moment_it_appears(self, tmp_path: Path) -> None:
        frame_file = tmp_path / f".prepared/{NIGHT}/light.fits"
        put(frame_file, frame(50))
        with frame_file.open("r+b") as stream:
            stream.truncate(30_000_000)  # long enough to be caught while it is copied
        taken = tmp_path / f"captures/{NIGHT}/light.fits"
        camera = PiCamera(tmp_path, seconds_per_frame=0)
        camera.arm(date.fromisoformat(NIGHT))
        until = time.monotonic() + 10
        while not taken.exists():
            assert time.monotonic() < until
        assert taken.stat().st_size == 30_000_000
        camera.stop()

    def test_a_camera_that_was_stopped_goes_on_when_armed_again(self, tmp_path: Path) -> None:
        for number in range(2):
            put(tmp_path / f".prepared/{NIGHT}/light-{number}.fits", frame(60 + number))
        night = date.fromisoformat(NIGHT)
        first = PiCamera(tmp_path, seconds_per_frame=60)
        assert first.arm(night) == "armed"
        first.stop()
        second = PiCamera(tmp_path, seconds_per_frame=0)
        assert second.arm(night) == "armed"
        until = time.monotonic() + 10
        while json.loads(second.status() or "")["phase"] != "done":
            assert time.monotonic() < until
        assert json.loads(second.status() or "")["frames"] == 2
        second.stop()
        assert PiCamera(tmp_path, seconds_per_frame=0).arm(night) == "already armed"

    def test_a_night_that_nobody_simulated_has_nothing_to_take(self, tmp_path: Path) -> None:
        camera = PiCamera(tmp_path, seconds_per_frame=0)
        assert camera.arm(date(2027, 1, 1)) == "without a sky"
        assert camera.status() is None


class TestObservatory:
    def test_settings_and_environment_serve(
        self, observatory: SimulatedObservatory, tmp_path: Path
    ) -> None:
        text = observatory.settings_toml(tmp_path / "products", interval_s=5, quiet_s=0)
        (tmp_path / "observatory.toml").write_text(text)
        observatory.write_environment(tmp_path / ".env")
        assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
        settings = load_settings(tmp_path / "observatory.toml")
        assert settings.problems == ()
        assert settings.root == tmp_path / "products"
        assert settings.watch.quiet_s == 0
        names = ("itelescope", "vespera", "telescope_org", "pi")
        assert tuple(source.name for source in settings.active_sources) == names
        itelescope = settings.source("itelescope")
        assert itelescope.credentials(settings.secrets) == login(observatory, "itelescope")
        password = login(observatory, "itelescope")[1]
        assert password not in text
        assert tomllib.loads(text)["site"]["timezone"] == "Atlantic/Canary"
        assert describe(observatory).row_count == 4

    def test_one_server_can_go_away_and_come_back(self, tree: Path) -> None:
        with SimulatedObservatory(tree) as running:
            ports = dict(running.ports)
            for source in running.sources:
                running.stop(source)
            for client in (ftps, ftp, site, ssh):
                with pytest.raises((OSError, httpx.ConnectError)), client(running):
                    pass
            for source in running.sources:
                running.start(source)
            assert running.ports == ports
            for client in (ftps, ftp, site, ssh):
                with client(running):
                    pass
            for source in running.sources:
                assert running.requests[source].logins == 1

    def test_a_clean_stop_leaves_no_threads_and_no_sockets(self, tree: Path) -> None:
        sockets, threads = open_sockets(), threading.active_count()
        with SimulatedObservatory(tree) as running:
            with ftps(running), ftp(running), site(running), ssh(running):
                assert open_sockets() > sockets
            assert threading.active_count() > threads
        until = time.monotonic() + 5
        while threading.active_count() > threads and time.monotonic() < until:
            time.sleep(0.02)  # paramiko's own thread ends a moment after its client
        assert threading.active_count() == threads
        assert open_sockets() == sockets

    def test_a_stop_drops_clients_that_are_still_there(self, tree: Path) -> None:
        with (
            SimulatedObservatory(tree) as running,
            ftps(running) as secure,
            ftp(running) as plain,
            ssh(running) as pi,
        ):
            for source in running.sources:
                running.stop(source)
            for client in (secure, plain):
                with pytest.raises((EOFError, OSError, ftplib.error_temp)):
                    client.voidcmd("NOOP")
            until = time.monotonic() + 5
            while pi.get_transport().is_active():
                assert time.monotonic() < until
                time.sleep(0.02)

    def test_an_empty_folder_is_said_to_be_empty(self, tmp_path: Path) -> None:
        with pytest.raises(NothingToDo, match="no simulated night"):
            SimulatedObservatory(tmp_path)


def open_sockets() -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(1 for link in links if link.is_symlink() and "socket:" in str(link.readlink()))


def test_simulate_tells_where_and_ends_with_ctrl_c(tree: Path, tmp_path: Path) -> None:
    settings = tmp_path / "observatory.toml"
    code = (
        "import sys; from pathlib import Path;"
        "from astro_assets.sim.observatory import serve_until_interrupted;"
        "serve_until_interrupted(Path(sys.argv[1]), settings=Path(sys.argv[2]))"
    )
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code, str(tree), str(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as process:
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            said += line
        port = load_settings(settings).source("vespera").port
        with ftplib.FTP(timeout=5) as client:
            client.connect("localhost", port)
            client.login()
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "Stopped." in rest
    assert complaints == ""
    for word in ("itelescope", "telescope_org", "pi", f"localhost:{port}", str(settings)):
        assert word in said
    password = (tmp_path / ".env").read_text().splitlines()[1].split("=")[1]
    assert password not in said
