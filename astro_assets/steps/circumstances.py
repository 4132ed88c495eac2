"""Site, time, Sun and Moon of each frame, in its header and in the table.

What belongs here: from frames to keywords and columns, and what cannot be as they tell it. What
does not: computing it (`imaging.ephemeris`), reading headers (`frame`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np
import pandas as pd
from astropy.io import fits

from astro_assets.frame import Frame, Place
from astro_assets.imaging.ephemeris import circumstances
from astro_assets.steps import provenance

Position = tuple[float, float]
Sky = Mapping[str, float]
"""the fields of `imaging.ephemeris.Circumstances` for one frame; NaN for what is not known"""

SITE_UNKNOWN = (
    "not known where the telescope stands, so neither airmass nor Sun and Moon: give the source a "
    "site in the settings"
)
_MJD = 2400000.5
_KEYWORDS: Mapping[str, tuple[str, str]] = {
    "jd_utc": ("JD_UTC", "[d] UTC, middle of the exposure"),
    "bjd_tdb": ("BJD_TDB", "[d] TDB at the barycentre, middle"),
    "altitude_deg": ("OBJCTALT", "[deg] altitude of the target, middle"),
    "azimuth_deg": ("OBJCTAZ", "[deg] azimuth, from north over east"),
    "airmass": ("AIRMASS", "in the middle of the exposure"),
    "sun_altitude_deg": ("SUNALT", "[deg] altitude of the Sun"),
    "moon_altitude_deg": ("MOONALT", "[deg] altitude of the Moon"),
    "moon_illumination": ("MOONILLU", "share of the Moon's disk that is lit"),
    "moon_separation_deg": ("MOONSEP", "[deg] between Moon and target"),
}
ANY_SKY: Sky = dict.fromkeys(_KEYWORDS, 0.0)
"""all that a header may tell of it, where only the header's size is asked for"""
_UP_DEG = 0.5
"""so far above the horizon, or below, is no rounding"""


def sky_of(frames: Sequence[Frame], centres: Sequence[Position | None]) -> list[Sky]:
    """What the sky was like for each frame, computed at once.

    centres : RA and Dec, degrees, of what each frame shows; None where nobody knows
    """
    places = [frame.place for frame in frames]
    found = circumstances(
        [frame.middle_utc for frame in frames],
        [centre[0] if centre else None for centre in centres],
        [centre[1] if centre else None for centre in centres],
        [place.latitude_deg if place else None for place in places],
        [place.longitude_deg if place else None for place in places],
        [place.elevation_m if place else None for place in places],
    )
    columns = asdict(found)
    return [
        {name: float(values[number]) for name, values in columns.items()}
        for number in range(len(frames))
    ]


def pointing_of(frame: Frame) -> Position | None:
    """Where the telescope believed it pointed, else where its target is by the catalogue."""
    if frame.ra_deg is not None and frame.dec_deg is not None:
        return frame.ra_deg, frame.dec_deg
    return target_position(frame.target) if frame.target else None


@lru_cache(maxsize=1024)
def target_position(name: str) -> Position | None:
    """Where an object of NGC, IC or Messier is, degrees; the catalogue comes along."""
    from astro_assets.steps.request_places import in_catalogue

    place = in_catalogue(name)
    return None if place is None else (float(place.ra.deg), float(place.dec.deg))


def describe(header: fits.Header, frame: Frame, sky: Sky) -> None:
    """Write who, where and when, and what the sky was like, into a header."""
    if frame.middle_utc is not None:
        stated = frame.middle_utc.replace(tzinfo=None).isoformat()
        header["DATE-AVG"] = (stated, "UTC, middle of the exposure")
        if np.isfinite(sky["jd_utc"]):
            header["MJD-AVG"] = (sky["jd_utc"] - _MJD, "[d] UTC, middle of the exposure")
    for name, (keyword, comment) in _KEYWORDS.items():
        header.remove(keyword, ignore_missing=True)
        if np.isfinite(sky[name]):
            header[keyword] = (round(sky[name], 8 if keyword.endswith(("UTC", "TDB")) else 4),
                               comment)  # fmt: skip
    if frame.place is not None:
        _describe_place(header, frame.place)
    else:
        provenance.note(header, SITE_UNKNOWN)
    for keyword, text in (("OBSERVER", frame.observer), ("TELESCOP", frame.telescope)):
        if text:
            header[keyword] = provenance.fits_text(text)
    position = target_position(frame.target) if frame.target else None
    if position is not None:
        header["RA-OBJ"] = (round(position[0], 6), "[deg] of OBJECT, from OpenNGC")
        header["DEC-OBJ"] = (round(position[1], 6), "[deg] of OBJECT, from OpenNGC")


def _describe_place(header: fits.Header, place: Place) -> None:
    header["SITELAT"] = (place.latitude_deg, "[deg] latitude, north positive")
    header["SITELONG"] = (place.longitude_deg, "[deg] longitude, east positive")
    header["SITEELEV"] = (place.elevation_m, "[m] above sea level")
    if place.name:
        header["SITENAME"] = header["OBSERVAT"] = provenance.fits_text(place.name)


def columns(frame: Frame, sky: Sky) -> dict[str, object]:
    """The same for the table of frames."""
    place = frame.place
    return {
        "middle_utc": frame.middle_utc,
        **sky,
        "site": place.name if place else None,
        "latitude_deg": place.latitude_deg if place else None,
        "longitude_deg": place.longitude_deg if place else None,
        "elevation_m": place.elevation_m if place else None,
        "telescope": frame.telescope,
        "observer": frame.observer,
    }


def summary(table: pd.DataFrame) -> dict[str, str]:
    """Site, airmass and Moon of a session, in words; from its table of frames."""
    if "latitude_deg" not in table.columns or table["latitude_deg"].isna().all():
        return {"site": SITE_UNKNOWN}
    named = [str(name) for name in table["site"].dropna().unique()]
    first = table[table["latitude_deg"].notna()].iloc[0]
    place = f"{first['latitude_deg']:.2f}°, {first['longitude_deg']:.2f}°"
    told = {"site": ", ".join(named) or place}
    ranges = {"airmass": "{:.2f}", "moon_separation_deg": "{:.0f}", "moon_illumination": "{:.2f}"}
    for column, form in ranges.items():
        values = table[column].dropna()
        if len(values):
            ends = dict.fromkeys((form.format(values.min()), form.format(values.max())))
            told[column] = " to ".join(ends)
    return told


def doubts(where: str, frame: Frame, sky: Sky) -> list[str]:
    """Sentences for what cannot be as the header tells it.

    where : the file's name
    """
    found = list(frame.doubts)
    if sky["sun_altitude_deg"] > _UP_DEG:
        found.append(
            f"{where} was taken by day, with the Sun {sky['sun_altitude_deg']:.0f}° up, if its "
            "time and its site are right: look whether DATE-OBS is local time, or SITELONG has "
            "the wrong sign (east is positive)"
        )
    elif sky["altitude_deg"] < -_UP_DEG:
        found.append(
            f"{where} points {-sky['altitude_deg']:.0f}° below the horizon, if its time and its "
            "site are right: look at DATE-OBS, SITELAT, SITELONG, RA and DEC"
        )
    return found
