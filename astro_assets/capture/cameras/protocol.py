"""What a camera must be able to do: be opened, take one exposure into files, be closed.

A camera lives in a process of its own (`worker`), which may be killed at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from astro_assets.errors import CameraFailed

__all__ = ["Camera", "CameraFailed", "Shot", "Taken"]


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure to be taken.

    exposure_s : 0 for the camera's shortest (bias)
    gain : ISO for cameras that have ISO; None leaves it as it is
    image_type : IMAGETYP, such as ``Light Frame``
    facts : FITS keywords that the camera cannot know (OBJECT, site, filter)
    """

    exposure_s: float
    gain: int | None
    image_type: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Taken:
    """What an exposure gave.

    files : whole files, each the part's path with the ending that the camera's format has
    facts : FITS keywords of the frame, as text
    level : median as a share of the full range; None where the format does not tell
    """

    files: tuple[Path, ...]
    facts: Mapping[str, str]
    level: float | None = None


class Camera(Protocol):
    """One camera. Every method raises `CameraFailed`."""

    def open(self) -> str:
        """Connect and set it as configured. Returns its name as it tells it."""

    def expose(self, shot: Shot, part: Path) -> Taken:
        """Take one exposure and write it beside ``part``."""

    def close(self) -> None:
        """Let go of it."""
