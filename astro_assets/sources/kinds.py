"""The kinds of sources that there are, by the word in the settings.

What belongs here: the table. A kind's rules and how it connects are in its own module.
"""

from collections.abc import Mapping
from types import MappingProxyType

from astro_assets.settings import Secrets, SourceSettings
from astro_assets.sources.dwarf import DWARF
from astro_assets.sources.folder import FOLDER
from astro_assets.sources.itelescope import ITELESCOPE
from astro_assets.sources.pi import PI
from astro_assets.sources.protocol import Kind, Transport
from astro_assets.sources.seestar import SEESTAR
from astro_assets.sources.telescope_org import TELESCOPE_ORG
from astro_assets.sources.vespera import VESPERA

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (ITELESCOPE, VESPERA, DWARF, SEESTAR, TELESCOPE_ORG, PI, FOLDER)}
)


def connect(source: SourceSettings, secrets: Secrets) -> Transport:
    """A transport for a configured source, not opened yet. Raises `SettingsError`."""
    return KINDS[source.kind].connect(source, secrets)
