"""16-bit TIFF, with `tifffile`: grey, mosaic, or three colours.

What belongs here: pixels of the first image in the file. What does not: EXIF (`exif`), whether the
file is whole (`sources.verify_tiff`).
"""

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.formats.exif import exif_keywords
from astro_assets.formats.pixels import Pixels, header_of

_CFA = 32803
_CFA_PATTERN = 33422
_LETTERS = "RGB"
_OWN_PATTERN = "RGGB"
_UNREADABLE = (
    tifffile.TiffFileError, ValueError, KeyError, IndexError, TypeError, OSError, RuntimeError,
    ArithmeticError, AttributeError, MemoryError,
)  # fmt: skip


def read_tiff(path: Path) -> Pixels:
    """Read the first image.

    Three colours per pixel are laid out as a mosaic again: each pixel keeps the colour that a
    sensor of the pattern RGGB has there. A telescope that writes such a TIFF has filled in the
    other two from the neighbours, so nothing measured is lost, and the lane goes on as with a raw
    frame.

    Raises
    ------
    BrokenFile : it cannot be read, or is a picture of 8 bits
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            image = np.asarray(page.asarray())
            is_mosaic = int(page.photometric) == _CFA
            codes = bytes(page.tags.valueof(_CFA_PATTERN) or b"") if is_mosaic else b""
    except _UNREADABLE as error:
        raise BrokenFile(
            f"{path} is not a readable TIFF ({error}): fetch it again, or take it away"
        ) from error
    if image.dtype.itemsize < 2:
        raise BrokenFile(f"{path} has 8 bits: a picture, not a frame; take it away")
    keywords = exif_keywords(path)
    pattern = _letters(codes)
    note = "read from TIFF"
    if image.ndim == 3 and image.shape[-1] in (3, 4):
        image, pattern = _mosaic(image), _OWN_PATTERN
        note = "read from TIFF of three colours, as a mosaic RGGB of them"
    if pattern:
        keywords["BAYERPAT"] = pattern
    image = np.ascontiguousarray(np.squeeze(image), dtype=np.float32)
    return Pixels(image, header_of(keywords, note))


def _letters(codes: bytes) -> str:
    """The Bayer pattern of a mosaic (TIFF/EP); empty where there is none."""
    letters = "".join(_LETTERS[code] for code in codes if code < len(_LETTERS))
    return letters if len(letters) == 4 else ""


def _mosaic(colours: NDArray[np.generic]) -> NDArray[np.generic]:
    """(ny, nx, 3 or more) to (ny, nx), RGGB."""
    mosaic = colours[..., 1].copy()
    mosaic[0::2, 0::2] = colours[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = colours[1::2, 1::2, 2]
    return mosaic
