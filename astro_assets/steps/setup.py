"""How a frame was taken, as far as it decides which masters fit.

What belongs here: the properties, and how a product's record keeps them. What does not: the rules
about them (`rules`), the choice (`matching`).
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from astro_assets.frame import Frame
from astro_assets.steps.provenance import fits_text

_CAMERA = re.compile(
    r"(?P<instrument>.+)_bin(?P<binning>\d+)(?:_gain(?P<gain>[^_]+))?(?:_offset(?P<offset>[^_]+))?"
)
CAMERA_PARTS = ("instrument", "binning", "gain", "offset")


@dataclass(frozen=True, slots=True)
class Setup:
    """What of a frame decides its masters. None stands for "nobody said".

    temperature_c, rotator_deg : to a tenth, so that a session has few different setups
    filter : as a FITS header spells it
    corrected : letters of B, D, F for what its provider has done already
    gain_known : e-/ADU stand in its header or the settings, so no master is asked for them
    """

    camera: str
    shape: tuple[int, int]
    exposure_s: float | None = None
    temperature_c: float | None = None
    filter: str | None = None
    bayer_pattern: str | None = None
    read_mode: str | None = None
    rotator_deg: float | None = None
    corrected: str = ""
    gain_known: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Setup":
        """Raises TypeError, KeyError or ValueError for what `as_json` has not written."""
        ny, nx = content["shape"]
        return cls(**{**content, "shape": (int(ny), int(nx))})


def setup_of(frame: Frame, shape: tuple[int, int], configured_gain: float | None = None) -> Setup:
    """The setup of a frame of ``shape`` (ny, nx), of a source with this gain in its settings."""
    return Setup(
        camera=frame.camera,
        shape=shape,
        exposure_s=frame.exposure_s,
        temperature_c=_tenth(frame.sensor_temperature_c),
        filter=fits_text(frame.filter) if frame.filter else None,
        bayer_pattern=frame.bayer_pattern,
        read_mode=fits_text(frame.read_mode) if frame.read_mode else None,
        rotator_deg=_tenth(frame.rotator_deg),
        corrected="".join(letter for letter in "BDF" if letter in frame.calibration_status),
        gain_known=bool(frame.gain_e_per_adu or configured_gain),
    )


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


@lru_cache(4096)
def camera_parts(camera: str) -> Mapping[str, str | None]:
    """`CAMERA_PARTS` of a camera configuration such as ``T20_bin1_gain100``."""
    match = _CAMERA.fullmatch(camera)
    return match.groupdict() if match else dict.fromkeys(CAMERA_PARTS) | {"instrument": camera}
