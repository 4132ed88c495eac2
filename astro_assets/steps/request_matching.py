"""Whether a request of the site's list, or of our record, is the one that is asked for now.

What belongs here: comparing. What does not: asking the site (`request`).
"""

from collections.abc import Mapping
from functools import lru_cache

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, angular_separation

from astro_assets.frame import target_key
from astro_assets.sources.telescope_org_jobs import (
    catalogue_name,
    exposure_of,
    sexagesimal,
    telescope_of,
)
from astro_assets.sources.telescope_org_lists import TELESCOPES, Entry
from astro_assets.sources.telescope_org_wish import ImageRequest, usual_filter
from astro_assets.steps.request_places import in_catalogue

_SAME_PLACE_DEG = 1 / 60
"""catalogues differ by less, tiles of a mosaic by more"""

Place = tuple[float, float]
"""right ascension and declination, degrees"""


def same_request(one: ImageRequest, other: ImageRequest) -> bool:
    """Whether two requests ask for the same image; comments do not count."""
    return (
        one.telescope == other.telescope
        and usual_filter(one.filter) == usual_filter(other.filter)
        and one.exposure_ms == other.exposure_ms
        and _near(_place(one), _place(other))
    )


def same_object(listed: Entry, request: ImageRequest) -> bool:
    """By place where the list or a catalogue tells it, else by name."""
    place = _listed_place(listed.object_type, listed.object_id)
    if place is not None:
        return _near(place, _place(request))
    name = listed.object_name or catalogue_name(listed.object_type, listed.object_id)
    return target_key(request.name) == target_key(name)


def same_settings(page: Mapping[str, str], request: ImageRequest) -> bool:
    """Telescope, filter and exposure; what the page does not say is taken to agree."""
    telescope = next((t for t in TELESCOPES if t in telescope_of(page).lower()), None)
    exposure_s = exposure_of(page)
    name = page.get("Filter Type", "").strip()
    return (
        telescope in (None, request.telescope)
        and (exposure_s is None or round(1000 * exposure_s) == request.exposure_ms)
        and (not name or usual_filter(name) == usual_filter(request.filter))
    )


@lru_cache(maxsize=10_000)
def _listed_place(object_type: str, object_id: str) -> Place | None:
    angles = sexagesimal(object_id)
    if angles is None:
        found = in_catalogue(catalogue_name(object_type, object_id))
        return None if found is None else (float(found.ra.deg), float(found.dec.deg))
    try:
        place = SkyCoord(*angles, unit=(u.hourangle, u.deg))
    except ValueError:
        return None
    return float(place.ra.deg), float(place.dec.deg)


def _place(request: ImageRequest) -> Place:
    return request.ra_deg, request.dec_deg


def _near(one: Place, other: Place) -> bool:
    distance = angular_separation(*np.radians(one), *np.radians(other))
    return bool(np.degrees(distance) < _SAME_PLACE_DEG)
