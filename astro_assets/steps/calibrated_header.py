"""The header of a calibrated frame: what the raw one said, and what was done.

What belongs here: keywords. What does not: pixels (`calibrate`).
"""

from collections.abc import Mapping, Sequence

from astropy.io import fits

from astro_assets.formats import format_of
from astro_assets.frame import Frame
from astro_assets.steps import circumstances, provenance
from astro_assets.steps.inputs import OpenedFrame, RawFrame
from astro_assets.steps.matching import Matched

_COPIED = (
    "INSTRUME", "XBINNING", "YBINNING", "GAIN", "OFFSET", "CCD-TEMP", "FOCALLEN", "FOCRATIO",
    "LENS", "XPIXSZ", "YPIXSZ", "FOCUSPOS", "PIERSIDE",
)  # fmt: skip


def calibrated_header(
    opened: OpenedFrame, raw: RawFrame, matched: Matched, steps: Sequence[str]
) -> fits.Header:
    """Keywords of the raw frame in one spelling, its masters, and ``steps`` in the history."""
    header = fits.Header()
    for keyword in _COPIED:
        value = _stated(opened.header, raw.facts, keyword)
        if value not in (None, ""):
            header[keyword] = value
    _describe(header, opened.frame)
    sky = circumstances.sky_of([opened.frame], [circumstances.pointing_of(opened.frame)])[0]
    circumstances.describe(header, opened.frame, sky)
    header["AARAW"] = (raw.sha256[:32], "half of the raw file's sha256")
    if format_of(raw.path.name) is not None:
        for line in opened.header.get("HISTORY", []):
            provenance.note(header, str(line))
    for step in steps:
        provenance.note(header, step)
    for number, master in enumerate(matched.files, start=1):
        header[f"AAUSE{number}"] = f"{master.path.stem} {master.digest}"
    remarks = [opened.remark] if opened.remark else []
    for sentence in (*matched.missing, *matched.warnings, *matched.refused, *remarks):
        provenance.note(header, sentence)
    return header


def _describe(header: fits.Header, frame: Frame) -> None:
    """What all sources say in words of their own, in one spelling."""
    header["IMAGETYP"] = "Light Frame"
    header["BUNIT"] = "electron"
    header["OBJECT"] = provenance.fits_text(frame.target or "")
    if frame.filter:
        header["FILTER"] = provenance.fits_text(frame.filter)
    if frame.bayer_pattern:
        header["BAYERPAT"] = frame.bayer_pattern
    header["EXPTIME"] = (frame.exposure_s or 0.0, "[s]")
    if frame.start_utc is not None:
        header["DATE-OBS"] = (frame.start_utc.replace(tzinfo=None).isoformat(), "UTC, start")
    if frame.ra_deg is not None and frame.dec_deg is not None:
        header["RA"] = (frame.ra_deg, "[deg] pointing")
        header["DEC"] = (frame.dec_deg, "[deg] pointing")
    if frame.pixel_scale_arcsec is not None:
        header["SCALE"] = (frame.pixel_scale_arcsec, "[arcsec/px] nominal")


def _stated(header: fits.Header, facts: Mapping[str, str], keyword: str) -> object:
    """What the header says, or its far side where the card is blank or breaks the standard."""
    try:
        value = header.get(keyword)
    except fits.VerifyError:
        value = None
    if value is None or value == "":
        return provenance.fits_text(facts.get(keyword, ""))
    return value
