"""Masters that arrive ready-made: taken over instead of combined.

What belongs here: which frame is one, whether it still holds its bias, and what has to be done to
it to serve here. What does not: where it comes from (`sources`), which frame it serves
(`matching`).
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from astro_assets.frame import FrameKind
from astro_assets.imaging.masters import Master, master_flat
from astro_assets.imaging.zero_level import Zero, zero_level
from astro_assets.steps.inputs import RawFrame
from astro_assets.steps.sets import Input

_FREE = re.compile(
    r"(?i)bias[-_ ]?(?:sub|subtracted|removed|free)|no[-_ ]?bias|debiased|without[-_ ]?bias"
)
_HOLDS = re.compile(r"(?i)with[-_ ]?bias|undebiased|bias[-_ ]?included|not[-_ ]?bias[-_ ]?sub")


@dataclass(frozen=True, slots=True)
class Bias:
    """Whether the bias has been taken off a master.

    known_by : CALSTAT, its name, measured, assumed … in a few letters for a header
    sentence : the same for a person; empty where there is nothing to tell
    """

    is_off: bool
    known_by: str
    sentence: str


def is_ready_made(raw: RawFrame) -> bool:
    """Whether its source, or its own header as the source has read it, calls it a master."""
    return "master" in raw.facts.get("IMAGETYP", "").lower()


def bias_of(kind: FrameKind, item: Input, bias: NDArray[np.float32] | None) -> Bias:
    """Whether a ready-made master still holds its bias: what it says, else what it shows.

    Parameters
    ----------
    bias : the master bias of the same camera, if there is one
    """
    name = item.raw.path.name
    if kind is not FrameKind.DARK:
        return Bias(kind is FrameKind.FLAT, "its kind", "")
    if "B" in item.frame.calibration_status:
        return Bias(True, "CALSTAT", "it is free of bias, as its CALSTAT says")
    if _HOLDS.search(name) or _FREE.search(name):
        free = _HOLDS.search(name) is None
        word = "is free of" if free else "still holds its"
        return Bias(free, "its name", f"it {word} bias, as its name says")
    found = zero_level(_without_pedestal(item), bias)
    if found is Zero.UNCLEAR:
        return Bias(
            False,
            "assumed",
            "it is taken to hold its bias still: neither CALSTAT nor its name says, and its level "
            "does not show it",
        )
    free = found is Zero.FREE
    word = "is free of" if free else "still holds its"
    return Bias(free, "measured", f"it {word} bias, as its level shows")


def taken_over(kind: FrameKind, item: Input) -> Master:
    """The frame as a master: without its pedestal; a flat relative, with a median of 1.

    A flat is taken to be ready for use, that is free of bias and dark.

    Raises
    ------
    Unusable : a flat that saw no light
    """
    image = _without_pedestal(item)
    if kind is FrameKind.FLAT:
        image = master_flat([image], bayer=item.frame.bayer_pattern is not None).image
    return Master(
        image=image,
        count=np.ones(image.shape, np.uint16),
        read_noise_adu=None,
        read_noise_error=None,
        n_inputs=_combined_of(item),
        rejected_inputs=[],
    )


def _without_pedestal(item: Input) -> NDArray[np.float32]:
    return np.asarray(item.rows[:], np.float32) - np.float32(abs(item.frame.pedestal_adu))


def _combined_of(item: Input) -> int:
    """How many frames its maker has combined; 1 where that is not told."""
    told = item.header.get("NCOMBINE")
    return told if isinstance(told, int) and 1 <= told < 2**15 else 1
