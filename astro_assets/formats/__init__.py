"""Frames that are no FITS: TIFF, XISF and camera raw, read into an image and a FITS header.

What belongs here: from a file's bytes to pixels and keywords in FITS's vocabulary. What does not:
FITS itself (`store`), what the keywords mean (`frame`), whether a file is whole (`sources.verify`).
Libraries are imported where a file of theirs is read. Decoders in C are not to be trusted with a
file that nobody has looked at: `sources` opens such a file in a process of its own first.
"""

from enum import StrEnum
from pathlib import Path

from astro_assets.errors import BrokenFile
from astro_assets.formats.pixels import Pixels


class Format(StrEnum):
    """What a name says of its file."""

    TIFF = "TIFF"
    XISF = "XISF"
    CAMERA_RAW = "camera raw"


_SUFFIXES = {
    Format.TIFF: (".tif", ".tiff"),
    Format.XISF: (".xisf",),
    Format.CAMERA_RAW: (".cr2", ".cr3", ".nef", ".dng"),
}
SUFFIXES = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)


def format_of(name: str) -> Format | None:
    """The format by the name's ending, in any case; None for FITS and all else."""
    lowered = name.lower()
    return next((f for f, suffixes in _SUFFIXES.items() if lowered.endswith(suffixes)), None)


def read(path: Path) -> Pixels:
    """Pixels and header of a TIFF, XISF or camera raw file.

    Raises
    ------
    BrokenFile : it is not readable, or holds no frame
    """
    kind = _format(path)
    if kind is Format.TIFF:
        from astro_assets.formats.tiff import read_tiff

        return read_tiff(path)
    if kind is Format.XISF:
        from astro_assets.formats.xisf_pixels import read_xisf

        return read_xisf(path)
    from astro_assets.formats.camera_raw import read_camera_raw

    return read_camera_raw(path)


def keywords(path: Path) -> dict[str, str]:
    """What the file says of itself, as FITS keywords, without decoding a pixel.

    Raises
    ------
    BrokenFile : it cannot be read
    """
    kind = _format(path)
    if kind is Format.XISF:
        from astro_assets.formats.xisf_header import xisf_header

        return xisf_header(path, path.name).keywords
    from astro_assets.formats.exif import exif_keywords

    return exif_keywords(path)


def _format(path: Path) -> Format:
    kind = format_of(path.name)
    if kind is None:
        raise BrokenFile(f"{path} is neither TIFF, XISF nor camera raw by its name: rename it")
    return kind
