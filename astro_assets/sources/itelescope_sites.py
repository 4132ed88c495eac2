"""Where an iTelescope stands, by its number.

What belongs here: reading the table in `data`. What does not: the table itself.
"""

import csv
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from astro_assets.data import ITELESCOPE_SITES


@dataclass(frozen=True, slots=True)
class TelescopeSite:
    """A line of the table.

    last_night : the position is known up to this night only; None for always
    """

    site: str
    latitude_deg: str
    longitude_deg: str
    elevation_m: str
    timezone: str
    last_night: date | None

    def facts(self, night: date) -> dict[str, str]:
        """The position as FITS keywords, as the table writes its numbers."""
        if self.last_night is not None and night > self.last_night:
            return {}
        return {
            "SITENAME": self.site,
            "SITELAT": self.latitude_deg,
            "SITELONG": self.longitude_deg,
            "SITEELEV": self.elevation_m,
            "OBSGEO-B": self.latitude_deg,
            "OBSGEO-L": self.longitude_deg,
            "OBSGEO-H": self.elevation_m,
        }


@lru_cache(maxsize=1)
def sites() -> dict[str, TelescopeSite]:
    """The table, by telescope: ``T05``."""
    lines = ITELESCOPE_SITES.read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        row["telescope"]: TelescopeSite(
            site=row["site"],
            latitude_deg=row["latitude_deg"],
            longitude_deg=row["longitude_deg"],
            elevation_m=row["elevation_m"],
            timezone=row["timezone"],
            last_night=date.fromisoformat(row["last_night"]) if row["last_night"] else None,
        )
        for row in rows
    }
