"""What may stand in a `[[grids]]` table: the pixels that a target's pictures are laid onto.

What belongs here: keys and limits. What does not: the grid that follows (`steps.gridding`).
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from astro_assets.settings.types import LocalPath, Strict

_MOST_PX = 30_000


class GridWish(Strict):
    """A grid for one target, or for all; what is not said follows from the frames."""

    target: str | None = None
    like: LocalPath | None = None
    """a FITS file whose WCS and size are taken"""
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

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        others = (self.north_up, self.scale_arcsec, self.centre_deg, self.size_px)
        if self.like is not None and any(other is not None for other in others):
            raise ValueError("either like, or north_up, scale_arcsec, centre_deg and size_px")
        return self
