"""Which camera a configuration means. Libraries are loaded by the camera that needs them."""

from collections.abc import Callable

from astro_assets.capture.cameras.protocol import Camera
from astro_assets.capture.config import CameraConfig


def camera_of(config: CameraConfig, stretch: Callable[[float], float]) -> Camera:
    """The camera, not opened yet."""
    if config.is_simulated:
        from astro_assets.capture.cameras.simulated import SimulatedCamera

        return SimulatedCamera(config, stretch)
    if config.uses_zwo:
        from astro_assets.capture.cameras.zwo import ZwoCamera

        return ZwoCamera(config, stretch)
    from astro_assets.capture.cameras.gphoto import GphotoCamera

    return GphotoCamera(config, stretch)
