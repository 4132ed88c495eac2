"""What a picture says of itself: title, who and with what, which filter is which colour, where.

What belongs here: from FITS headers to texts and to AVM, the Astronomy Visualization Metadata
1.2 (Virtual Astronomy Multimedia Project), which planetarium programs read. What does not: the
files (`formats.picture_files`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_area
from pyavm import AVM

from astro_assets import __version__
from astro_assets.imaging.filters import BROAD_NM, NARROW_NM, channel_of

SOFTWARE = f"astro-assets {__version__}"

_COLOURS = ("Red", "Green", "Blue")


@dataclass(frozen=True, slots=True)
class Credits:
    """texts : for people, by the names that PNG has for them; xmp : AVM as an XMP document"""

    texts: Mapping[str, str]
    xmp: bytes


def credits_of(
    title: str,
    headers: Sequence[fits.Header],
    channels: Sequence[str],
    wcs: WCS,
    shape: tuple[int, int],
    notes: Mapping[str, str],
) -> Credits:
    """Credits of a picture.

    Parameters
    ----------
    headers : of the images that it is made from
    channels : filters in red, green and blue; an empty one is made of the others
    wcs, shape : of the picture, (ny, nx); the first row lies at the bottom
    notes : further texts
    """
    exposure_s = sum(float(header.get("TOTALEXP", 0.0)) for header in headers)
    starts = sorted(text for text in (_text(header, "DATE-OBS") for header in headers) if text)
    observer, telescope, camera, place = (
        ", ".join(dict.fromkeys(text for header in headers if (text := _text(header, keyword))))
        for keyword in ("OBSERVER", "TELESCOP", "INSTRUME", "OBSERVAT")
    )
    texts = {
        "Title": title,
        "Author": observer,
        "Source": ", ".join(text for text in (telescope, camera, place) if text),
        "Exposure": f"{exposure_s:.0f} s",
        "Date": starts[0] if starts else "",
        "Position": _position(wcs, shape),
        **notes,
        "Software": SOFTWARE,
    }
    texts = {name: text for name, text in texts.items() if text}
    return Credits(texts, _avm(texts, headers, channels, wcs, shape, starts).to_xml())


def _avm(
    texts: Mapping[str, str],
    headers: Sequence[fits.Header],
    channels: Sequence[str],
    wcs: WCS,
    shape: tuple[int, int],
    starts: Sequence[str],
) -> AVM:
    avm = AVM.from_wcs(wcs, shape=shape)
    avm.Spatial.Equinox = "2000.0"
    # AVM wants the first scale negative, and a rotation that goes with that.
    scale_deg = float(np.sqrt(proj_plane_pixel_area(wcs)))
    matrix = wcs.pixel_scale_matrix
    avm.Spatial.Scale = [-scale_deg, scale_deg]
    avm.Spatial.Rotation = float(np.degrees(np.arctan2(-matrix[1, 0], matrix[1, 1])))
    avm.Title = texts["Title"]
    avm.Subject.Name = [_text(headers[0], "OBJECT") or texts["Title"]]
    avm.Description = "; ".join(f"{name}: {text}" for name, text in texts.items())
    avm.Credit = texts.get("Author") or SOFTWARE
    avm.Creator = texts.get("Author") or SOFTWARE
    if starts:
        avm.Date = starts[0][:10]
    shown = [(c, name) for c, name in zip(_COLOURS, channels, strict=True) if name]
    by_filter = {_text(header, "FILTER"): header for header in headers}
    used = [by_filter.get(name, headers[0]) for _, name in shown]
    avm.Type = "Observation"
    avm.Facility = [_text(header, "TELESCOP") or "-" for header in used]
    avm.Instrument = [_text(header, "INSTRUME") or "-" for header in used]
    avm.Spectral.ColorAssignment = [colour for colour, _ in shown]
    avm.Spectral.Band = ["Optical"] * len(shown)
    avm.Spectral.Bandpass = [name for _, name in shown]
    nanometres = {**BROAD_NM, **NARROW_NM}
    wavelengths = [nanometres.get(channel_of(name) or "") for _, name in shown]
    if all(wavelengths):
        avm.Spectral.CentralWavelength = wavelengths
    avm.Temporal.StartTime = [_text(header, "DATE-OBS") or "-" for header in used]
    avm.Temporal.IntegrationTime = [float(header.get("TOTALEXP", 0.0)) for header in used]
    return avm


def _text(header: fits.Header, keyword: str) -> str:
    return str(header.get(keyword) or "").strip()


def _position(wcs: WCS, shape: tuple[int, int]) -> str:
    """Of the middle, for people."""
    ra_deg, dec_deg = wcs.wcs_pix2world((shape[1] - 1) / 2, (shape[0] - 1) / 2, 0)
    return f"RA {float(ra_deg):.4f} Dec {float(dec_deg):+.4f} deg (ICRS)"
