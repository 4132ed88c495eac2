"""The words of a configuration as values: seconds, fractions, counts, shares, pins.

What belongs here: one word at a time; each raises `ValueError` with what was expected. What does
not: sections and keys (`config`).
"""

from dataclasses import dataclass
from fractions import Fraction

from astro_assets.night import Twilight

_TWILIGHTS: tuple[Twilight, ...] = ("sunset", "civil", "nautical", "astronomical")


@dataclass(frozen=True, slots=True)
class Roi:
    """The part of the sensor that is read, in binned pixels."""

    x: int
    y: int
    width: int
    height: int


def number(text: str, what: str) -> float:
    """A decimal number or a fraction such as 1/30; a decimal comma is understood."""
    try:
        value = float(Fraction(text.replace(" ", "").replace(",", ".")))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ValueError(what) from error
    return value


def seconds(text: str) -> float:
    """Seconds above 0, also as a fraction."""
    value = number(text.removesuffix("s"), "seconds, such as 30 or 1/30")
    if not 0 < value <= 24 * 3600:
        raise ValueError("seconds above 0")
    return value


def exposure(text: str) -> float | None:
    """Seconds, or None for ``Auto``."""
    if text.lower() == "auto":
        return None
    try:
        return seconds(text)
    except ValueError as error:
        raise ValueError("seconds such as 30 or 1/30, or Auto") from error


def count(text: str) -> int:
    """A whole number, 0 or more."""
    value = number(text, "a whole number")
    if value < 0 or value != int(value):
        raise ValueError("a whole number, 0 or more")
    return int(value)


def iso(text: str) -> int | None:
    """A whole number, or None for ``Auto``."""
    return None if text.lower() == "auto" else count(text)


def positive(text: str) -> float:
    """A number above 0."""
    value = number(text, "a number above 0")
    if value <= 0:
        raise ValueError("a number above 0")
    return value


def not_negative(text: str) -> float:
    """Minutes, 0 or more."""
    value = number(text, "minutes, such as 1 or 1/2")
    if value < 0:
        raise ValueError("minutes, 0 or more")
    return value


def share(text: str) -> float:
    """A share between 0 and 1."""
    value = number(text, "a share between 0 and 1, such as 0.3")
    if not 0 < value < 1:
        raise ValueError("a share between 0 and 1, such as 0.3")
    return value


def temperature(text: str) -> float:
    """Degrees Celsius that a cooler may have."""
    value = number(text, "degrees Celsius")
    if not -80 <= value <= 40:
        raise ValueError("degrees Celsius between -80 and 40")
    return value


def binning(text: str) -> int:
    """1 to 8."""
    value = count(text)
    if not 1 <= value <= 8:
        raise ValueError("1 to 8")
    return value


def pin(text: str) -> int:
    """A GPIO pin by its BCM number."""
    value = count(text)
    if value > 27:
        raise ValueError("a GPIO pin, 0 to 27")
    return value


def travel(text: str) -> float:
    """Degrees that a cable takes: 360 at most."""
    value = positive(text)
    if value > 360:
        raise ValueError("degrees, 360 at most: the cable does not take more")
    return value


def roi(text: str) -> Roi:
    """Four numbers in pixels."""
    what = "x, y, width, height in pixels"
    parts = text.replace(",", " ").split()
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ValueError(what)
    x, y, width, height = (int(part) for part in parts)
    if not (width and height):
        raise ValueError(what)
    return Roi(x, y, width, height)


def twilight(text: str) -> Twilight:
    """One of the four twilights."""
    for name in _TWILIGHTS:
        if text.lower() == name:
            return name
    raise ValueError(f"one of {', '.join(_TWILIGHTS)}")
