"""What may stand in a `[[grids]]` table: the pixels that a target's pictures are laid onto.

What belongs here: keys, limits, and which table serves a target. What does not: the grid that
follows (`steps.gridding`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from astro_assets.frame import target_key
from astro_assets.settings.types import LocalPath, Strict

_MOST_PX = 30_000


class GridWish(Strict):
    """A grid for one target, or for all; what is not said follows from the frames."""

    target: str | None = None
    north_up: bool | None = None
    """without a word: composites are, sessions' stacks lie as their frames"""
    scale_arcsec: float | None = Field(default=None, gt=0, le=3600)
    centre_deg: (
        tuple[Annotated[float, Field(ge=0, lt=360)], Annotated[float, Field(ge=-90, le=90)]] | None
    ) = None
    """right ascension and declination (ICRS)"""
    size_px: (
        tuple[Annotated[int, Field(ge=1, le=_MOST_PX)], Annotated[int, Field(ge=1, le=_MOST_PX)]]
        | None
    ) = None
    """width and height"""

    like: LocalPath | None = None
    """in place of these: a FITS file whose WCS and size are taken"""

    @field_validator("like")
    @classmethod
    def _one_way(cls, value: Path | None, given: ValidationInfo) -> Path | None:
        others = ("north_up", "scale_arcsec", "centre_deg", "size_px")
        if value is not None and any(given.data.get(key) is not None for key in others):
            raise ValueError("no other key but target beside it, for the file says it all")
        return value


def wish_for(target: str, wishes: Sequence[GridWish]) -> GridWish | None:
    """The wish that names the target, else the one that names none."""
    named = [w for w in wishes if w.target is not None and target_key(w.target) == target]
    return next(iter([*named, *(w for w in wishes if w.target is None)]), None)
