"""A frame, and one header vocabulary for all sources.

What belongs here: how FITS keywords of every source become one `Frame`; one subject a module. What
does not: names and paths on the servers (`sources`), files (`store`), pixels (`imaging`). Nothing
here loads a library when it is imported, for the sources need its words at each start.
"""

from astro_assets.frame.header import frame_from_header
from astro_assets.frame.keys import key_part, mosaic_key, target_key
from astro_assets.frame.kinds import CALIBRATION_KINDS, FrameKind, kind_from_text
from astro_assets.frame.model import Frame
from astro_assets.frame.places import Place

__all__ = [
    "CALIBRATION_KINDS",
    "Frame",
    "FrameKind",
    "Place",
    "frame_from_header",
    "key_part",
    "kind_from_text",
    "mosaic_key",
    "target_key",
]
