"""Services on the internet that are asked only where the settings say so.

What belongs here: their keys, addresses and bounds. What does not: asking them (`steps`).
"""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from astro_assets.settings.types import Strict, VariableName

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.hostname is None or parts.username is not None or parts.query:
        raise ValueError("an address such as https://nova.astrometry.net, without a key in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise ValueError("an address that begins with https://")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
"""of a web service; in clear text on this machine alone"""


class Nova(Strict):
    """nova.astrometry.net, for frames that no index file here solves. It gets star positions."""

    key_env: VariableName
    """the variable with your API key"""
    url: Address = "https://nova.astrometry.net"
    wait_s: float = Field(default=120.0, gt=0, le=3600)
    """for each frame"""
    max_frames: int = Field(default=3, ge=1, le=100)
    """of a session that are asked for; the others start from their solutions"""


class GaiaArchive(Strict):
    """Gaia's archive at ESA, for magnitudes in place of the index files'."""

    url: Address = "https://gea.esac.esa.int/tap-server/tap"
    wait_s: float = Field(default=60.0, gt=0, le=3600)
    faintest_mag: float = Field(default=16.0, ge=8, le=21)
    max_fields: int = Field(default=3, ge=1, le=100)
    """that a session asks for"""
