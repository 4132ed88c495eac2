"""What may stand in a `[[sources]]` table, by kind.

What belongs here: each kind's keys, with their defaults and limits. What does not: what a kind does
(`sources`).
"""

from datetime import date, time
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from astro_assets.frame import FrameKind
from astro_assets.night import Twilight
from astro_assets.settings.secrets import Secrets
from astro_assets.settings.types import Fingerprint, HostName, LocalPath, Port, Strict, VariableName


class Selection(Strict):
    """Which of a source's frames are wanted; what is left empty selects all."""

    targets: tuple[str, ...] = ()
    first_night: date | None = None
    last_night: date | None = None
    instruments: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    kinds: tuple[FrameKind, ...] = ()


class SourceSite(Strict):
    """Where a source's telescope stands, for headers that do not say."""

    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    elevation_m: float = 0.0
    name: str | None = None


class BaseSource(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    enabled: bool = True
    select: Selection = Selection()
    max_connections: int = Field(default=2, ge=1, le=8)
    max_megabytes_per_s: float | None = Field(default=None, gt=0)
    """of all connections to this source together"""
    gain_e_per_adu: float | None = Field(default=None, gt=0)
    """for cameras whose headers do not say"""
    required_masters: tuple[Literal["bias", "dark", "flat"], ...] = ()
    """a frame for which one of these is missing is rejected; without, it goes on and says so"""
    overscan: Literal["rows", "whole", "cut"] = "rows"
    """of raw frames whose header has BIASSEC: its level is taken off by rows, as a whole, or not"""
    variance_plane: bool = False
    """calibrated frames keep the variance of each pixel"""
    site: SourceSite | None = None
    """without, telescopes on one's own network stand at ``[site]``"""
    gradient: Literal["keep", "plane", "curved"] | None = None
    """what is taken off the sky of each frame before stacking; without, as its kind needs it"""


class _Login(BaseSource):
    user_env: VariableName
    password_env: VariableName

    def credentials(self, secrets: Secrets) -> tuple[str, str]:
        """User and password. Raises `SettingsError` when a variable is not set."""
        return secrets.value(self, "user_env"), secrets.value(self, "password_env")


class Trust(Strict):
    """Whose certificate is believed; without a word here, those of the system's authorities."""

    ca_file: LocalPath | None = None
    certificate_sha256: Fingerprint | None = None
    """just this one certificate, whoever signed it and for whatever name"""
    insecure_no_certificate_check: bool = False


class OftenOff(BaseSource):
    """A telescope that is switched off by day."""

    tell_after_empty_looks: int = Field(default=10, ge=1)
    """after so many looks in a row that found it off, or nothing new, that is told once"""


class ItelescopeSource(_Login, Trust):
    kind: Literal["itelescope"]
    host: HostName = "data.itelescope.net"
    port: Port = 21
    path: str = "/"
    frames: tuple[Literal["calibrated", "raw", "masters"], ...] = Field(
        default=("calibrated",), min_length=1
    )


class VesperaSource(OftenOff):
    kind: Literal["vespera"]
    host: HostName = "10.0.0.1"
    port: Port = 21
    path: str = "/user"
    delete_after_fetch: bool = False
    """on the telescope, once two fetches of a file have agreed"""


class DwarfSource(OftenOff):
    kind: Literal["dwarf"]
    host: HostName = "192.168.88.1"
    port: Port = 21
    path: str = "/"


class SeestarSource(OftenOff):
    kind: Literal["seestar"]
    host: HostName = "seestar.local"
    port: Port = 445
    share: str = Field(default="EMMC Images", pattern=r"^[^\\/]+$")
    path: str = "MyWorks"


class TelescopeOrgSource(_Login, Trust):
    kind: Literal["telescope_org"]
    host: HostName = "www.telescope.org"
    port: Port = 443
    form: Literal["zip", "cube"] = "zip"
    """one FITS for each filter, or one with a plane for each"""
    processed: bool = False
    """as the site has processed them, in place of raw"""
    flats: bool = False
    """the flats that belong to the jobs, as calibration sets"""
    search_days: int | None = Field(default=None, ge=1, le=366)
    """also the jobs of others, completed within so many days"""
    search_filter: str | None = None
    search_telescope: Literal["constellation", "galaxy", "cluster", "planet", "coast", "pirate"] | (
        None
    ) = None
    requests_file: LocalPath | None = None
    """observations to ask for: a table in CSV, or in TOML with [[requests]]"""
    resolve_names_online: bool = False
    """ask the name service of CDS for targets that are not in NGC, IC or Messier"""

    @field_validator("search_filter", "search_telescope")
    @classmethod
    def _part_of_a_search(cls, value: str | None, given: ValidationInfo) -> str | None:
        if value is not None and given.data.get("search_days") is None:
            raise ValueError("search_days beside it, since without days nothing is searched for")
        return value


_FITS_WORDS = r"^[ -{}~]*$"
"""what a header takes, and a table"""


class PlannedTarget(Strict):
    """What a camera that stands still is to take, and when; what is left out is the camera's own.

    Its place in the sky is ``ra_deg`` and ``dec_deg`` (ICRS), or known by its name.
    """

    target: str = Field(pattern=_FITS_WORDS, min_length=1, max_length=68)
    begin: time | None = None
    """civil time at the site; without, from dusk"""
    end: time | None = None
    exposure_s: float | None = Field(default=None, gt=0, le=86400)
    cadence_s: float | None = Field(default=None, gt=0, le=86400)
    """from the beginning of one exposure to that of the next"""
    gain: int | None = Field(default=None, ge=0)
    filter: str = Field(default="", pattern=_FITS_WORDS, max_length=68)
    ra_deg: float | None = Field(default=None, ge=0, lt=360)
    dec_deg: float | None = Field(default=None, ge=-90, le=90)
    min_altitude_deg: float = Field(default=20.0, ge=0, lt=90)
    min_moon_distance_deg: float | None = Field(default=None, gt=0, lt=180)
    """while the Moon is up"""

    @model_validator(mode="after")
    def _whole_place(self) -> Self:
        if (self.ra_deg is None) != (self.dec_deg is None):
            raise ValueError("both ra_deg and dec_deg, or neither")
        return self

    @field_validator("begin", "end")
    @classmethod
    def _civil(cls, value: time | None) -> time | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("a civil time such as 21:30, without an offset")
        return value


class PiSource(BaseSource):
    kind: Literal["pi"]
    host: HostName
    port: Port = 22
    user_env: VariableName
    password_env: VariableName | None = None
    key_file: LocalPath | None = None
    known_hosts: LocalPath = Path("~/.ssh/known_hosts")
    path: str = "captures"
    """the folder on the Pi that holds one folder per night"""
    manifest: bool = True
    """the program there writes down which frames are finished; without, all that lies there"""
    camera_config: LocalPath | None = None
    """the camera's `config.ini`, handed over with each night's plan; without, the Pi has its own"""
    twilight: Twilight = "nautical"
    """with which the night begins and ends"""
    plan: tuple[PlannedTarget, ...] = ()
    """of two whose hours overlap the first has them; none: the camera's own settings, all night"""


class FolderSource(BaseSource):
    kind: Literal["folder"]
    path: LocalPath


SourceSettings = Annotated[
    ItelescopeSource
    | VesperaSource
    | DwarfSource
    | SeestarSource
    | TelescopeOrgSource
    | PiSource
    | FolderSource,
    Field(discriminator="kind"),
]


MODELS: dict[str, type[BaseModel]] = {
    "itelescope": ItelescopeSource,
    "vespera": VesperaSource,
    "dwarf": DwarfSource,
    "seestar": SeestarSource,
    "telescope_org": TelescopeOrgSource,
    "pi": PiSource,
    "folder": FolderSource,
}
"""by kind"""
