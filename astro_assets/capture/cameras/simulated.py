"""A camera without hardware, for rehearsals: a dim sky with stars, at the pace of the clock.

In the place of that sky it hands out the frames of a folder, where the configuration names one.
"""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from astro_assets.capture.cameras.protocol import CameraFailed, Shot, Taken
from astro_assets.capture.config import CameraConfig
from astro_assets.capture.header import exposure_dates, facts_of, load_libraries, write_fits

_SHAPE = (128, 192)
_BIAS_ADU = 500.0
_READ_NOISE_ADU = 8.0
_SKY_ADU_PER_S = 40.0
_STARS = 40


class SimulatedCamera:
    """Frames of one starfield; another seed for each frame's noise."""

    def __init__(self, config: CameraConfig, stretch: Callable[[float], float]) -> None:
        self._config = config
        self._stretch = stretch
        self._taken = 0

    def open(self) -> str:
        load_libraries()
        return self._config.name

    def expose(self, shot: Shot, part: Path) -> Taken:
        begun_utc = datetime.now(UTC)
        time.sleep(self._stretch(shot.exposure_s))
        file = part.with_name(part.name + ".fits")
        if self._config.frames is not None:
            return _handed_out(self._config.frames, file)
        import numpy as np

        self._taken += 1
        rng = np.random.default_rng((begun_utc.microsecond, self._taken))
        gain = 1.0 + (shot.gain or 0) / 100
        sky = _SKY_ADU_PER_S * shot.exposure_s * gain if shot.image_type.startswith("L") else 0.0
        pixels = rng.normal(_BIAS_ADU + sky, _READ_NOISE_ADU, _SHAPE)
        if sky:
            where = np.random.default_rng(1).integers(0, _SHAPE, (_STARS, 2))
            pixels[where[:, 0], where[:, 1]] += 20 * sky
        image = np.clip(pixels, 0, 65535).astype(np.uint16)
        facts = {
            "INSTRUME": self._config.name,
            **shot.facts,
            "IMAGETYP": shot.image_type,
            **exposure_dates(begun_utc, shot.exposure_s),
            "EXPTIME": repr(shot.exposure_s),
            "GAIN": str(shot.gain or 0),
            "XBINNING": "1",
            "YBINNING": "1",
        }
        write_fits(file, image, facts)
        return Taken((file,), facts, float(np.median(image)) / 65535)

    def close(self) -> None:
        return None


def _handed_out(folder: Path, file: Path) -> Taken:
    """The folder's next frame, as it is; none is handed out twice."""
    waiting = sorted(folder.glob("*.fits"))
    if not waiting:
        raise CameraFailed(f"{folder} holds no more frames: the rehearsal is over")
    shutil.copyfile(waiting[0], file)
    waiting[0].unlink()
    return Taken((file,), facts_of(file))
