"""A simulated night, fetched by plain clients: every frame of the truth is there, byte for byte."""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import paramiko
import pytest

from astro_assets.sim.night import ALL, SimulatedNight, make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets_tests.sim.clients import api, ftp, ftps, retrieve, run, site, ssh


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> SimulatedNight:
    root = tmp_path_factory.mktemp("night")
    return make_night(root, seed=7, size="small", truth_images=False, capture="on-arm")


@pytest.fixture(scope="module")
def observatory(night: SimulatedNight) -> Iterator[SimulatedObservatory]:
    with SimulatedObservatory(night.root, seconds_per_frame=0.01, job_ready_after=0) as running:
        arm(running)
        yield running


def arm(observatory: SimulatedObservatory) -> None:
    with ssh(observatory) as client, client.open_sftp() as sftp:
        sftp.putfo(io.BytesIO(b'{"night": "2026-11-20"}'), "plan.json")
        assert run(client, "astro-capture arm --plan plan.json")[0] == 0
        until = time.monotonic() + 20
        while json.loads(run(client, "astro-capture status")[1])["phase"] != "done":
            assert time.monotonic() < until
            time.sleep(0.05)


def job(client: httpx.Client, path: str) -> bytes:
    jid = int(path.removesuffix(".zip"))
    ieid = api(client, "image-engine", "0-create-dlzip", jid=jid)["data"]["ieID"]
    assert api(client, "image-engine", "0-is-job-ready", ieid=ieid)["status"] == "READY"
    return client.get("/v3image-download.php", params={"jid": jid, "ieid": ieid}).content


def captured(sftp: paramiko.SFTPClient, path: str) -> bytes:
    content = io.BytesIO()
    sftp.getfo(f"captures/{path}", content)
    return content.getvalue()


@pytest.mark.parametrize("source", ALL)
def test_every_frame_is_served_as_the_truth_says(
    observatory: SimulatedObservatory, night: SimulatedNight, source: str
) -> None:
    truths = [truth for truth in night.frames if truth.source == source]
    assert len(truths) >= 7
    with ExitStack() as stack:
        fetch = fetcher(stack, observatory, source)
        served = {path: fetch(path) for path in {truth.remote_path for truth in truths}}
    for truth in truths:
        content = served[truth.remote_path]
        if source != "telescope_org":
            assert hashlib.sha256(content).hexdigest() == truth.sha256
        if truth.member:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read(truth.member)
        assert hashlib.sha256(content).hexdigest() == truth.fits_sha256
    assert all(observatory.requests[source].downloads[path] == 1 for path in served)


def fetcher(
    stack: ExitStack, observatory: SimulatedObservatory, source: str
) -> Callable[[str], bytes]:
    if source == "telescope_org":
        web = stack.enter_context(site(observatory))
        return lambda path: job(web, path)
    if source == "pi":
        shell = stack.enter_context(ssh(observatory))
        sftp = stack.enter_context(shell.open_sftp())
        return lambda path: captured(sftp, path)
    client = stack.enter_context((ftps if source == "itelescope" else ftp)(observatory))
    root = "" if source == "itelescope" else "/user/"
    return lambda path: retrieve(client, f"{root}{path}")


def test_the_camera_s_manifest_agrees_with_the_truth(
    observatory: SimulatedObservatory, night: SimulatedNight, tmp_path: Path
) -> None:
    with ssh(observatory) as client, client.open_sftp() as sftp:
        lines = captured(sftp, "2026-11-20/manifest.jsonl").splitlines()
    listed = {entry["file"]: entry for entry in map(json.loads, lines)}
    assert len(listed) == len(lines)
    truths = [truth for truth in night.frames if truth.source == "pi"]
    assert {f"2026-11-20/{name}" for name in listed} == {truth.remote_path for truth in truths}
    for truth in truths:
        entry = listed[Path(truth.remote_path).name]
        assert entry["sha256"] == truth.sha256
        assert float(entry["facts"]["EXPTIME"]) == truth.exposure_s
        assert entry["facts"].get("OBJECT") == truth.target
