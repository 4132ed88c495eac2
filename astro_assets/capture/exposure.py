"""Automatic exposure through twilight: from one frame's level to the next one's exposure.

What belongs here: pure rules. What does not: cameras.
"""

from dataclasses import dataclass

from astro_assets.capture.config import AutoExposure

_LARGEST_STEP = 4.0
"""how much brighter or dimmer one frame may be made than the one before"""
_SATURATED = 0.95
_GAIN_STEP = 1.5
_FIRST_GAIN_ROOM = 10
"""a gain of 0 grows to this, for it does not by being multiplied"""


@dataclass(frozen=True, slots=True)
class Setting:
    """What the camera is set to; ``gain`` is None where it cannot be chosen."""

    exposure_s: float
    gain: int | None


def next_setting(now: Setting, level: float | None, limits: AutoExposure, lowest: int) -> Setting:
    """The setting that brings the next frame's level towards the target, in bounded steps.

    Exposure goes first: it is lengthened to its limit before the gain is raised, and the gain is
    lowered before the exposure is shortened.

    Parameters
    ----------
    level : median of the last frame as a share of its range; None leaves all as it is
    lowest : the gain that the configuration names, below which it is never set
    """
    if level is None:
        return now
    factor = 1 / _LARGEST_STEP if level >= _SATURATED else limits.target_level / max(level, 1e-4)
    factor = min(max(factor, 1 / _LARGEST_STEP), _LARGEST_STEP)
    gain = now.gain
    if factor < 1 and gain is not None and gain > lowest:
        return Setting(now.exposure_s, max(lowest, int(gain / min(1 / factor, _GAIN_STEP))))
    exposure_s = now.exposure_s * factor
    if exposure_s <= limits.max_exposure_s:
        return Setting(max(exposure_s, limits.min_exposure_s), gain)
    if gain is not None and limits.max_gain is not None and now.exposure_s >= limits.max_exposure_s:
        higher = max(int(gain * min(factor, _GAIN_STEP)), gain + 1, _FIRST_GAIN_ROOM)
        gain = min(higher, max(limits.max_gain, lowest))
    return Setting(limits.max_exposure_s, gain)
