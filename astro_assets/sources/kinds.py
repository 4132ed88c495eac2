"""The kinds of sources that there are, by the word in the settings.

What belongs here: the table. A kind's rules and how it connects are in its own module, which is
imported when one asks for that kind: SSH and HTTP libraries take a tenth of a second each.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module

from astro_assets.settings import Secrets, SourceSettings
from astro_assets.sources.protocol import Kind, Transport

_NAMES = ("itelescope", "vespera", "dwarf", "seestar", "telescope_org", "pi", "folder")
"""Each is the name of a module beside this one; its `Kind` there is the same in capitals."""


class _Kinds(Mapping[str, Kind]):
    """Imports what it is asked for."""

    def __getitem__(self, name: str) -> Kind:
        if name not in _NAMES:
            raise KeyError(name)
        kind: Kind = getattr(import_module(f"astro_assets.sources.{name}"), name.upper())
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


KINDS: Mapping[str, Kind] = _Kinds()


def connect(source: SourceSettings, secrets: Secrets) -> Transport:
    """A transport for a configured source, not opened yet. Raises `SettingsError`."""
    return KINDS[source.kind].connect(source, secrets)
