"""The camera's `config.ini`, as its users keep it, read into types.

What belongs here: keys, units, limits, and the sentences for mistakes. What does not: what is done
with them.
"""

import configparser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from astro_assets.capture import words
from astro_assets.capture.place import Place, read_place
from astro_assets.errors import SettingsError
from astro_assets.night import Twilight

ZWO = "zwo"
SIMULATED = "simulated"

_T = TypeVar("_T")
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
class CameraConfig:
    """Which camera, and how it is set.

    brand : as written; `uses_zwo` and `is_simulated` say which library serves it
    exposure_s : None for ``Auto``
    gain : ISO for cameras that have ISO
    library : the ZWO library's file, where it is not in a place that the system searches
    bulb_from_s : longer exposures are held open from here; None: those that the camera cannot time
    settings : of a gphoto2 camera, by name, label or path, and what they are set to
    frames : for rehearsals, FITS files that the simulated camera hands out as what it saw
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
    roi: words.Roi | None = None
    library: Path | None = None
    frames: Path | None = None
    bulb_from_s: float | None = None
    settings: tuple[tuple[str, str], ...] = ()
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
        twilight=ini.read("Night", "Twilight", words.twilight, "nautical"),
        retention=Retention(
            keep_days=ini.read("Retention", "Keep_Days", words.positive, usual.keep_days),
            disk_floor_gb=ini.read(
                "Retention", "Disk_Floor_GB", words.positive, usual.disk_floor_gb
            ),
        ),
        motor=_motor(ini),
        warnings=doubts,
    )


def _camera(ini: "_Ini") -> CameraConfig:
    auto = AutoExposure(
        min_exposure_s=ini.read("AutoExposure", "Min_Exposure", words.seconds, 0.001),
        max_exposure_s=ini.read("AutoExposure", "Max_Exposure", words.seconds, 30.0),
        max_gain=ini.read("AutoExposure", "Max_Gain", words.count, None),
        target_level=ini.read("AutoExposure", "Target_Level", words.share, 0.3),
    )
    if auto.min_exposure_s > auto.max_exposure_s:
        raise ini.mistake("AutoExposure", "Min_Exposure", "no more than Max_Exposure")
    library, frames = ini.optional("Camera", "Library"), ini.optional("Camera", "Frames")
    return CameraConfig(
        brand=ini.required("Camera", "Brand"),
        model=ini.required("Camera", "Model"),
        exposure_s=ini.need("Camera", "Exposure", words.exposure),
        gain=ini.need("Camera", "ISO", words.iso)
        if not ini.optional("Camera", "Gain")
        else ini.need("Camera", "Gain", words.count),
        cadence_s=60 * ini.need("Camera", "Image_Frequency", words.not_negative),
        image_format=ini.required("Camera", "Image_Format"),
        offset=ini.read("Camera", "Offset", words.count, None),
        binning=ini.read("Camera", "Binning", words.binning, 1),
        set_temperature_c=ini.read("Camera", "Cooling", words.temperature, None),
        roi=ini.read("Camera", "ROI", words.roi, None),
        library=_path(ini.file, library) if library else None,
        frames=_path(ini.file, frames) if frames else None,
        bulb_from_s=ini.read("Camera", "Bulb", words.seconds, None),
        settings=ini.entries("Gphoto2"),
        auto=auto,
    )


def _motor(ini: "_Ini") -> MotorConfig | None:
    if not ini.has("MotorAzi"):
        return None
    pins = tuple(ini.need("MotorAzi", f"ms{number}", words.pin) for number in (1, 2, 3, 4))
    if len(set(pins)) < 4:
        raise ini.mistake("MotorAzi", "ms1", "four different pins in ms1 to ms4")
    return MotorConfig(
        pins=(pins[0], pins[1], pins[2], pins[3]),
        step_deg=ini.need("MotorAzi", "step_size", words.positive),
        range_deg=ini.read("MotorAzi", "range", words.travel, 360.0),
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

    def entries(self, section: str) -> tuple[tuple[str, str], ...]:
        """All keys of a section, in small letters, with their values."""
        name = self._sections.get(section.lower())
        return (
            tuple((key, value.strip()) for key, value in self._parser.items(name)) if name else ()
        )

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


def _path(file: Path, text: str) -> Path:
    """A path; relative ones count from the folder of the configuration."""
    return file.absolute().parent / Path(text).expanduser()
