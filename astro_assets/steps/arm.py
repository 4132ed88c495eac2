"""Arming the night's capture on a Pi: hand over the plan, start it, let go."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import paramiko

from astro_assets.errors import SettingsError, SourceUnreachable
from astro_assets.settings import Settings
from astro_assets.sources.ssh import ssh_connection
from astro_assets.steps.pi_camera import COMMAND_TIMEOUT_S, pi_of, said
from astro_assets.steps.plan import NightPlan, plan_night

PLAN_FOLDER = "plans"
CONFIG_NAME = "config.ini"


@dataclass(frozen=True, slots=True)
class Armed:
    """The Pi's answer."""

    source: str
    state: str
    plan: NightPlan

    @property
    def sentence(self) -> str:
        dark = self.plan.dark
        return (
            f"{self.source} is {self.state} for the night of {self.plan.night}: from "
            f"{dark.dusk_utc:%H:%M} to {dark.dawn_utc:%H:%M} UTC"
        )


def arm_capture(settings: Settings, name: str, night: date) -> Armed:
    """Upload the plan of ``night`` to a Pi and start its capture there. Twice is harmless.

    Raises
    ------
    NothingToDo : it does not get dark, or nothing that is planned is up
    SettingsError : there is no such Pi
    SourceUnreachable : the Pi cannot be reached, or does not take the plan
    LoginRefused, IdentityRefused : as the connection says
    """
    source = pi_of(settings, name)
    plan = plan_night(settings.site, source, night)
    text = json.dumps(plan.content(settings.site), indent=1, default=str)
    path = f"{PLAN_FOLDER}/{night.isoformat()}.json"
    with ssh_connection(source, settings.secrets) as client:
        with client.open_sftp() as sftp:
            if source.camera_config is not None:
                _upload(sftp, CONFIG_NAME, _text(settings, name, source.camera_config))
            if PLAN_FOLDER not in sftp.listdir():
                sftp.mkdir(PLAN_FOLDER)
            _upload(sftp, path, text)
        state = _start(client, name, path)
    return Armed(name, state, plan)


def _text(settings: Settings, name: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            settings.file, f"sources.{name}.camera_config", f"{file} cannot be read ({error})"
        ) from error


def _upload(sftp: paramiko.SFTPClient, path: str, text: str) -> None:
    with sftp.open(f"{path}.part", "w") as file:
        file.write(text)
    sftp.posix_rename(f"{path}.part", path)


def _start(client: paramiko.SSHClient, name: str, path: str) -> str:
    status, text, trouble = said(client, name, ["arm", "--plan", path], COMMAND_TIMEOUT_S)
    if status != 0:
        raise SourceUnreachable(f"{name}: the Pi did not take the plan: {trouble}")
    try:
        return str(json.loads(text)["state"])
    except (ValueError, KeyError) as error:
        raise SourceUnreachable(f"{name}: the Pi's answer is not understood: {text!r}") from error
