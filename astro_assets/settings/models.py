"""What may stand in `observatory.toml`, as types with their defaults and limits.

What belongs here: keys and limits of all but the sources (`sources`). What does not: reading the
file (`reading`), the sentences for mistakes (`complaints`).
"""

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from astro_assets.errors import SettingsError
from astro_assets.settings.grids import GridWish
from astro_assets.settings.online import GaiaArchive, Nova
from astro_assets.settings.secrets import Secrets
from astro_assets.settings.sources import SourceSettings
from astro_assets.settings.types import LocalPath, Strict


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

    The ``_ratio`` limits are relative to the median of the session's frames in the same filter;
    those without a default are not applied unless they are set.
    """

    min_stars: int = Field(default=8, ge=0)
    min_stars_ratio: float = Field(default=0.4, ge=0)
    max_elongation: float = Field(default=1.6, ge=1)
    max_fwhm_ratio: float = Field(default=1.6, gt=1)
    max_background_ratio: float = Field(default=3.0, gt=1)
    min_transparency: float = Field(default=0.5, ge=0, le=1)
    max_residual_arcsec_ratio: float = Field(default=0.8, gt=0)
    """of the pixel scale"""
    max_fwhm_arcsec: float | None = Field(default=None, gt=0)
    min_sky_mag_arcsec2: float | None = None
    min_limiting_mag: float | None = None


class Solving(Strict):
    """Where astrometry.net index files lie, beside the ones that come with the system.

    Services on the internet are asked only where they stand here.
    """

    index_folders: tuple[LocalPath, ...] = (Path("/usr/share/astrometry"),)
    nova: Nova | None = None
    gaia: GaiaArchive | None = None


class Resources(Strict):
    """How much of the machine one run may take; all cores and half of the memory where not said."""

    cores: int | None = Field(default=None, ge=1)
    memory_gb: float | None = Field(default=None, ge=0.5)


class Settings(BaseModel):
    """Everything in `observatory.toml`. Sources that could not be read are in ``problems``."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: Path
    root: Path
    site: Site
    watch: Watch = Watch()
    limits: Limits = Limits()
    solving: Solving = Solving()
    resources: Resources = Resources()
    grids: tuple[GridWish, ...] = ()
    sources: tuple[SourceSettings, ...] = ()
    problems: tuple[SettingsError, ...] = ()
    secrets: Secrets = Field(repr=False)

    @property
    def active_sources(self) -> tuple[SourceSettings, ...]:
        return tuple(source for source in self.sources if source.enabled)

    @property
    def nova_key(self) -> str | None:
        """The API key of nova.astrometry.net, where it is asked. Raises `SettingsError`."""
        nova = self.solving.nova
        return None if nova is None else self.secrets.of(nova.key_env, "solving.nova.key_env")

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
    resources: Resources = Resources()
    grids: tuple[GridWish, ...] = ()
    sources: list[dict[str, object]] = Field(default_factory=list)
