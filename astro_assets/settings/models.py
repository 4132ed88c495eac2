"""What may stand in `observatory.toml`, as types with their defaults and limits.

What belongs here: keys, limits, what each source needs. What does not: reading the file
(`reading`), the sentences for mistakes (`complaints`).
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from astro_assets.errors import SettingsError
from astro_assets.frame import FrameKind


def _local(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        raise ValueError("a folder or file on this machine")
    return value


def _home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError as error:
        raise ValueError("a path on this machine; there is no such home folder") from error


def _digits(value: object) -> object:
    return value.replace(":", "").lower() if isinstance(value, str) else value


LocalPath = Annotated[Path, BeforeValidator(_local), AfterValidator(_home)]
"""relative to the settings file; ``~`` is the user's home"""

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HostName = Annotated[str, Field(pattern=r"^[^\s/]+$")]
Fingerprint = Annotated[str, BeforeValidator(_digits), Field(pattern=r"^[0-9a-f]{64}$")]
"""also as other programs spell it, ``AB:CD…``"""
Port = Annotated[int, Field(ge=1, le=65535)]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )


class Site(Strict):
    """Where the observer's nights are counted, and where the Sun sets for the Pi."""

    name: str
    latitude_deg: float = Field(ge=-90, le=90)
    longitude_deg: float = Field(ge=-180, le=180)
    elevation_m: float = 0.0
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("a time zone such as Europe/Amsterdam") from error
        return value


class Watch(Strict):
    """How often the sensors look, and when a growing session counts as finished."""

    interval_s: int = Field(default=300, ge=5)
    quiet_s: int = Field(default=300, ge=0)


class Limits(Strict):
    """Above (or below) these a frame is rejected, with the reason.

    The ``_ratio`` limits are relative to the median of the session's frames in the same filter.
    """

    min_stars: int = Field(default=8, ge=0)
    min_stars_ratio: float = Field(default=0.4, ge=0)
    max_elongation: float = Field(default=1.6, ge=1)
    max_fwhm_ratio: float = Field(default=1.6, gt=1)
    max_background_ratio: float = Field(default=3.0, gt=1)
    min_transparency: float = Field(default=0.5, ge=0, le=1)
    max_residual_arcsec_ratio: float = Field(default=0.8, gt=0)
    """of the pixel scale"""


class Solving(Strict):
    """Where astrometry.net index files lie, beside the ones that come with the system."""

    index_folders: tuple[LocalPath, ...] = (Path("/usr/share/astrometry"),)


class Selection(Strict):
    """Which of a source's frames are wanted; what is left empty selects all."""

    targets: tuple[str, ...] = ()
    first_night: date | None = None
    last_night: date | None = None
    instruments: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    kinds: tuple[FrameKind, ...] = ()


class BaseSource(Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    enabled: bool = True
    select: Selection = Selection()
    max_connections: int = Field(default=2, ge=1, le=8)
    max_megabytes_per_s: float | None = Field(default=None, gt=0)
    """of all connections to this source together"""
    gain_e_per_adu: float | None = Field(default=None, gt=0)
    """for cameras whose headers do not say"""


class _Login(BaseSource):
    user_env: VariableName
    password_env: VariableName

    def credentials(self, secrets: "Secrets") -> tuple[str, str]:
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


class Secrets:
    """The environment, and beneath it `.env` beside the settings file. Prints no value."""

    def __init__(self, values: dict[str, str], file: Path) -> None:
        self._values = values
        self._file = file

    def value(self, source: BaseSource, key: str) -> str:
        """The secret whose variable ``source.<key>`` names. Raises `SettingsError`."""
        variable = getattr(source, key)
        value = self._values.get(variable)
        if not value:
            raise SettingsError(
                self._file,
                f"sources.{source.name}.{key}",
                f"the environment variable {variable} is not set or empty; set it, or write "
                f"{variable}=… into {self._file.parent / '.env'}",
            )
        return value

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} variables)"


class Settings(BaseModel):
    """Everything in `observatory.toml`. Sources that could not be read are in ``problems``."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: Path
    root: Path
    site: Site
    watch: Watch = Watch()
    limits: Limits = Limits()
    solving: Solving = Solving()
    sources: tuple[SourceSettings, ...] = ()
    problems: tuple[SettingsError, ...] = ()
    secrets: Secrets = Field(repr=False)

    @property
    def active_sources(self) -> tuple[SourceSettings, ...]:
        return tuple(source for source in self.sources if source.enabled)

    def source(self, name: str) -> SourceSettings:
        """The source of that name. Raises `SettingsError` with the names there are."""
        for source in self.sources:
            if source.name == name:
                return source
        names = ", ".join(source.name for source in self.sources) or "none"
        raise SettingsError(
            self.file, "sources", f"there is no source {name!r}; there are: {names}"
        )


class FileContent(Strict):
    """The file itself; its sources are judged one by one."""

    root: LocalPath
    site: Site
    watch: Watch = Watch()
    limits: Limits = Limits()
    solving: Solving = Solving()
    sources: list[dict[str, object]] = []


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
