"""What a frame is good for, and the words for it."""

from enum import StrEnum
from functools import lru_cache

_FEW_WORDS = 4096
"""Thousands of frames share their kinds."""


class FrameKind(StrEnum):
    """What a frame is good for."""

    LIGHT = "light"
    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    OTHER = "other"
    """Pointing, focus and preview frames: kept where they are, not science."""


CALIBRATION_KINDS = (FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT)

_KIND_WORDS = (
    # A dark flat is a dark, taken for the flats; a twilight is a flat and holds "light".
    ("dark", FrameKind.DARK),
    ("flat", FrameKind.FLAT),
    ("twilight", FrameKind.FLAT),
    ("bias", FrameKind.BIAS),
    ("offset", FrameKind.BIAS),
    ("zero", FrameKind.BIAS),
    ("light", FrameKind.LIGHT),
    ("object", FrameKind.LIGHT),
    ("science", FrameKind.LIGHT),
)


@lru_cache(_FEW_WORDS)
def kind_from_text(text: str) -> FrameKind:
    """``Light Frame``, ``DARK``, ``Flat Field`` … as a kind; anything else is `OTHER`."""
    lowered = text.lower()
    return next((kind for word, kind in _KIND_WORDS if word in lowered), FrameKind.OTHER)
