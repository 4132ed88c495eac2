"""`observatory.toml`, typed. Secrets are the names of environment variables, never values.

Read once, at the edge, and handed down. What does not belong here: what the settings are used for.
"""

from astro_assets.settings.grids import GridWish
from astro_assets.settings.models import Limits, Resources, Settings, Site, Solving, Watch
from astro_assets.settings.online import GaiaArchive, Nova
from astro_assets.settings.reading import (
    DEFAULT_FILE,
    SETTINGS_VARIABLE,
    load_settings,
    settings_file,
)
from astro_assets.settings.secrets import Secrets
from astro_assets.settings.sources import (
    DwarfSource,
    FolderSource,
    ItelescopeSource,
    OftenOff,
    PiSource,
    PlannedTarget,
    SeestarSource,
    SourceSettings,
    SourceSite,
    TelescopeOrgSource,
    Trust,
    VesperaSource,
)

__all__ = [
    "DEFAULT_FILE",
    "SETTINGS_VARIABLE",
    "DwarfSource",
    "FolderSource",
    "GaiaArchive",
    "GridWish",
    "ItelescopeSource",
    "Limits",
    "Nova",
    "OftenOff",
    "PiSource",
    "PlannedTarget",
    "Resources",
    "Secrets",
    "SeestarSource",
    "Settings",
    "Site",
    "Solving",
    "SourceSettings",
    "SourceSite",
    "TelescopeOrgSource",
    "Trust",
    "VesperaSource",
    "Watch",
    "load_settings",
    "settings_file",
]
