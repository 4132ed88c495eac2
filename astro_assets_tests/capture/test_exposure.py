"""Automatic exposure: converges through twilight, in bounded steps, within its limits."""

import pytest

from astro_assets.capture.config import AutoExposure
from astro_assets.capture.exposure import Setting, next_setting

LIMITS = AutoExposure(min_exposure_s=0.001, max_exposure_s=30.0, max_gain=300, target_level=0.3)


def level(sky: float, setting: Setting) -> float:
    """A camera's median, as a share: a pedestal, and light by exposure and gain."""
    return min(1.0, 0.01 + sky * setting.exposure_s * (1 + (setting.gain or 0) / 100))


@pytest.mark.parametrize("sky", [100.0, 1.0, 0.05])
@pytest.mark.parametrize("first_s", [0.001, 1.0, 30.0])
def test_it_reaches_the_target(sky: float, first_s: float) -> None:
    setting = Setting(first_s, 0)
    for _ in range(12):
        setting = next_setting(setting, level(sky, setting), LIMITS, 0)
    assert level(sky, setting) == pytest.approx(0.3, abs=0.03)


def test_through_twilight_no_frame_is_white_and_no_step_is_large() -> None:
    setting, sky = Setting(0.001, 0), 300.0
    before = setting
    for _ in range(200):  # the sky halves every other frame, then stays dark
        sky = max(sky * 0.7, 0.002)
        assert level(sky, setting) < 0.95
        setting = next_setting(setting, level(sky, setting), LIMITS, 0)
        assert setting.exposure_s <= 4 * before.exposure_s
        assert LIMITS.min_exposure_s <= setting.exposure_s <= LIMITS.max_exposure_s
        assert 0 <= (setting.gain or 0) <= 300
        before = setting
    assert setting == Setting(30.0, 300)


def test_at_dawn_the_gain_goes_before_the_exposure() -> None:
    setting = Setting(30.0, 300)
    setting = next_setting(setting, 0.99, LIMITS, 0)
    assert setting.exposure_s == 30.0
    assert setting.gain is not None
    assert setting.gain < 300
    for _ in range(40):
        setting = next_setting(setting, level(300.0, setting), LIMITS, 0)
    assert level(300.0, setting) == pytest.approx(0.3, abs=0.05)


def test_a_camera_that_does_not_tell_its_level_is_left_alone() -> None:
    assert next_setting(Setting(1.0, None), None, LIMITS, 0) == Setting(1.0, None)
