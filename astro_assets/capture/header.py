"""The header of a frame taken here, in the project's vocabulary.

What belongs here: FITS keywords of a frame and the file that holds them. What does not: cameras.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from astro_assets import __version__

_COMMENTS = {
    "IMAGETYP": "kind of frame",
    "OBJECT": "what the camera pointed at",
    "DATE-OBS": "start of the exposure, UTC",
    "DATE-AVG": "middle of the exposure, UTC",
    "DATE-END": "end of the exposure, UTC",
    "EXPTIME": "[s] exposure",
    "GAIN": "the camera's own gain setting",
    "OFFSET": "the camera's own offset setting",
    "EGAIN": "[e-/ADU] from the camera's driver",
    "CCD-TEMP": "[C] sensor",
    "SET-TEMP": "[C] set point of the cooler",
    "XBINNING": "binning along x",
    "YBINNING": "binning along y",
    "XPIXSZ": "[um] pixel, binned",
    "YPIXSZ": "[um] pixel, binned",
    "BAYERPAT": "colours of the first 2 x 2 pixels",
    "INSTRUME": "camera",
    "TELESCOP": "telescope or lens",
    "FILTER": "filter",
    "SITELAT": "[deg] latitude, north positive",
    "SITELONG": "[deg] longitude, east positive",
    "AZIMUTH": "[deg] of the mount's motor",
    "SATURATE": "[ADU] ceiling",
}
_NUMBERS = frozenset(
    [
        "EXPTIME",
        "GAIN",
        "OFFSET",
        "EGAIN",
        "CCD-TEMP",
        "SET-TEMP",
        "XBINNING",
        "YBINNING",
        "XPIXSZ",
        "YPIXSZ",
        "SITELAT",
        "SITELONG",
        "AZIMUTH",
        "SATURATE",
    ]
)


def exposure_dates(begun_utc: datetime, exposure_s: float) -> dict[str, str]:
    """Start, middle and end of an exposure as FITS keywords (FITS standard 4.0, 9.1)."""
    return {
        "DATE-OBS": _iso(begun_utc),
        "DATE-AVG": _iso(begun_utc + timedelta(seconds=exposure_s / 2)),
        "DATE-END": _iso(begun_utc + timedelta(seconds=exposure_s)),
    }


def load_libraries() -> None:
    """Load what `write_fits` needs, so that it takes no exposure's time: on a Pi, seconds."""
    import astropy.io.fits  # noqa: F401
    import numpy  # noqa: F401, ICN001


def write_fits(path: Path, pixels: Any, facts: Mapping[str, str]) -> None:
    """Write pixels, (ny, nx) uint16, with these keywords and with checksums."""
    from astropy.io import fits

    hdu = fits.PrimaryHDU(pixels)
    for keyword, value in facts.items():
        hdu.header[keyword] = (_typed(keyword, value), _COMMENTS.get(keyword, ""))
    hdu.header["SWCREATE"] = f"astro-assets {__version__}"
    hdu.writeto(path, checksum=True, output_verify="exception")


def facts_of(path: Path) -> dict[str, str]:
    """The keywords that `write_fits` wrote; none where the file is no FITS."""
    from astropy.io import fits

    try:
        header = fits.getheader(path)
    except OSError:
        return {}
    return {keyword: str(header[keyword]) for keyword in _COMMENTS if keyword in header}


def _typed(keyword: str, value: str) -> str | float | int:
    if keyword not in _NUMBERS:
        # FITS knows no other letters (standard 4.0, 4.2.1).
        return "".join(c if " " <= c <= "~" else "?" for c in value)
    number = float(value)
    return int(number) if number == int(number) and "." not in value else number


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
