"""Talking to a Pi's capture program over SSH: what it is doing, stop, series, its log.

What belongs here: one command at a time, and what its answer says. What does not: arming a night
(`arm`), fetching frames (`fetch`).
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import paramiko

from astro_assets.errors import NothingToDo, SettingsError, SourceUnreachable
from astro_assets.settings import PiSource, Settings
from astro_assets.sources.ssh import ssh_connection

PROGRAM = "astro-capture"
COMMAND_TIMEOUT_S = 60.0
SERIES_TIMEOUT_S = 6 * 3600.0
STALE_AFTER_S = 300.0
"""a heartbeat older than this has stopped"""
_MOST_LOG_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What a Pi's capture says of itself.

    age_s : since its last sign; None when there never was one
    """

    running: bool
    phase: str
    night: str
    frames: int
    lost: int
    last_frame: str
    last_error: str
    alert: str
    temperature_c: float | None
    disk_free_gb: float | None
    next_exposure_utc: str
    age_s: float | None

    @property
    def over(self) -> bool:
        """Whether it has come to its end, or was stopped."""
        return self.phase in ("done", "stopped")

    @property
    def beating(self) -> bool:
        """Whether a capture that should be under way gives signs of life."""
        if self.over or self.phase == "never armed":
            return True
        return self.running and self.age_s is not None and self.age_s < STALE_AFTER_S


def pi_of(settings: Settings, name: str) -> PiSource:
    """The Pi of this name. Raises `SettingsError`."""
    source = settings.source(name)
    if not isinstance(source, PiSource):
        raise SettingsError(settings.file, f"sources.{name}", "is no Pi; a capture needs kind 'pi'")
    return source


def said(
    client: paramiko.SSHClient, name: str, words: Sequence[str], timeout_s: float
) -> tuple[int, str, str]:
    """Run the capture program with these words: its status and both its outputs.

    Raises
    ------
    SourceUnreachable : there is no such program on the Pi
    """
    command = shlex.join([PROGRAM, *words])
    _, answer, complaint = client.exec_command(command, timeout=timeout_s)
    text = answer.read().decode("utf-8", "replace")
    status = answer.channel.recv_exit_status()
    trouble = complaint.read().decode("utf-8", "replace").strip()
    if status == 127:
        raise SourceUnreachable(
            f"{name}: the program {PROGRAM} is not there: run deploy/pi/install.sh on the Pi"
        )
    return status, text, trouble


def camera_status(settings: Settings, name: str, now_utc: datetime) -> CameraStatus:
    """What the Pi's capture is doing.

    Raises
    ------
    SourceUnreachable, LoginRefused, IdentityRefused, SettingsError
    """
    source = pi_of(settings, name)
    with ssh_connection(source, settings.secrets) as client:
        status, text, trouble = said(client, name, ["status"], COMMAND_TIMEOUT_S)
    if status != 0:
        raise SourceUnreachable(f"{name}: the Pi does not tell its state: {trouble}")
    try:
        content = json.loads(text)
        return _status(content, now_utc)
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceUnreachable(f"{name}: the Pi's state is not understood: {text!r}") from error


def _status(content: dict[str, Any], now_utc: datetime) -> CameraStatus:
    updated = content.get("updated")
    moment = datetime.fromisoformat(updated) if updated else None
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    phase = str(content.get("phase", ""))
    return CameraStatus(
        running=bool(content.get("running", phase not in ("done", "stopped"))),
        phase=phase,
        night=str(content.get("night", "")),
        frames=int(content.get("frames") or 0),
        lost=int(content.get("lost") or 0),
        last_frame=str(content.get("last_frame", "")),
        last_error=str(content.get("last_error", "")),
        alert=str(content.get("alert", "")),
        temperature_c=content.get("temperature_c"),
        disk_free_gb=content.get("disk_free_gb"),
        next_exposure_utc=str(content.get("next_exposure_utc", "")),
        age_s=None if moment is None else (now_utc - moment).total_seconds(),
    )


def stop_capture(settings: Settings, name: str) -> str:
    """End the Pi's capture after the frame in hand.

    Raises
    ------
    NothingToDo : none is under way
    """
    return _done(settings, name, ["stop"], COMMAND_TIMEOUT_S)


def take_series(settings: Settings, name: str, series: str, numbers: Sequence[str]) -> str:
    """Have the Pi take bias, darks, flats or a linearity series, and wait for it.

    Raises
    ------
    NothingToDo : the camera is busy, or the series is refused
    """
    return _done(settings, name, [series, *numbers], SERIES_TIMEOUT_S)


def capture_log(settings: Settings, name: str, night: date) -> str:
    """What the Pi wrote down of a night, its end where it is long. Raises `NothingToDo`."""
    source = pi_of(settings, name)
    path = f"{source.path.rstrip('/')}/{night.isoformat()}.log"
    with ssh_connection(source, settings.secrets) as client, client.open_sftp() as sftp:
        try:
            with sftp.open(path, "rb") as file:
                size = file.stat().st_size or 0
                file.seek(max(0, size - _MOST_LOG_BYTES))
                return file.read(_MOST_LOG_BYTES).decode("utf-8", "replace")
        except FileNotFoundError as error:
            raise NothingToDo(f"{name} has no log of the night of {night}") from error


def _done(settings: Settings, name: str, words: Sequence[str], timeout_s: float) -> str:
    source = pi_of(settings, name)
    with ssh_connection(source, settings.secrets) as client:
        status, text, trouble = said(client, name, words, timeout_s)
    if status != 0:
        raise NothingToDo(f"{name}: {trouble.removeprefix(f'{PROGRAM}: ') or text.strip()}")
    return text.strip()
