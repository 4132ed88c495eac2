"""Resetting a camera on the bus, which is what unplugging it would do.

What belongs here: finding the device and the one request to the kernel.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from astro_assets.capture.config import CameraConfig

_USBDEVFS_RESET = 0x5514
"""``_IO('U', 20)`` of linux/usbdevice_fs.h"""
_ZWO_VENDOR = "03c3"
_BUS = Path("/sys/bus/usb/devices")


def reset_camera(config: CameraConfig, say: Callable[[str], None]) -> bool:
    """Reset the camera's USB device; False, with the reason said, where that is not possible."""
    node = _device(config)
    if node is None:
        return False
    try:
        descriptor = os.open(node, os.O_WRONLY)
        try:
            fcntl.ioctl(descriptor, _USBDEVFS_RESET, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        say(f"{config.name} cannot be reset at {node} ({error.strerror}): install the udev rules")
        return False
    say(f"{config.name} was reset at {node}")
    return True


def _device(config: CameraConfig) -> Path | None:
    """The device of the maker's number (ZWO), or of the brand's name (all others)."""
    if config.is_simulated or not _BUS.is_dir():
        return None
    for device in _BUS.iterdir():
        vendor, maker = _word(device / "idVendor"), _word(device / "manufacturer")
        if (
            vendor == _ZWO_VENDOR
            if config.uses_zwo
            else maker and config.brand.lower() in maker.lower()
        ):
            bus, number = _word(device / "busnum"), _word(device / "devnum")
            if bus.isdigit() and number.isdigit():
                return Path(f"/dev/bus/usb/{int(bus):03d}/{int(number):03d}")
    return None


def _word(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
