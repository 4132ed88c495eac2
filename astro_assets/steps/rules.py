"""Which master fits which frame: the rules, as a table.

What belongs here: the table, and what one of its lines says of a master and a frame. What does
not: the choice among those that fit (`matching`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from astro_assets.steps.setup import CAMERA_PARTS, camera_parts

TEMPERATURE_TOLERANCE_C = 2.0
"""A dark from a sensor warmer or colder than this has another dark current."""
EXPOSURE_TOLERANCE = 0.01
"""relative; the same that calibration allows before it scales a dark"""
OLD_DAYS: Mapping[str, int] = {"bias": 365, "dark": 365, "flat": 60, "bad_pixels": 365}
"""A master taken so long before or after the frame is used with a warning."""


class Untold(Enum):
    """What it means when the master or the frame does not tell a property."""

    DIFFERS = auto()
    SERVES = auto()
    WARNS = auto()
    MASTER_SERVES = auto()
    """a master that does not tell it serves all"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a master and a frame have to have in common.

    masters : the kinds of master that it holds for; ``detector`` for those that only tell the
        read noise or the gain
    prop : the property, of `Setup` and `MasterFile`, or a part of the camera configuration
    shown : how a value is worded
    within : by how much numbers may differ; None for what must be equal
    only_warns : a difference is told, and the master still serves
    """

    masters: tuple[str, ...]
    prop: str
    shown: str
    within: float | None = None
    only_warns: bool = False
    untold: Untold = Untold.SERVES


_RAW = ("bias", "dark")
_ALL = (*_RAW, "flat", "bad_pixels")

RULES: tuple[Rule, ...] = (
    Rule((*_ALL, "detector"), "instrument", "camera {}", untold=Untold.DIFFERS),
    Rule((*_ALL, "detector"), "binning", "binning {}", untold=Untold.DIFFERS),
    Rule(_ALL, "shape", "{0[1]} x {0[0]} px", untold=Untold.DIFFERS),
    Rule((*_RAW, "bad_pixels"), "gain", "gain {}", untold=Untold.DIFFERS),
    Rule(("flat", "detector"), "gain", "gain {}", untold=Untold.MASTER_SERVES),
    Rule((*_RAW, "bad_pixels"), "offset", "offset {}", untold=Untold.DIFFERS),
    Rule(("flat", "detector"), "offset", "offset {}", untold=Untold.MASTER_SERVES),
    Rule((*_RAW, "detector"), "read_mode", "read mode {}"),
    Rule(("flat", "bad_pixels"), "read_mode", "read mode {}", only_warns=True),
    Rule(("dark",), "temperature_c", "{:g} °C", TEMPERATURE_TOLERANCE_C, untold=Untold.WARNS),
    Rule(("bias",), "temperature_c", "{:g} °C", 10.0, only_warns=True),
    Rule(("flat",), "filter", "filter {}", untold=Untold.DIFFERS),
    Rule(_ALL, "bayer_matrix", "colour matrix {}"),
    Rule(("flat",), "rotator_deg", "rotator at {:g}°", 2.0, only_warns=True),
)
"""Exposure and age are no lines: a longer dark may be scaled, and of old ones the nearest serves
(`matching`)."""


def broken(kind: str, master: Any, frame: Any) -> tuple[list[str], list[str]]:
    """Reasons why a master does not serve a frame, and what is to be told if it does.

    Parameters
    ----------
    kind : of the master, as in `Rule.masters`
    master, frame : `MasterFile` and `Setup`, or two of the latter
    """
    reasons: list[str] = []
    warnings: list[str] = []
    for rule in RULES:
        if kind not in rule.masters:
            continue
        theirs, own = _value(master, rule.prop), _value(frame, rule.prop)
        if theirs == own:
            continue
        if theirs is None or own is None:
            _judge_untold(rule, theirs, own, reasons, warnings)
        elif rule.within is None or not abs(theirs - own) <= rule.within:
            sentence = f"{rule.shown.format(theirs)} is not {rule.shown.format(own)}"
            (warnings if rule.only_warns else reasons).append(sentence)
    return reasons, warnings


def _judge_untold(
    rule: Rule, theirs: Any, own: Any, reasons: list[str], warnings: list[str]
) -> None:
    name = rule.prop.removesuffix("_c").removesuffix("_deg").replace("_", " ")
    known = rule.shown.format(own if theirs is None else theirs)
    who = "the master" if theirs is None else "the frame"
    sentence = f"{who} tells no {name}, where the other has {known}"
    if rule.untold is Untold.DIFFERS or (rule.untold is Untold.MASTER_SERVES and own is None):
        (warnings if rule.only_warns else reasons).append(sentence)
    elif rule.untold is Untold.WARNS:
        warnings.append(sentence)


def _value(thing: Any, prop: str) -> Any:
    if prop in CAMERA_PARTS:
        return camera_parts(thing.camera)[prop]
    if prop == "bayer_matrix":  # upside down it is the same detector, turned
        pattern = thing.bayer_pattern
        return None if pattern is None else min(pattern, pattern[::-1])
    return getattr(thing, prop)
