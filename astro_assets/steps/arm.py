"""Arming the night's capture on a Pi: hand over the plan, start it, let go."""

import json
import shlex
from dataclasses import dataclass
from datetime import date, datetime

import paramiko

from astro_assets.errors import NothingToDo, SettingsError, SourceUnreachable
from astro_assets.night import Darkness, darkness
from astro_assets.settings import PiSource, Settings, Site
from astro_assets.sources.ssh import ssh_connection

PLAN_FOLDER = "plans"
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Armed:
    """The Pi's answer."""

    source: str
    night: date
    state: str
    dusk_utc: datetime
    dawn_utc: datetime

    @property
    def sentence(self) -> str:
        return (
            f"{self.source} is {self.state} for the night of {self.night}: from "
            f"{self.dusk_utc:%H:%M} to {self.dawn_utc:%H:%M} UTC"
        )


def darkness_at(site: Site, night: date) -> Darkness | None:
    """From dusk to dawn at the site; None when it does not get dark."""
    return darkness(
        night,
        latitude_deg=site.latitude_deg,
        longitude_deg=site.longitude_deg,
        timezone=site.timezone,
    )


def arm_capture(settings: Settings, name: str, night: date) -> Armed:
    """Upload the plan of ``night`` to a Pi and start its capture there. Twice is harmless.

    Raises
    ------
    NothingToDo : it does not get dark
    SettingsError : there is no such Pi
    SourceUnreachable : the Pi cannot be reached, or does not take the plan
    LoginRefused, IdentityRefused : as the connection says
    """
    source = settings.source(name)
    if not isinstance(source, PiSource):
        raise SettingsError(settings.file, f"sources.{name}", "is no Pi; a capture needs kind 'pi'")
    site = settings.site
    dark = darkness_at(site, night)
    if dark is None:
        raise NothingToDo(f"the night of {night} does not get dark at {site.name}")
    plan = {
        "night": night.isoformat(),
        "dusk_utc": dark.dusk_utc.isoformat(),
        "dawn_utc": dark.dawn_utc.isoformat(),
        "site": dict(settings.site),
    }
    path = f"{PLAN_FOLDER}/{night.isoformat()}.json"
    with ssh_connection(source, settings.secrets) as client:
        _upload(client, path, json.dumps(plan, indent=1, default=str))
        state = _start(client, name, path)
    return Armed(name, night, state, dark.dusk_utc, dark.dawn_utc)


def _upload(client: paramiko.SSHClient, path: str, plan: str) -> None:
    with client.open_sftp() as sftp:
        if PLAN_FOLDER not in sftp.listdir():
            sftp.mkdir(PLAN_FOLDER)
        with sftp.open(f"{path}.part", "w") as file:
            file.write(plan)
        sftp.posix_rename(f"{path}.part", path)


def _start(client: paramiko.SSHClient, name: str, path: str) -> str:
    _, answer, complaint = client.exec_command(
        f"astro-capture arm --plan {shlex.quote(path)}", timeout=TIMEOUT_S
    )
    text = answer.read().decode()
    if answer.channel.recv_exit_status() != 0:
        reason = complaint.read().decode().strip()
        raise SourceUnreachable(f"{name}: the Pi did not take the plan: {reason}")
    try:
        return str(json.loads(text)["state"])
    except (ValueError, KeyError) as error:
        raise SourceUnreachable(f"{name}: the Pi's answer is not understood: {text!r}") from error
