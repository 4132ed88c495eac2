"""`observatory.toml`, typed. Secrets are the names of environment variables, never values.

Read once, at the edge, and handed down. What does not belong here: what the settings are used for.
"""

from astro_assets.settings.models import (
    DwarfSource,
    FolderSource,
    ItelescopeSource,
    Limits,
    OftenOff,
    PiSource,
    Secrets,
    SeestarSource,
    Settings,
    Site,
    Solving,
    SourceSettings,
    TelescopeOrgSource,
    Trust,
    VesperaSource,
    Watch,
)
from astro_assets.settings.reading import (
    DEFAULT_FILE,
    SETTINGS_VARIABLE,
    load_settings,
    settings_file,
)

__all__ = [
    "DEFAULT_FILE",
    "SETTINGS_VARIABLE",
    "DwarfSource",
    "FolderSource",
    "ItelescopeSource",
    "Limits",
    "OftenOff",
    "PiSource",
    "Secrets",
    "SeestarSource",
    "Settings",
    "Site",
    "Solving",
    "SourceSettings",
    "TelescopeOrgSource",
    "Trust",
    "VesperaSource",
    "Watch",
    "load_settings",
    "settings_file",
]
