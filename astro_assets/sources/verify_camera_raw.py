"""Is a camera's raw file whole? Where its images lie, in all of its directories.

What belongs here: CR2, NEF, DNG (TIFF inside) and CR3 (boxes), without decoding a pixel.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from astro_assets.errors import BrokenFile

_MAX_DIRECTORIES = 64


def verify_camera_raw(path: Path, name: str) -> None:
    """Check that every image in the file lies within it.

    Raises
    ------
    BrokenFile : it is cut, or is not what its name says
    """
    size = path.stat().st_size
    try:
        end = _end_of_boxes(path) if name.lower().endswith(".cr3") else max(_ends(path))
    except (ValueError, struct.error, OverflowError) as error:
        raise BrokenFile(
            f"{name} is no whole camera raw file ({error}): ask the source for it again"
        ) from error
    if end > size:
        raise BrokenFile(
            f"{name} is cut: {size} bytes, its directories announce {end}; "
            "ask the source for it again"
        )


def _ends(path: Path) -> Iterator[int]:
    """Where each image of a TIFF ends, those of directories within directories too."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            pages = list(file.pages)[:_MAX_DIRECTORIES]
            for page in pages:
                for each in (page, *(page.pages or ())):
                    yield from (
                        offset + count
                        for offset, count in zip(
                            each.dataoffsets, each.databytecounts, strict=False
                        )
                    )
    except (tifffile.TiffFileError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _end_of_boxes(path: Path) -> int:
    """Where the last box of an ISO base media file ends (ISO/IEC 14496-12, 4.2)."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            length, kind = struct.unpack(">I4s", file.read(8))
            if at == 0 and kind != b"ftyp":
                raise ValueError("it does not begin as one")
            if length == 1:
                (length,) = struct.unpack(">Q", file.read(8))
            if length < 8:
                raise ValueError("a box in it is impossibly short")
            at += length
    return at
