"""ZWO ASI cameras, through `zwoasi` and the vendor's library.

What belongs here: the order of calls, and what a failed one means. What does not: what is tried
again (`hands`).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from astro_assets.capture.cameras.protocol import CameraFailed, Shot, Taken
from astro_assets.capture.config import CameraConfig
from astro_assets.capture.header import exposure_dates, load_libraries, write_fits

_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
"""by the library's number: it names the first row's two colours"""
_FULL_RANGE = 65535
_POLL_S = 0.02
_MARGIN_S = 30.0
"""how long beyond its exposure a snapshot may take"""
_TRIES_TO_SET = 5
_SETTLED_WITHIN = 0.05
_MOST_VIDEO_FRAMES = 60


class ZwoCamera:
    """One ASI camera: snapshots with 16 bits of raw pixels."""

    def __init__(self, config: CameraConfig, stretch: Callable[[float], float]) -> None:
        """``stretch`` says how many real seconds a wait of so many seconds may take."""
        self._config = config
        self._stretch = stretch
        self._camera: Any = None
        self._facts: dict[str, str] = {}
        self._controls: dict[str, dict[str, Any]] = {}

    def open(self) -> str:
        import zwoasi

        config = self._config
        try:
            zwoasi.init(str(config.library) if config.library else None)
            number = _number_of(zwoasi, config.model)
            self._camera = zwoasi.Camera(number)
            camera, properties = self._camera, self._camera.get_camera_property()
            self._controls = camera.get_controls()
            roi = config.roi
            camera.set_roi(
                start_x=roi.x if roi else None,
                start_y=roi.y if roi else None,
                width=roi.width if roi else None,
                height=roi.height if roi else None,
                bins=config.binning,
                image_type=zwoasi.ASI_IMG_RAW16,
            )
            if config.offset is not None:
                self._set("Offset", config.offset, also=("Brightness",))
            if config.set_temperature_c is not None and properties["IsCoolerCam"]:
                self._set("TargetTemp", round(config.set_temperature_c))
                self._set("CoolerOn", 1)
        except (zwoasi.ZWO_Error, OSError, ValueError, IndexError) as error:
            raise CameraFailed(
                f"{config.name} does not open ({error}): is it plugged in?"
            ) from error
        self._facts = self._permanent_facts(properties)
        load_libraries()
        return str(properties["Name"])

    def expose(self, shot: Shot, part: Path) -> Taken:
        import zwoasi

        try:
            if shot.gain is not None:
                self._set("Gain", shot.gain)
            exposure_us = max(round(shot.exposure_s * 1e6), self._controls["Exposure"]["MinValue"])
            self._set("Exposure", exposure_us)
            begun_utc = datetime.now(UTC)
            pixels = self._snapshot(exposure_us / 1e6)
            temperature = self._read("Temperature")
        except zwoasi.ZWO_Error as error:
            raise CameraFailed(f"{self._config.name}: the exposure failed ({error})") from error
        facts = {
            **self._facts,
            **shot.facts,
            "IMAGETYP": shot.image_type,
            **exposure_dates(begun_utc, exposure_us / 1e6),
            "EXPTIME": repr(exposure_us / 1e6),
            **({"GAIN": str(self._read("Gain"))} if "Gain" in self._controls else {}),
            **({} if temperature is None else {"CCD-TEMP": repr(temperature / 10)}),
        }
        file = part.with_name(part.name + ".fits")
        write_fits(file, pixels, facts)
        return Taken((file,), facts, _level(pixels))

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
            self._camera = None

    def settle(self, gain: int | None, max_exposure_s: float) -> tuple[float, int]:
        """Let the camera find exposure and gain by itself, in video mode, within limits.

        Returns
        -------
        (float, int) : exposure in seconds and gain once they change no more
        """
        import zwoasi

        camera = self._camera
        try:
            if gain is not None:
                self._limit("AutoExpMaxGain", gain)
            self._limit("AutoExpMaxExpMS", round(1000 * max_exposure_s))
            camera.auto_exposure()
            camera.start_video_capture()
            try:
                before = (0, 0)
                for _ in range(_MOST_VIDEO_FRAMES):
                    camera.get_video_data(timeout=round(2000 * max_exposure_s) + 500)
                    now = (self._read("Exposure") or 0, self._read("Gain") or 0)
                    if _near(before[0], now[0]) and before[1] == now[1]:
                        break
                    before = now
            finally:
                camera.stop_video_capture()
        except zwoasi.ZWO_Error as error:
            raise CameraFailed(f"{self._config.name}: no exposure was found ({error})") from error
        return now[0] / 1e6, now[1]

    def _snapshot(self, exposure_s: float) -> Any:
        import numpy as np
        import zwoasi

        camera = self._camera
        camera.start_exposure()
        give_up_s = time.monotonic() + self._stretch(exposure_s + _MARGIN_S)
        while (status := camera.get_exposure_status()) == zwoasi.ASI_EXP_WORKING:
            if time.monotonic() > give_up_s:
                camera.stop_exposure()
                raise CameraFailed(
                    f"{self._config.name}: an exposure of {exposure_s:g} s has not ended "
                    f"{_MARGIN_S:g} s after its time"
                )
            time.sleep(_POLL_S)
        if status != zwoasi.ASI_EXP_SUCCESS:
            raise CameraFailed(f"{self._config.name}: the exposure failed (status {status})")
        width, height, _, _ = camera.get_roi_format()
        data = camera.get_data_after_exposure()
        if len(data) != 2 * width * height:
            raise CameraFailed(
                f"{self._config.name}: {len(data)} bytes came where {2 * width * height} belong"
            )
        return np.frombuffer(data, dtype="<u2").reshape(height, width)

    def _set(self, control: str, value: int, also: tuple[str, ...] = ()) -> None:
        """Set a control and look whether it took, for it does not always at the first time."""
        name = next((name for name in (control, *also) if name in self._controls), None)
        if name is None:
            raise CameraFailed(f"{self._config.name} has no control {control}: take it out")
        limits = self._controls[name]
        if not limits["MinValue"] <= value <= limits["MaxValue"]:
            raise CameraFailed(
                f"{self._config.name}: {name} may be {limits['MinValue']} to "
                f"{limits['MaxValue']}, not {value}: correct the configuration"
            )
        for _ in range(_TRIES_TO_SET):
            self._camera.set_control_value(limits["ControlType"], value)
            if self._camera.get_control_value(limits["ControlType"])[0] == value:
                return
            time.sleep(_POLL_S)
        raise CameraFailed(f"{self._config.name} does not take {name} {value}")

    def _limit(self, control: str, value: int) -> None:
        limits = self._controls.get(control)
        if limits:
            self._set(control, min(max(value, limits["MinValue"]), limits["MaxValue"]))

    def _read(self, control: str) -> int | None:
        limits = self._controls.get(control)
        return self._camera.get_control_value(limits["ControlType"])[0] if limits else None

    def _permanent_facts(self, properties: dict[str, Any]) -> dict[str, str]:
        config = self._config
        facts = {
            "INSTRUME": str(properties["Name"]),
            "XBINNING": str(config.binning),
            "YBINNING": str(config.binning),
            "XPIXSZ": repr(round(properties["PixelSize"] * config.binning, 3)),
            "YPIXSZ": repr(round(properties["PixelSize"] * config.binning, 3)),
            # 16-bit data are the camera's own bits moved up.
            "EGAIN": repr(round(properties["ElecPerADU"] / 2 ** (16 - properties["BitDepth"]), 6)),
            "SATURATE": str(_FULL_RANGE),
        }
        if properties["IsColorCam"] and config.binning == 1:
            facts["BAYERPAT"] = _shifted(_PATTERNS[properties["BayerPattern"]], config)
        if config.offset is not None:
            facts["OFFSET"] = str(config.offset)
        if config.set_temperature_c is not None and properties["IsCoolerCam"]:
            facts["SET-TEMP"] = repr(config.set_temperature_c)
        return facts


def _number_of(zwoasi: Any, model: str) -> int:
    names = zwoasi.list_cameras()
    if not names:
        raise ValueError("no ZWO camera answers")
    for number, name in enumerate(names):
        if name.removeprefix("ZWO ").lower() == model.removeprefix("ZWO ").lower():
            return number
    raise ValueError(f"there is {', '.join(names)}")


def _shifted(pattern: str, config: CameraConfig) -> str:
    """The pattern as it begins at the region's first pixel."""
    if config.roi is None:
        return pattern
    rows = [pattern[:2], pattern[2:]]
    if config.roi.y % 2:
        rows.reverse()
    if config.roi.x % 2:
        rows = [row[::-1] for row in rows]
    return "".join(rows)


def _level(pixels: Any) -> float:
    import numpy as np

    return float(np.median(pixels[::4, ::4])) / _FULL_RANGE


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= _SETTLED_WITHIN * max(one, other, 1)
