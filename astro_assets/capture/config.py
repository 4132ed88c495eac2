"""The camera's `config.ini`, as its users keep it, read into types.

What belongs here: keys, units, limits, and the sentences for mistakes. What does not: what is done
with them.
"""

import configparser
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

from astro_assets.capture.place import Place, read_place
from astro_assets.errors import SettingsError
from astro_assets.night import Twilight

ZWO = "zwo"
SIMULATED = "simulated"

_T = TypeVar("_T")
_TWILIGHTS: tuple[Twilight, ...] = ("sunset", "civil", "nautical", "astronomical")
_COMMENT_SIGNS = ("#", ";")


@dataclass(frozen=True, slots=True)
class AutoExposure:
    """Within what bounds an automatic exposure may move.

    target_level : median of the frame as a share of its full range
    """

    min_exposure_s: float = 0.001
    max_exposure_s: float = 30.0
    max_gain: int | None = None
    target_level: float = 0.3


@dataclass(frozen=True, slots=True)
class Roi:
    """The part of the sensor that is read, in binned pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """Which camera, and how it is set.

    brand : as written; `uses_zwo` and `is_simulated` say which library serves it
    exposure_s : None for ``Auto``
    gain : ISO for cameras that have ISO
    library : the ZWO library's file, where it is not in a place that the system searches
    """

    brand: str
    model: str
    exposure_s: float | None
    gain: int | None
    cadence_s: float
    image_format: str = "RAW"
    offset: int | None = None
    binning: int = 1
    set_temperature_c: float | None = None
    roi: Roi | None = None
    library: Path | None = None
    auto: AutoExposure = field(default_factory=AutoExposure)

    @property
    def uses_zwo(self) -> bool:
        return self.brand.lower() == ZWO

    @property
    def is_simulated(self) -> bool:
        return self.brand.lower() == SIMULATED

    @property
    def name(self) -> str:
        return f"{self.brand} {self.model}".strip()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long frames stay after the collecting side has confirmed them.

    disk_floor_gb : with less than this no picture is taken any more
    """

    keep_days: float = 14.0
    disk_floor_gb: float = 1.0


@dataclass(frozen=True, slots=True)
class MotorConfig:
    """The azimuth stepper: its GPIO pins (BCM), and how far it turns between two frames."""

    pins: tuple[int, int, int, int]
    step_deg: float
    range_deg: float = 360.0


@dataclass(frozen=True, slots=True)
class Config:
    """All of `config.ini`. ``warnings`` are sentences about what was read with a doubt."""

    file: Path
    camera: CameraConfig
    save: Path
    place: Place | None
    twilight: Twilight
    retention: Retention
    motor: MotorConfig | None
    warnings: tuple[str, ...] = ()


def read_config(file: Path) -> Config:
    """Read `config.ini`.

    Raises
    ------
    SettingsError : the file cannot be read, or a key is missing or impossible; names section, key
    """
    ini = _Ini(file)
    place, doubts = read_place(
        ini.file, ini.optional("Location", "latitude"), ini.optional("Location", "longitude")
    )
    usual = Retention()
    return Config(
        file=file,
        camera=_camera(ini),
        save=_path(file, ini.optional("Paths", "FILE_SAVE") or "captures"),
        place=place,
        twilight=ini.read("Night", "Twilight", _twilight, "nautical"),
        retention=Retention(
            keep_days=ini.read("Retention", "Keep_Days", _positive, usual.keep_days),
            disk_floor_gb=ini.read("Retention", "Disk_Floor_GB", _positive, usual.disk_floor_gb),
        ),
        motor=_motor(ini),
        warnings=doubts,
    )


def _camera(ini: "_Ini") -> CameraConfig:
    auto = AutoExposure(
        min_exposure_s=ini.read("AutoExposure", "Min_Exposure", _seconds, 0.001),
        max_exposure_s=ini.read("AutoExposure", "Max_Exposure", _seconds, 30.0),
        max_gain=ini.read("AutoExposure", "Max_Gain", _count, None),
        target_level=ini.read("AutoExposure", "Target_Level", _share, 0.3),
    )
    if auto.min_exposure_s > auto.max_exposure_s:
        raise ini.mistake("AutoExposure", "Min_Exposure", "no more than Max_Exposure")
    library = ini.optional("Camera", "Library")
    return CameraConfig(
        brand=ini.required("Camera", "Brand"),
        model=ini.required("Camera", "Model"),
        exposure_s=ini.need("Camera", "Exposure", _exposure),
        gain=ini.need("Camera", "ISO", _iso)
        if not ini.optional("Camera", "Gain")
        else ini.need("Camera", "Gain", _count),
        cadence_s=60 * ini.need("Camera", "Image_Frequency", _not_negative),
        image_format=ini.required("Camera", "Image_Format"),
        offset=ini.read("Camera", "Offset", _count, None),
        binning=ini.read("Camera", "Binning", _binning, 1),
        set_temperature_c=ini.read("Camera", "Cooling", _temperature, None),
        roi=ini.read("Camera", "ROI", _roi, None),
        library=_path(ini.file, library) if library else None,
        auto=auto,
    )


def _motor(ini: "_Ini") -> MotorConfig | None:
    if not ini.has("MotorAzi"):
        return None
    pins = tuple(ini.need("MotorAzi", f"ms{number}", _pin) for number in (1, 2, 3, 4))
    if len(set(pins)) < 4:
        raise ini.mistake("MotorAzi", "ms1", "four different pins in ms1 to ms4")
    return MotorConfig(
        pins=(pins[0], pins[1], pins[2], pins[3]),
        step_deg=ini.need("MotorAzi", "step_size", _positive),
        range_deg=ini.read("MotorAzi", "range", _range, 360.0),
    )


class _Ini:
    """The file's words by section and key, with comments behind a value taken off."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._parser = configparser.ConfigParser(
            interpolation=None, inline_comment_prefixes=_COMMENT_SIGNS
        )
        try:
            self._parser.read_string(file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError as error:
            raise SettingsError(file, "", "there is no such file; copy the example") from error
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(file, "", f"cannot be read ({error})") from error
        except configparser.Error as error:
            reason = " ".join(str(error).split())
            raise SettingsError(file, "", f"is not understood ({reason})") from error
        self._sections = {name.lower(): name for name in self._parser.sections()}

    def has(self, section: str) -> bool:
        return section.lower() in self._sections

    def optional(self, section: str, key: str) -> str:
        """The value, or "" where there is none."""
        name = self._sections.get(section.lower())
        return self._parser.get(name, key, fallback="").strip() if name else ""

    def required(self, section: str, key: str) -> str:
        value = self.optional(section, key)
        if not value:
            raise self.mistake(section, key, "is missing; write it")
        return value

    def need(self, section: str, key: str, convert: Callable[[str], _T]) -> _T:
        return self._converted(section, key, self.required(section, key), convert)

    def read(self, section: str, key: str, convert: Callable[[str], _T], default: _T) -> _T:
        value = self.optional(section, key)
        return self._converted(section, key, value, convert) if value else default

    def mistake(self, section: str, key: str, expected: str) -> SettingsError:
        return SettingsError(self.file, f"[{section}] {key}", expected)

    def _converted(self, section: str, key: str, value: str, convert: Callable[[str], _T]) -> _T:
        try:
            return convert(value)
        except (ValueError, ZeroDivisionError) as error:
            raise self.mistake(section, key, f"{error}; it says {value!r}") from error


def _number(text: str, what: str) -> float:
    """A decimal number or a fraction such as 1/30; a decimal comma is understood."""
    try:
        value = float(Fraction(text.replace(" ", "").replace(",", ".")))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise ValueError(what) from error
    return value


def _seconds(text: str) -> float:
    value = _number(text.removesuffix("s"), "seconds, such as 30 or 1/30")
    if not 0 < value <= 24 * 3600:
        raise ValueError("seconds above 0")
    return value


def _exposure(text: str) -> float | None:
    if text.lower() == "auto":
        return None
    try:
        return _seconds(text)
    except ValueError as error:
        raise ValueError("seconds such as 30 or 1/30, or Auto") from error


def _count(text: str) -> int:
    value = _number(text, "a whole number")
    if value < 0 or value != int(value):
        raise ValueError("a whole number, 0 or more")
    return int(value)


def _iso(text: str) -> int | None:
    return None if text.lower() == "auto" else _count(text)


def _positive(text: str) -> float:
    value = _number(text, "a number above 0")
    if value <= 0:
        raise ValueError("a number above 0")
    return value


def _not_negative(text: str) -> float:
    value = _number(text, "minutes, such as 1 or 1/2")
    if value < 0:
        raise ValueError("minutes, 0 or more")
    return value


def _share(text: str) -> float:
    value = _number(text, "a share between 0 and 1, such as 0.3")
    if not 0 < value < 1:
        raise ValueError("a share between 0 and 1, such as 0.3")
    return value


def _temperature(text: str) -> float:
    value = _number(text, "degrees Celsius")
    if not -80 <= value <= 40:
        raise ValueError("degrees Celsius between -80 and 40")
    return value


def _binning(text: str) -> int:
    value = _count(text)
    if not 1 <= value <= 8:
        raise ValueError("1 to 8")
    return value


def _pin(text: str) -> int:
    value = _count(text)
    if value > 27:
        raise ValueError("a GPIO pin, 0 to 27")
    return value


def _range(text: str) -> float:
    value = _positive(text)
    if value > 360:
        raise ValueError("degrees, 360 at most: the cable does not take more")
    return value


def _roi(text: str) -> Roi:
    what = "x, y, width, height in pixels"
    parts = text.replace(",", " ").split()
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        raise ValueError(what)
    x, y, width, height = (int(part) for part in parts)
    if not (width and height):
        raise ValueError(what)
    return Roi(x, y, width, height)


def _twilight(text: str) -> Twilight:
    for twilight in _TWILIGHTS:
        if text.lower() == twilight:
            return twilight
    raise ValueError(f"one of {', '.join(_TWILIGHTS)}")


def _path(file: Path, text: str) -> Path:
    """A path; relative ones count from the folder of the configuration."""
    return file.absolute().parent / Path(text).expanduser()
