"""The Pi as it is simulated, asked by a client of SSH."""

import hashlib
import io
import json
import time
from datetime import date
from pathlib import Path

import paramiko
import pytest

from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.sim.servers.pi import make_keys
from astro_assets.sim.servers.pi_camera import PiCamera
from astro_assets_tests.sim.clients import (
    run,
    ssh,
)
from astro_assets_tests.sim.servers.served import NIGHT, frame, put


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
