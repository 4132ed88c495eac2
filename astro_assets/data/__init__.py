"""The small star catalogue, solver index and tables that come with the package.

What belongs here: paths to data files, nothing else. What they are, where they come from and how
they were made stands in `README.md` beside them.
"""

from importlib.resources import files
from pathlib import Path

_FOLDER = Path(str(files("astro_assets.data")))

INDEX_FILES: tuple[Path, ...] = tuple(sorted(_FOLDER.glob("index-*.fits")))
"""astrometry.net index files of the demo's fields, for fields of view from 0.6° to 4°."""

CATALOGUE: Path = _FOLDER / "tycho2_fields.fits"
"""ra_deg, dec_deg (ICRS, J2000) and vt_mag of the Tycho-2 stars in the demo's fields."""

ITELESCOPE_SITES: Path = _FOLDER / "itelescope_sites.csv"
"""where iTelescope's telescopes stand; what is sure of it, and what is not, stands in the file"""


def packaged(name: str) -> Path:
    """A file of the project's top level that travels inside the installed package."""
    inside = _FOLDER / name
    return inside if inside.exists() else _FOLDER.parents[1] / name
