"""Cameras that libgphoto2 drives (Canon, Nikon, Sony …), through python-gphoto2.

What belongs here: the order of calls, settings by name or label, bulb, pairs of files. What does
not: what is tried again (`hands`), which names the frames get (`frames`).
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from astro_assets.capture.cameras.protocol import CameraFailed, Shot, Taken
from astro_assets.capture.config import CameraConfig
from astro_assets.capture.header import exposure_dates

log = logging.getLogger(__name__)

_SHUTTER = ("shutterspeed", "shutterspeed2", "exptime", "Shutter Speed")
_ISO = ("iso", "ISO Speed", "ISO")
_FORMAT = ("imageformat", "imagequality", "Image Format", "Image Quality")
_BULB = ("bulb", "Bulb Mode")
_TARGET = ("capturetarget", "Capture Target")
_BULB_WORDS = ("bulb", "time")
_EVENT_MS = 200
_FILE_S = 40.0
"""how long after an exposure its files may come"""


class GphotoCamera:
    """One camera. What it wrote stays on it until the next exposure has begun."""

    def __init__(self, config: CameraConfig, stretch: Callable[[float], float]) -> None:
        """``stretch`` says how many real seconds a wait of so many seconds may take."""
        self._config = config
        self._stretch = stretch
        self._camera: Any = None
        self._name = config.name
        self._fetched: list[tuple[str, str]] = []
        self._files = 1
        """that an exposure gives"""
        self._settings: list[tuple[str, str, str]] = []

    def open(self) -> str:
        import gphoto2

        try:
            self._name, address = self._detected(gphoto2)
            self._camera = gphoto2.Camera()
            ports = gphoto2.PortInfoList()
            ports.load()
            self._camera.set_port_info(ports[ports.lookup_path(address)])
            self._camera.init()
            # Once: reading all of them takes a real camera seconds.
            self._settings = list(_settings(self._camera.get_config(), ""))
            self._choose(_TARGET, "Internal RAM")
            # As the cameras name it: NEF+Fine, RAW + Large Fine JPEG.
            self._files = 2 if "+" in self._choose(_FORMAT, self._config.image_format) else 1
            for key, value in self._config.settings:
                self._choose((key,), value)
        except gphoto2.GPhoto2Error as error:
            raise self._failed("does not open", error) from error
        return self._name

    def expose(self, shot: Shot, part: Path) -> Taken:
        import gphoto2

        try:
            self._forget()
            if shot.gain is not None:
                self._choose(_ISO, str(shot.gain))
            bulb = self._set_shutter(shot.exposure_s)
            begun_utc = datetime.now(UTC)
            if bulb:
                self._bulb(shot.exposure_s)
                first = []
            else:
                place = self._camera.capture(gphoto2.GP_CAPTURE_IMAGE)
                first = [(place.folder, place.name)]
            places = self._arriving(gphoto2, first)
            files = tuple(self._fetch(gphoto2, *place, part) for place in places)
        except gphoto2.GPhoto2Error as error:
            raise self._failed("the exposure failed", error) from error
        return Taken(files, self._facts(shot, begun_utc))

    def close(self) -> None:
        import gphoto2

        if self._camera is None:
            return
        try:
            self._forget()
            self._camera.exit()
        except gphoto2.GPhoto2Error as error:
            raise self._failed("does not close", error) from error
        finally:
            self._camera = None

    def _detected(self, gphoto2: Any) -> tuple[str, str]:
        found = gphoto2.Camera.autodetect()
        names = [(found.get_name(n), found.get_value(n)) for n in range(found.count())]
        wanted = self._config
        for name, address in names:
            if wanted.brand.lower() in name.lower() and wanted.model.lower() in name.lower():
                return name, address
        there = ", ".join(name for name, _ in names) or "no camera"
        raise CameraFailed(f"{wanted.name} is not there, but {there}: is it on and plugged in?")

    def _set_shutter(self, exposure_s: float) -> bool:
        """Set the exposure; True when it must be timed from here (bulb)."""
        widget, choices = self._widget(_SHUTTER), self._choices(_SHUTTER)
        if widget is None:
            log.warning("%s offers no exposure to set; it keeps its own", self._name)
            return False
        timed = {choice: seconds for choice in choices if (seconds := _seconds(choice)) is not None}
        longest_s = max(timed.values(), default=0.0)
        if exposure_s > min(longest_s * 1.01, self._config.bulb_from_s or math.inf):
            bulb = next((c for c in choices if c.lower() in _BULB_WORDS), None)
            if bulb is not None:
                self._choose(_SHUTTER, bulb)
            elif self._widget(_BULB) is None:
                raise CameraFailed(
                    f"{self._name} takes {longest_s:g} s at most, not "
                    f"{exposure_s:g} s: correct Exposure"
                )
            return True
        if timed:
            wanted = max(exposure_s, min(timed.values()))
            self._choose(_SHUTTER, min(timed, key=lambda c: abs(timed[c] / wanted - 1)))
        return False

    def _bulb(self, exposure_s: float) -> None:
        self._write(_BULB, 1)
        try:
            time.sleep(self._stretch(exposure_s))
        finally:
            self._write(_BULB, 0)

    def _arriving(self, gphoto2: Any, first: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Where an exposure's files are on the camera: ``first`` and those that it tells of."""
        places = dict.fromkeys(first)
        give_up_s = time.monotonic() + self._stretch(_FILE_S)
        while time.monotonic() < give_up_s:
            kind, data = self._camera.wait_for_event(_EVENT_MS)
            if kind == gphoto2.GP_EVENT_FILE_ADDED:
                places[data.folder, data.name] = None
            elif kind == gphoto2.GP_EVENT_TIMEOUT and len(places) >= self._files:
                break
        if not places:
            raise CameraFailed(f"{self._name}: no picture came after the exposure")
        if len(places) < self._files:
            log.warning("%s gave one file where two belong", self._name)
        return list(places)

    def _fetch(self, gphoto2: Any, folder: str, name: str, part: Path) -> Path:
        """Copy a file from the camera; what the camera calls it gives the ending."""
        held = self._camera.file_get(folder, name, gphoto2.GP_FILE_TYPE_NORMAL)
        content = bytes(memoryview(held.get_data_and_size()))
        if not content:
            raise CameraFailed(f"{self._name}: {name} came empty")
        target = part.with_name(part.name + Path(name).suffix.lower())
        with target.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._fetched.append((folder, name))
        return target

    def _forget(self) -> None:
        """Delete on the camera what an earlier exposure gave and this side has published."""
        while self._fetched:
            self._camera.file_delete(*self._fetched.pop())

    def _facts(self, shot: Shot, begun_utc: datetime) -> dict[str, str]:
        return {
            "INSTRUME": self._name,
            **shot.facts,
            "IMAGETYP": shot.image_type,
            **exposure_dates(begun_utc, shot.exposure_s),
            "EXPTIME": repr(shot.exposure_s),
            **({} if shot.gain is None else {"GAIN": str(shot.gain)}),
        }

    def _choose(self, names: tuple[str, ...], value: str) -> str:
        """Set a choice that fits ``value`` best; one that the camera lacks is said and left.

        Returns
        -------
        str : what it is set to; empty where there is no such setting
        """
        widget = self._widget(names)
        if widget is None:
            log.warning("%s has no setting %s; it keeps its own", self._name, names[0])
            return ""
        choices = self._choices(names)
        if not choices:
            return self._fill_in(widget, value)
        fitting = [c for c in choices if c.lower() == value.lower()] or [
            c for c in choices if value.lower() in c.lower()
        ]
        if not fitting:
            log.warning("%s has no %s %s, but %s", self._name, names[0], value, ", ".join(choices))
            return str(widget.get_value())
        if widget.get_value() != fitting[0]:
            widget.set_value(fitting[0])
            self._camera.set_single_config(widget.get_name(), widget)
        return fitting[0]

    def _fill_in(self, widget: Any, value: str) -> str:
        """Set what is no choice: a number, a switch, a text."""
        now = widget.get_value()
        try:
            widget.set_value(type(now)(value))
        except ValueError as error:
            raise CameraFailed(
                f"{self._name}: {widget.get_name()} is like {now!r}, not {value!r}: correct it"
            ) from error
        self._camera.set_single_config(widget.get_name(), widget)
        return value

    def _write(self, names: tuple[str, ...], value: int) -> None:
        widget = self._widget(names)
        if widget is None:
            raise CameraFailed(f"{self._name} has no setting {names[0]}: bulb is not possible")
        widget.set_value(value)
        self._camera.set_single_config(widget.get_name(), widget)

    def _choices(self, names: tuple[str, ...]) -> list[str]:
        widget = self._widget(names)
        return [] if widget is None else [str(choice) for choice in widget.get_choices()]

    def _widget(self, names: tuple[str, ...]) -> Any:
        """The first setting with one of these names, labels or paths (``/main/…/iso``)."""
        for name in names:
            for known in self._settings:
                if name.lower() in (word.lower() for word in known):
                    return self._camera.get_single_config(known[0])
        return None

    def _failed(self, what: str, error: Exception) -> CameraFailed:
        remedy = ""
        if "claim" in str(error).lower():
            remedy = ": another program holds it (on a desktop, gvfs); stop that one"
        return CameraFailed(f"{self._name} {what} ({error}){remedy}")


def _seconds(choice: str) -> float | None:
    """``1/30``, ``0.0100s``, ``30`` as seconds; None for words."""
    try:
        return float(Fraction(choice.strip().removesuffix("s").strip()))
    except (ValueError, ZeroDivisionError):
        return None


def _settings(tree: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Every setting of a tree: its name, its label, its path."""
    path = f"{path}/{tree.get_name()}"
    children = list(tree.get_children())
    if not children:
        yield tree.get_name(), tree.get_label(), path
    for child in children:
        yield from _settings(child, path)
