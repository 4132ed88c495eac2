"""The pixels of an XISF file, with the `xisf` package.

What belongs here: what that package leaves to its caller (byte order, bounds). What does not: the
header (`xisf_header`).
"""

import zlib
from pathlib import Path

import lz4.block
import numpy as np
import zstandard
from numpy.typing import NDArray
from xisf import XISF

from astro_assets.errors import BrokenFile
from astro_assets.formats.pixels import Pixels, header_of
from astro_assets.formats.xisf_header import XisfHeader, xisf_header

_UNREADABLE = (
    ValueError, KeyError, IndexError, TypeError, OSError, EOFError, NotImplementedError,
    AssertionError, SyntaxError, MemoryError, zlib.error, lz4.block.LZ4BlockError,
    zstandard.ZstdError,
)  # fmt: skip
_COUNTS = 65535.0


def read_xisf(path: Path) -> Pixels:
    """Read the first image; floats from 0 to 1 become counts of 16 bits.

    Raises
    ------
    BrokenFile : it is no XISF file, or its pixels cannot be read
    """
    header = xisf_header(path, path.name)
    try:
        image = decode_xisf(path)
    except _UNREADABLE as error:
        raise BrokenFile(
            f"{path} is not a readable XISF image ({error}): fetch it again, or take it away"
        ) from error
    if header.attributes.get("pixelStorage", "Planar") != "Planar" and header.channels > 1:
        raise BrokenFile(f"{path} stores its colours pixel by pixel: save it as planar")
    if header.attributes.get("byteOrder", "little") == "big":
        image = image.view(image.dtype.newbyteorder(">"))
    counts = _counts(image, header)
    return Pixels(
        np.ascontiguousarray(counts[0] if header.channels == 1 else counts, dtype=np.float32),
        header_of(header.keywords, "read from XISF"),
    )


def decode_xisf(path: Path) -> NDArray[np.generic]:
    """The pixels as they are stored, (channels, ny, nx); any error is the file's own."""
    image: NDArray[np.generic] = XISF(str(path)).read_image(0, data_format="channels_first")
    return image


def _counts(image: NDArray[np.generic], header: XisfHeader) -> NDArray[np.generic]:
    if image.dtype.kind != "f":
        return image
    low, high = (float(part) for part in header.attributes.get("bounds", "0:1").split(":"))
    scale = _COUNTS if (low, high) == (0.0, 1.0) else 1.0
    return image.astype(np.float32) * np.float32(scale)
