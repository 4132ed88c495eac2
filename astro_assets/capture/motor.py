"""The azimuth stepper: a 28BYJ-48 behind a ULN2003, swept back and forth, never past its range.

What belongs here: steps, pins (through `gpiozero`), and where it stands. What does not: when it
turns (`loop`).

The position is written down before and after each move, as the range that it is in for sure: a
power cut in the middle of a move widens the range, and no move leads any part of it over an end.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from astro_assets.capture.config import MotorConfig
from astro_assets.errors import SettingsError

STEP_DEG = 5.625 / 64
"""of the output shaft, for a half step (data sheet of the 28BYJ-48)"""
_HALF_STEPS = (
    (1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0),
    (0, 0, 1, 0), (0, 0, 1, 1), (0, 0, 0, 1), (1, 0, 0, 1),
)  # fmt: skip
_PAUSE_S = 0.002
_PIECE = 64
"""half steps that are written down at once: what a power cut may cost in certainty"""


class Pin(Protocol):
    """An output; `gpiozero.OutputDevice` is one."""

    value: Any

    def close(self) -> None: ...


class Motor:
    """Turns by the configured step after each frame; at either end it turns back."""

    def __init__(
        self,
        config: MotorConfig,
        memory: Path,
        pins: Sequence[Pin],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._memory = memory
        self._pins = pins
        self._pause = pause
        self._low, self._high, self._direction = _remembered(memory)
        self._last = round(config.range_deg / STEP_DEG)

    @property
    def azimuth_deg(self) -> float:
        """From the end where it began."""
        return round((self._low + self._high) / 2 * STEP_DEG, 3)

    def sweep(self) -> None:
        """One move of ``step_deg``; at either end the direction changes first."""
        wanted = max(1, round(self._config.step_deg / STEP_DEG))
        if self._within(self._direction * wanted) == 0:
            self._direction = -self._direction
        left = self._within(self._direction * wanted)
        while left:
            piece = max(-_PIECE, min(left, _PIECE))
            self._move(piece)
            left -= piece

    def _within(self, steps: int) -> int:
        """So many steps, or as many as the end allows."""
        return max(-self._low, min(steps, self._last - self._high))

    def _move(self, steps: int) -> None:
        low, high = self._low, self._high
        self._remember(low + min(steps, 0), high + max(steps, 0))
        way = 1 if steps > 0 else -1
        for step in range(way, steps + way, way):
            self._energize((low + step) % len(_HALF_STEPS))
            self._pause(_PAUSE_S)
        self._release()
        self._low, self._high = low + steps, high + steps
        self._remember(self._low, self._high)

    def close(self) -> None:
        self._release()
        for pin in self._pins:
            pin.close()

    def _energize(self, phase: int) -> None:
        for pin, value in zip(self._pins, _HALF_STEPS[phase], strict=True):
            pin.value = value

    def _release(self) -> None:
        """No current at rest: the motor gets hot otherwise, and the battery empty."""
        for pin in self._pins:
            pin.value = 0

    def _remember(self, low: int, high: int) -> None:
        part = self._memory.with_name(f".{self._memory.name}.part")
        with part.open("w", encoding="ascii") as file:
            json.dump({"low": low, "high": high, "direction": self._direction}, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._memory)


def open_motor(config: MotorConfig, captures: Path) -> Motor:
    """The motor on this Pi's pins."""
    from gpiozero import OutputDevice

    return Motor(config, captures / ".motor.json", [OutputDevice(pin) for pin in config.pins])


def _remembered(memory: Path) -> tuple[int, int, int]:
    try:
        content = json.loads(memory.read_text(encoding="ascii"))
        return int(content["low"]), int(content["high"]), 1 if content["direction"] > 0 else -1
    except FileNotFoundError:
        return 0, 0, 1
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            memory, "", "is damaged; turn the motor back to its start by hand, then remove the file"
        ) from error
