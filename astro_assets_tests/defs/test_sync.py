"""`astro-assets sync` from outside: a process of its own, against real servers, for a whole night.

What it leaves behind is searched for the passwords that it was given.
"""

import base64
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from astro_assets.definitions import build_defs
from astro_assets.defs.sync import sync
from astro_assets.settings import SETTINGS_VARIABLE, load_settings
from astro_assets.sim.night import make_night
from astro_assets.sim.observatory import SimulatedObservatory
from astro_assets.steps.overview import overview
from astro_assets.store import Store

Result = subprocess.CompletedProcess[str]
SOURCES = ("itelescope", "telescope_org", "pi")
"""those that have passwords"""
WRONG = "wrong-canary-4711"


@dataclass
class Machine:
    """A user's machine: settings, secrets, products, and Dagster's home."""

    root: Path
    observatory: SimulatedObservatory

    @property
    def settings(self) -> Path:
        return self.root / "observatory.toml"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Path:
        return self.root / "dagster"

    def sync(self, *sources: str, **variables: str) -> Result:
        return subprocess.run(
            self.command(*sources),
            check=False,
            env=self.environment(**variables),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=200,
        )

    def command(self, *sources: str) -> list[str]:
        return [str(Path(sys.executable).with_name("astro-assets")), "sync", *sources]

    def environment(self, **variables: str) -> dict[str, str]:
        return {
            **os.environ,
            **self.observatory.environment,
            SETTINGS_VARIABLE: str(self.settings),
            "DAGSTER_HOME": str(self.home),
            "COLUMNS": "180",
            **variables,
        }

    def runs(self) -> int:
        with DagsterInstance.from_config(str(self.home)) as instance:
            return instance.get_runs_count()


def keep_half(served: Path) -> None:
    """Two frames of each filter are enough here."""
    for pattern in ("calibrated-*-003.fit.zip", "calibrated-*-004.fit.zip"):
        for file in served.glob(f"itelescope/T20/*/*/{pattern}"):
            file.unlink()
    jobs = served / "telescope_org/jobs.json"
    done: list[object] = []
    other: list[object] = []
    for job in json.loads(jobs.read_text()):
        (done if job["jid"] else other).append(job)
    jobs.write_text(json.dumps(done[:2] + other))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("machine")
    make_night(root / "obs", sources=SOURCES, size="small", truth_images=False)
    keep_half(root / "obs/served")
    with SimulatedObservatory(root / "obs", job_ready_after=0) as observatory:
        machine = Machine(root, observatory)
        machine.settings.write_text(observatory.settings_toml(machine.data))
        yield machine


@pytest.fixture(scope="module")
def refused(machine: Machine) -> Result:
    """A sync with a wrong password, before all."""
    return machine.sync("itelescope", SIM_ITELESCOPE_PASSWORD=WRONG)


@pytest.fixture(scope="module")
def first(machine: Machine, refused: Result) -> Result:
    """All sources, with what they want."""
    return machine.sync()


def test_a_wrong_password_is_one_sentence(refused: Result) -> None:
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("failed: itelescope")


def test_a_sync_takes_a_night_from_the_servers_to_pictures(machine: Machine, first: Result) -> None:
    assert (first.returncode, first.stderr) == (0, "")
    rows = {row.source: row for row in overview(Store(machine.data))}
    assert set(rows) == set(SOURCES)
    for row in rows.values():
        assert row.fetched == row.calibrated == row.solved > 0
        assert row.composite
        assert row.session in first.stdout
    assert (machine.data / "reports/2026-11-20/index.html").is_file()


def test_no_password_is_left_anywhere(machine: Machine, first: Result, refused: Result) -> None:
    passwords = [v for k, v in machine.observatory.environment.items() if k.endswith("PASSWORD")]
    assert len(passwords) == 3
    canaries = {
        spelled
        for password in (*passwords, WRONG)
        for spelled in (
            password.encode(),
            quote(password, safe="").encode(),
            base64.b64encode(password.encode()).rstrip(b"="),
        )
    }
    files = [
        file for top in (machine.home, machine.data) for file in top.rglob("*") if file.is_file()
    ]
    assert len(files) > 100
    assert any(file.suffix == ".db" for file in files)
    texts = [file.read_bytes() for file in files]
    texts += [
        text.encode() for text in (first.stdout, first.stderr, refused.stdout, refused.stderr)
    ]
    assert any(b"2026-11-20_M42_ZWO-ASI294MC" in text for text in texts)
    found = [n for n, text in enumerate(texts) if any(canary in text for canary in canaries)]
    assert found == []


def frames_fetched(observatory: SimulatedObservatory) -> dict[str, int]:
    """How often a frame was downloaded, by source; a listing reads the Pi's own notes."""
    return {
        name: sum(
            times
            for path, times in requests.downloads.items()
            if not path.endswith((".json", ".jsonl"))
        )
        for name, requests in observatory.requests.items()
    }


def used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_second_sync_without_news_launches_nothing(machine: Machine, first: Result) -> None:
    runs = machine.runs()
    fetched = frames_fetched(machine.observatory)
    before_s = used_s()
    second = machine.sync()
    assert (second.returncode, second.stderr) == (0, "")
    # Of processor time: true for a machine that has something else to do, too.
    assert used_s() - before_s < 10
    assert "0 runs." in second.stdout
    assert machine.runs() == runs
    assert frames_fetched(machine.observatory) == fetched


# Interrupted


def settings_elsewhere(machine: Machine, folder: Path) -> Machine:
    """The same observatory, nothing fetched yet."""
    other = Machine(folder, machine.observatory)
    other.settings.write_text(machine.observatory.settings_toml(other.data))
    return other


def test_what_a_kill_left_half_done_is_done_by_the_next_sync(
    machine: Machine, tmp_path: Path
) -> None:
    other = settings_elsewhere(machine, tmp_path)
    process = subprocess.Popen(
        other.command("itelescope"),
        env=other.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not list(other.data.glob("raw/itelescope/*/manifest.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.wait()
    left = list(other.data.glob("raw/itelescope/*/*.fit*"))
    with DagsterInstance.from_config(str(other.home)) as instance:
        assert instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.STARTED])) == 1
        assert other.sync("itelescope").returncode == 0
        assert instance.get_runs_count(RunsFilter(statuses=[DagsterRunStatus.STARTED])) == 0
    (row,) = overview(Store(other.data))
    assert row.fetched == row.solved == 6
    assert len(left) <= 6


def test_records_that_a_power_cut_took_cost_no_frame(
    machine: Machine, first: Result, tmp_path: Path
) -> None:
    """The products are on the disk, and Dagster remembers nothing of them."""
    other = settings_elsewhere(machine, tmp_path)
    shutil.copytree(machine.data, other.data)
    fetched = frames_fetched(machine.observatory)
    before = sorted((row.session, row.fetched, row.solved) for row in overview(Store(other.data)))
    assert other.sync("itelescope").returncode == 0
    assert frames_fetched(machine.observatory) == fetched
    assert other.runs() > 0
    after = sorted((row.session, row.fetched, row.solved) for row in overview(Store(other.data)))
    assert after == before


def test_ctrl_c_stops_a_sync_and_nothing_more_is_run(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = settings_elsewhere(machine, tmp_path)
    for name, value in machine.observatory.environment.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(other.settings)
    had = frames_fetched(machine.observatory)

    def interrupt() -> None:
        until = time.monotonic() + 60
        while frames_fetched(machine.observatory) == had and time.monotonic() < until:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    hand = threading.Thread(target=interrupt)
    other.home.mkdir()
    with DagsterInstance.local_temp(str(other.home)) as instance:
        hand.start()
        with pytest.raises(KeyboardInterrupt):
            sync(settings, build_defs(settings), instance, settings.active_sources[-1:], _silent)
        hand.join()
        (run,) = instance.get_runs()
        assert run.is_finished
        assert run.status is not DagsterRunStatus.SUCCESS


def test_what_another_process_does_is_left_to_it_and_said(
    machine: Machine, first: Result, tmp_path: Path
) -> None:
    shutil.copytree(machine.home, tmp_path / "home")
    with DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        (done,) = (r for r in instance.get_runs() if r.job_name == "itelescope_session")
        instance.delete_run(done.run_id)
        settings = load_settings(machine.settings)
        job = build_defs(settings).resolve_job_def("itelescope_session")
        tags = {k: v for k, v in done.tags.items() if k != "astro_assets/process"}
        instance.create_run_for_job(job, status=DagsterRunStatus.STARTED, tags=tags)
    result = machine.sync("itelescope", DAGSTER_HOME=str(tmp_path / "home"))
    assert result.returncode == 0
    assert "skipped: itelescope: runs that Dagster has started" in result.stdout


def _silent(text: str, done: int, known: int) -> None:
    """No progress bar."""
