"""How far a Pi's capture is, in words: for the demo's progress bar.

What belongs here: asking over SSH, at leisure. What does not: what the answer is made of
(`steps.pi_camera`), the sensor that asks for Dagster (`follow`).
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from astro_assets.errors import AstroAssetsError
from astro_assets.settings import Settings
from astro_assets.steps.pi_camera import camera_status

_ASK_EVERY_S = 4.0


@dataclass(frozen=True, slots=True)
class Capture:
    """Frames so far, and what the camera is doing."""

    frames: int
    sentence: str


class CaptureWatch:
    """Asks one Pi until its night is over."""

    def __init__(self, settings: Settings, source: str) -> None:
        self._settings = settings
        self._source = source
        self._last = Capture(0, f"{source}: the camera is being armed")
        self._over = False
        self._next_s = 0.0

    def look(self) -> Capture:
        """What is known now; a Pi that does not answer is told in the place of its state."""
        if self._over or time.monotonic() < self._next_s:
            return self._last
        try:
            status = camera_status(self._settings, self._source, datetime.now(UTC))
        except AstroAssetsError as error:
            self._last = Capture(self._last.frames, str(error))
        else:
            self._over = status.over
            last = f", the last one {status.last_frame}" if status.last_frame else ""
            self._last = Capture(
                status.frames, f"{self._source}: {status.phase}, {status.frames} frames taken{last}"
            )
        self._next_s = time.monotonic() + _ASK_EVERY_S
        return self._last
