"""A frame out of its header: which keyword means what."""

import re
from collections.abc import Mapping
from typing import Any

from astro_assets.errors import MissingHeader
from astro_assets.frame.angles import pointing
from astro_assets.frame.keywords import Keywords
from astro_assets.frame.kinds import FrameKind, kind_from_text
from astro_assets.frame.model import Frame
from astro_assets.frame.places import place_of
from astro_assets.frame.times import start_utc


def frame_from_header(
    header: Mapping[str, Any], facts: Mapping[str, str] | None = None, where: str = "frame"
) -> Frame:
    """Read one vocabulary out of any source's header.

    Parameters
    ----------
    header : FITS header (or a dict with the same keywords)
    facts : FITS keywords that the name, the path or the server knows; they fill what the header
        leaves blank and never overrule it, but for ``AAINSTR``: which of its cameras it was, where
        a telescope's headers do not tell them apart
    where : the file's name, for the error

    Raises
    ------
    MissingHeader : a light or dark without an exposure time
    """
    words = Keywords(header, facts or {})
    kind = kind_from_text(words.text("IMAGETYP", "FRAME", "PICTTYPE") or "light")
    exposure_s = words.seconds("EXPTIME", "EXPOSURE", "EXP_TIME")
    if exposure_s is None and kind in (FrameKind.LIGHT, FrameKind.DARK):
        raise MissingHeader(
            f"{where} has no exposure time (EXPTIME or EXPOSURE): add the keyword to the file, "
            "or take the file away"
        )
    start, doubts = start_utc(words, exposure_s, where)
    place, turned = place_of(words, where)
    ra_deg, dec_deg = pointing(words)
    return Frame(
        kind=kind,
        target=words.text("OBJECT", "OBSTARGET"),
        start_utc=start,
        exposure_s=exposure_s,
        filter=words.text("FILTER"),
        instrument=(facts or {}).get("AAINSTR") or words.text("INSTRUME", "TELESCOP", "CAMERA"),
        binning=_binning(words),
        gain_setting=words.number("GAIN"),
        offset_setting=words.number("OFFSET", "BLKLEVEL"),
        sensor_temperature_c=words.number("CCD-TEMP", "SET-TEMP", "TEMPERAT"),
        bayer_pattern=_bayer(words.text("BAYERPAT", "COLORTYP")),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        pixel_scale_arcsec=_pixel_scale(words),
        gain_e_per_adu=words.positive("EGAIN", "GAIN_E"),
        read_noise_e=words.positive("RDNOISE", "READNOIS"),
        saturation_adu=words.positive("SATURATE", "DATAMAX"),
        pedestal_adu=words.number("PEDESTAL") or 0.0,
        calibration_status=(words.text("CALSTAT") or "").upper(),
        telescope=words.text("TELESCOP"),
        observer=words.text("OBSERVER"),
        place=place,
        doubts=(*doubts, turned) if turned else doubts,
        read_mode=words.text("READOUTM", "READMODE", "READOUT"),
        rotator_deg=words.number("ROTATANG", "ROTATOR"),
    )


def _binning(words: Keywords) -> int:
    """From ``XBINNING = 2``, or from text: ``BINNING = '2x2'``, ``CCDSUM = '2 2'``."""
    stated = words.number("XBINNING", "CCDXBIN", "BINX")
    if stated is None:
        match = re.match(r"[1-9]", words.text("BINNING", "CCDSUM", "XBINNING") or "")
        return int(match[0]) if match else 1
    return int(stated) if 1 <= stated < 100 else 1


def _bayer(text: str | None) -> str | None:
    pattern = (text or "").upper()
    return pattern if pattern in ("RGGB", "BGGR", "GRBG", "GBRG") else None


def _pixel_scale(words: Keywords) -> float | None:
    """Arcseconds per pixel from SCALE or from pixel size and focal length."""
    stated = words.positive("SCALE", "PIXSCALE", "SECPIX")
    if stated:
        return stated
    pixel_um, focal_length_mm = words.positive("XPIXSZ", "PIXSIZE1"), words.positive("FOCALLEN")
    if pixel_um is None or focal_length_mm is None:
        return None
    return 206.265 * pixel_um / focal_length_mm
