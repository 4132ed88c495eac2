"""`deploy/pi`: a wheel goes into an empty home, twice; units that systemd accepts; the page.

The dependencies come from this environment, and what needs root is written down, not done.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from astro_assets.capture.cli import main
from astro_assets.capture.config import read_config
from astro_assets_tests.capture.conftest import write_config

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy/pi"
UNITS = sorted(path.name for path in DEPLOY.glob("astro-capture*.*"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project as a wheel."""
    builder = Path(sys.executable).with_name("uv")
    folder = tmp_path_factory.mktemp("wheel")
    words = [str(builder), "build", "--wheel", "--offline", "--quiet", "--out-dir", str(folder)]
    if not builder.exists() or subprocess.run([*words, PROJECT], check=False).returncode:
        pytest.skip("no wheel can be built here without a network: make setup")
    (file,) = folder.glob("*.whl")
    return file


class Home:
    """An empty home, and a PATH whose root asks for nothing and whose systemd is as one likes."""

    def __init__(self, folder: Path, *, systemd: bool) -> None:
        self.folder = folder / "home"
        self.told = folder / "told"
        self.crontab = folder / "crontab"
        tools = folder / "tools"
        for made in (self.folder, tools):
            made.mkdir()
        self.told.touch()
        works = "exit 0" if systemd else "exit 1"
        for name, line in {
            "id": 'case "$1" in -u) echo 1000 ;; *) echo pi ;; esac',
            "sudo": f'echo "$*" >> {self.told}',
            "systemctl": f'echo "systemctl $*" >> {self.told}; {works}',
            "crontab": f'table={self.crontab}; [ "$1" = -l ] && {{ cat "$table"; exit; }}\n'
            'cat > "$table.new"; mv "$table.new" "$table"',
        }.items():
            (tools / name).write_text(f"#!/bin/sh\n{line}\n")
            (tools / name).chmod(0o755)
        self.environment = {
            "HOME": str(self.folder), "PATH": f"{tools}:{os.environ['PATH']}",
            "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": sysconfig.get_path("purelib"), "LANG": "C.UTF-8",
        }  # fmt: skip

    def run(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(word) for word in words], env=self.environment, cwd=self.folder,
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip

    def install(self, wheel: Path) -> "subprocess.CompletedProcess[str]":
        done = self.run("sh", DEPLOY / "install.sh", wheel)
        assert done.returncode == 0, done.stderr
        return done


def test_into_an_empty_home_and_again(tmp_path: Path, wheel: Path) -> None:
    """As on a Pi with systemd; then the page's own way on: edit, check, a frame."""
    home = Home(tmp_path, systemd=True)
    assert "astro-capture, version" in home.install(wheel).stdout
    units = home.folder / ".config/systemd/user"
    assert sorted(path.name for path in units.iterdir()) == UNITS
    told = home.told.read_text()
    assert "systemctl --user enable --quiet astro-capture-resume.service" in told
    assert "loginctl enable-linger pi" in told
    program = home.folder / ".local/bin/astro-capture"
    assert re.search(r"ln -sf \S+/venv/bin/astro-capture /usr/local/bin/astro-capture", told)
    if Path("/etc/udev/rules.d").is_dir():
        assert "99-astro-capture.rules /etc/udev/rules.d/" in told
    config = home.folder / "config.ini"
    assert read_config(config).camera.brand == "ZWO"
    assert not home.crontab.exists()
    # The camera that needs no hardware takes the page's picture.
    write_config(home.folder)
    mine = config.read_text()
    done = home.run(program, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ camera: Simulated One took a picture" in done.stdout
    # Again, as for an update: what the user wrote stays.
    home.install(wheel)
    assert config.read_text() == mine


def test_without_systemd_cron_goes_on_with_the_night(tmp_path: Path, wheel: Path) -> None:
    home = Home(tmp_path, systemd=False)
    program = home.folder / ".local/bin/astro-capture"
    again = f"@reboot {program} --config {home.folder}/config.ini resume"
    home.crontab.write_text(f"0 6 * * * mine\n{again}\n")
    assert "cron goes on with an armed night" in home.install(wheel).stderr
    lines = home.crontab.read_text().splitlines()
    assert lines == ["0 6 * * * mine", again]
    assert not (home.folder / ".config").exists()
    write_config(home.folder)
    done = home.run("sh", "-c", lines[1].removeprefix("@reboot "))
    assert (done.returncode, done.stdout) == (0, "no night was ever armed: nothing to go on with\n")


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze: apt install systemd")
    program = tmp_path / ".local/bin/astro-capture"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    done = subprocess.run(
        [analyze, "--user", "verify", *(str(DEPLOY / unit) for unit in UNITS)],
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck: apt install shellcheck")
    done = subprocess.run(
        [shellcheck, str(DEPLOY / "install.sh"), str(PROJECT / "deploy/setup.sh")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


def test_all_that_lies_there_is_installed() -> None:
    script = (DEPLOY / "install.sh").read_text()
    for path in DEPLOY.iterdir():
        name = path.name
        if name.startswith("astro-capture") and name.endswith(".service"):
            name = "astro-capture*.service"
        assert name == "install.sh" or name in script.replace('"', ""), path


def test_the_page_names_what_there_is() -> None:
    """Every command of the page exists, and what it says to type is what the script does."""
    page = (PROJECT / "docs/pi.md").read_text()
    commands = set(re.findall(r"`astro-capture ([a-z]+)", page))
    assert commands == {"run", "arm", "resume", "check", "status", "stop", "bias"}
    assert set(re.findall(r"`(darks|flats|linearity)`", page)) == {"darks", "flats", "linearity"}
    assert {*commands, "darks", "flats", "linearity"} == set(main.commands)
    for path in re.findall(r"deploy/pi/[\w.-]+", page):
        assert (PROJECT / path).is_file(), path
    script = (DEPLOY / "install.sh").read_text()
    assert "config=$HOME/config.ini" in script
    assert "nano ~/config.ini" in page
    assert "systemctl --user enable --now astro-capture.timer" in page
    assert "systemctl --user enable --now astro-capture.timer" in script
