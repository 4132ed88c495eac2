"""`status.json`: what the capture is doing, for whoever looks from outside.

What belongs here: its words and how it is written. What does not: who reads it.
"""

import json
import os
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

FILE_NAME = "status.json"


class Phase(StrEnum):
    """How far the night is."""

    WAITING = "waiting"
    EXPOSING = "exposing"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Status:
    """The capture at one moment.

    frames : published this night
    lost : exposures that were begun and gave no frame
    last_error : the last thing that went wrong, and when
    next_exposure_utc : when the next one is due
    """

    night: str
    camera: str
    phase: Phase
    dusk_utc: str
    dawn_utc: str
    frames: int = 0
    lost: int = 0
    last_frame: str = ""
    last_frame_utc: str = ""
    last_error: str = ""
    last_error_utc: str = ""
    temperature_c: float | None = None
    next_exposure_utc: str = ""
    alert: str = ""

    def failed(self, sentence: str, now_utc: datetime) -> "Status":
        return replace(self, last_error=sentence, last_error_utc=iso(now_utc))


def write_status(folder: Path, status: Status) -> bool:
    """Replace the file in one step; False where the card does not take it.

    The heartbeat must go on when the card is full or read-only, so that is no error here. It is
    dated by this machine's clock, also in a rehearsal with another.
    """
    content: dict[str, Any] = {
        **asdict(status),
        "updated": iso(datetime.now(UTC)),
        "pid": os.getpid(),
        "disk_free_gb": _free_gb(folder),
    }
    part = folder / f".{FILE_NAME}.part"
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=1) + "\n")
        part.replace(folder / FILE_NAME)
    except OSError:
        return False
    return True


def read_status(folder: Path) -> dict[str, Any] | None:
    """What the file says; None when there is none that can be read."""
    try:
        content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def iso(moment: datetime) -> str:
    """In UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _free_gb(folder: Path) -> float | None:
    try:
        return round(shutil.disk_usage(folder).free / 1e9, 3)
    except OSError:
        return None
