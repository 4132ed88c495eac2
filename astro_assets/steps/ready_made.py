"""Masters that arrive ready-made: taken over instead of combined.

What belongs here: which frame is one, and what has to be done to it to serve here. What does not:
where it comes from (`sources`), which frame it serves (`matching`).
"""

import numpy as np

from astro_assets.frame import FrameKind
from astro_assets.imaging.masters import Master, master_flat
from astro_assets.steps.inputs import OpenedFrame, RawFrame


def is_ready_made(raw: RawFrame) -> bool:
    """Whether its source, or its own header as the source has read it, calls it a master."""
    return "master" in raw.facts.get("IMAGETYP", "").lower()


def is_free_of_bias(opened: OpenedFrame) -> bool:
    """Whether a ready-made dark had its bias taken off; it says so itself (CALSTAT)."""
    return "B" in opened.frame.calibration_status


def taken_over(kind: FrameKind, opened: OpenedFrame) -> Master:
    """The frame as a master: without its pedestal; a flat relative, with a median of 1.

    A flat is taken to be ready for use, that is free of bias and dark.

    Raises
    ------
    Unusable : a flat that saw no light
    """
    image = opened.image_adu - np.float32(abs(opened.frame.pedestal_adu))
    if kind is FrameKind.FLAT:
        image = master_flat([image], bayer=opened.frame.bayer_pattern is not None).image
    return Master(
        image=image,
        count=np.ones(image.shape, np.uint16),
        read_noise_adu=None,
        read_noise_error=None,
        n_inputs=_combined_of(opened),
        rejected_inputs=[],
    )


def _combined_of(opened: OpenedFrame) -> int:
    """How many frames its maker has combined; 1 where that is not told."""
    told = opened.header.get("NCOMBINE")
    return told if isinstance(told, int) and 1 <= told < 2**15 else 1
