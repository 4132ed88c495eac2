"""What differs between the lanes of the sources, as data.

A kind's naming rules are in `sources`; here is only what the reduction has to know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from astro_assets.settings import ItelescopeSource, SourceSettings, TelescopeOrgSource


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the frames of one source are reduced.

    arrives_calibrated : bias, dark and flat are done by the provider; frames are verified and
        adopted, and the lane has no calibration assets
    overscan_top_px, overscan_right_px : columns and rows without sky, cut away
    saturation_adu : where the header does not say. Frames that arrive calibrated have had their
        ceiling divided by the flat, so theirs is taken 15 % lower
    """

    arrives_calibrated: bool = False
    overscan_top_px: int = 0
    overscan_right_px: int = 0
    saturation_adu: float = 65535.0


_CEILING = 65535.0
_FLATTENED_CEILING = 0.85 * _CEILING

RECIPES: Mapping[str, Recipe] = {
    "itelescope": Recipe(arrives_calibrated=True, saturation_adu=_FLATTENED_CEILING),
    "vespera": Recipe(),
    "dwarf": Recipe(),
    "seestar": Recipe(),
    "telescope_org": Recipe(
        arrives_calibrated=True,
        overscan_top_px=32,
        overscan_right_px=32,
        saturation_adu=_FLATTENED_CEILING,
    ),
    "pi": Recipe(),
    "folder": Recipe(),
}
"""by kind, as its settings are unless somebody changes them"""


def recipe_of(source: SourceSettings) -> Recipe:
    """The recipe of one configured source.

    A source that also brings raw frames or masters needs a lane with calibrations; the frames
    that its provider has calibrated say so (CALSTAT) and are adopted there too.
    """
    usual = RECIPES[source.kind]
    if isinstance(source, ItelescopeSource) and set(source.frames) != {"calibrated"}:
        return replace(usual, arrives_calibrated=False, saturation_adu=_CEILING)
    if isinstance(source, TelescopeOrgSource) and source.flats:
        # A place for the flats; the lights say that they are calibrated.
        return replace(usual, arrives_calibrated=False)
    return usual
