"""The azimuth motor, on gpiozero's mock pins: never past its range, whatever is pulled when."""

import contextlib
from pathlib import Path

import pytest
from gpiozero import OutputDevice
from gpiozero.pins.mock import MockFactory

from astro_assets.capture.config import MotorConfig
from astro_assets.capture.motor import STEP_DEG, Motor
from astro_assets.errors import SettingsError

CONFIG = MotorConfig(pins=(17, 18, 27, 22), step_deg=50.0, range_deg=180.0)


class PowerCut(Exception):
    pass


class Shaft:
    """Follows the mock pins: a half step for each change of phase."""

    def __init__(self, tmp_path: Path) -> None:
        self.factory = MockFactory()
        self.memory = tmp_path / "motor.json"
        self.steps = 0
        self.cut_after: int | None = None
        self.phases = [(1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 0),
                       (0, 0, 1, 1), (0, 0, 0, 1), (1, 0, 0, 1)]  # fmt: skip
        self.phase = 0

    def motor(self) -> Motor:
        self.factory.reset()
        self.pins = [OutputDevice(pin, pin_factory=self.factory) for pin in CONFIG.pins]
        return Motor(CONFIG, self.memory, self.pins, self.turned)

    def turned(self, _pause_s: float) -> None:
        phase = self.phases.index(tuple(int(pin.value) for pin in self.pins))
        change = (phase - self.phase) % 8
        if change in (1, 7):
            self.steps += 1 if change == 1 else -1
        self.phase = phase
        if self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after <= 0:
                raise PowerCut


@pytest.fixture
def shaft(tmp_path: Path) -> Shaft:
    return Shaft(tmp_path)


def test_it_sweeps_back_and_forth_within_its_range(shaft: Shaft) -> None:
    motor = shaft.motor()
    seen = []
    for _ in range(20):
        motor.sweep()
        seen.append(motor.azimuth_deg)
        assert shaft.steps * STEP_DEG == pytest.approx(motor.azimuth_deg, abs=0.01)
        assert -0.01 <= shaft.steps * STEP_DEG <= 180.01
    assert seen[:5] == pytest.approx([50, 100, 150, 180, 130], abs=0.2)
    assert all(pin.value == 0 for pin in shaft.pins)


def test_it_remembers_where_it_stands(shaft: Shaft) -> None:
    motor = shaft.motor()
    motor.sweep()
    motor.close()
    again = shaft.motor()
    assert again.azimuth_deg == motor.azimuth_deg
    again.sweep()
    assert again.azimuth_deg == pytest.approx(100, abs=0.2)


def test_power_cuts_never_wind_it_past_an_end(shaft: Shaft) -> None:
    cuts = 0
    for cut in range(1, 40):
        motor = shaft.motor()
        shaft.cut_after = 37 * cut % 500 + 1
        with contextlib.suppress(PowerCut):
            for _ in range(5):
                motor.sweep()
        cuts += shaft.cut_after <= 0
        assert -1 <= shaft.steps <= 180 / STEP_DEG + 1
    assert cuts > 20


def test_a_damaged_memory_is_said_and_nothing_turns(shaft: Shaft) -> None:
    shaft.memory.write_text("{")
    with pytest.raises(SettingsError, match="turn the motor back"):
        shaft.motor()
