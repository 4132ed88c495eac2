"""What differs between the lanes of the sources, as data.

A kind's naming rules are in `sources`; here is only what the reduction has to know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from astro_assets.frame import Place
from astro_assets.settings import (
    GridWish,
    ItelescopeSource,
    Limits,
    Settings,
    Site,
    SourceSettings,
    SourceSite,
    TelescopeOrgSource,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the frames of one source are reduced.

    arrives_calibrated : bias, dark and flat are done by the provider; frames are verified and
        adopted, and the lane has no calibration assets
    overscan_top_px, overscan_right_px : columns and rows without sky, cut away
    overscan : what is done with an overscan that a raw frame's header names: its level is taken
        off row by row, or as a whole, or it is only cut away
    place : where the telescope stands, for headers that do not say; None where nobody knows
    saturation_adu : where the header does not say. Frames that arrive calibrated have had their
        ceiling divided by the flat, so theirs is taken 15 % lower
    required_masters : a frame for which one of these is missing is not calibrated
    variance_plane : calibrated frames keep their variance
    gradient_order : of the surface that is taken off the sky before stacking: 0 none, 1 a plane,
        2 with a bend
    limits : by which frames are judged
    grids : that pictures are laid onto
    """

    arrives_calibrated: bool = False
    overscan_top_px: int = 0
    overscan_right_px: int = 0
    overscan: Literal["rows", "whole", "cut"] = "rows"
    saturation_adu: float = 65535.0
    required_masters: tuple[Literal["bias", "dark", "flat"], ...] = ()
    variance_plane: bool = False
    place: Place | None = None
    gradient_order: int = 0
    limits: Limits = field(default_factory=Limits)
    grids: tuple[GridWish, ...] = ()


_CEILING = 65535.0
_FLATTENED_CEILING = 0.85 * _CEILING

RECIPES: Mapping[str, Recipe] = {
    "itelescope": Recipe(arrives_calibrated=True, saturation_adu=_FLATTENED_CEILING),
    "vespera": Recipe(gradient_order=1),
    "dwarf": Recipe(gradient_order=1),
    "seestar": Recipe(gradient_order=1),
    "telescope_org": Recipe(
        arrives_calibrated=True,
        overscan_top_px=32,
        overscan_right_px=32,
        saturation_adu=_FLATTENED_CEILING,
        place=Place(28.3, -16.51, 2390.0, "Teide Observatory"),
    ),
    "pi": Recipe(),
    "folder": Recipe(),
}
"""by kind, as its settings are unless somebody changes them"""


_GRADIENT_ORDERS = {"keep": 0, "plane": 1, "curved": 2}
_AT_HOME = ("vespera", "dwarf", "seestar", "pi")
"""kinds that stand where their owner counts the nights, unless their settings say otherwise"""


def recipe_of(source: SourceSettings, settings: Settings | None = None) -> Recipe:
    """The recipe of one configured source, with the place where it stands.

    settings : what holds for all sources: the observer's own site, limits, grids
    """
    recipe = _recipe_of(source)
    if source.gradient is not None:
        recipe = replace(recipe, gradient_order=_GRADIENT_ORDERS[source.gradient])
    if settings is not None:
        recipe = replace(recipe, limits=settings.limits, grids=settings.grids)
    stated: SourceSite | Site | None = source.site
    if stated is None and settings is not None and source.kind in _AT_HOME:
        stated = settings.site
    if stated is None:
        return recipe
    place = Place(stated.latitude_deg, stated.longitude_deg, stated.elevation_m, stated.name)
    return replace(recipe, place=place)


def _recipe_of(source: SourceSettings) -> Recipe:
    """A source that also brings raw frames or masters needs a lane with calibrations; the frames
    that its provider has calibrated say so (CALSTAT) and are adopted there too.
    """
    usual = replace(
        RECIPES[source.kind],
        overscan=source.overscan,
        required_masters=source.required_masters,
        variance_plane=source.variance_plane,
    )
    if isinstance(source, ItelescopeSource) and set(source.frames) != {"calibrated"}:
        return replace(usual, arrives_calibrated=False, saturation_adu=_CEILING)
    if isinstance(source, TelescopeOrgSource) and source.flats:
        # A place for the flats; the lights say that they are calibrated.
        return replace(usual, arrives_calibrated=False)
    return usual
