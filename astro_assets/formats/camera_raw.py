"""Raw files of cameras (CR2, CR3, NEF, DNG), with LibRaw: the mosaic as the sensor gave it.

What belongs here: pixels, black level, pattern, ceiling. What does not: EXIF (`exif`), colours,
white balance: the lane makes its own.
"""

from pathlib import Path

import numpy as np
import rawpy
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.formats.exif import exif_keywords
from astro_assets.formats.pixels import Pixels, header_of

_EMPTY_ROWS = 16
"""A sensor's noise leaves not one row without a difference."""
_BAYER = ("RGGB", "BGGR", "GRBG", "GBRG")


def read_camera_raw(path: Path) -> Pixels:
    """Read the mosaic, less its black level.

    The black level that the camera states is taken off light and calibration frames alike, so
    that a frame without a master bias has its zero where it should be. Pixels below it stay
    negative: cut off, they would shift the sky.

    Raises
    ------
    BrokenFile : LibRaw cannot read it, or the sensor has no Bayer pattern
    """
    try:
        with rawpy.imread(str(path)) as raw:
            if raw.raw_image_visible is None or raw.raw_image_visible.ndim != 2:
                raise BrokenFile(f"{path} holds no mosaic: save it as the camera's own raw")
            colours = raw.raw_colors_visible
            pattern = _pattern(raw.color_desc.decode("ascii", "replace"), colours)
            black = np.asarray(raw.black_level_per_channel, dtype=np.float32)
            image = raw.raw_image_visible.astype(np.float32) - black[colours]
            ceiling = float(raw.white_level) - float(black.max())
            keywords = {**_from_libraw(raw), **exif_keywords(path)}
    except (rawpy.LibRawError, OSError, MemoryError) as error:
        raise BrokenFile(
            f"{path} is no raw file that can be read ({error}): fetch it again, or take it away"
        ) from error
    if pattern not in _BAYER:
        raise BrokenFile(f"{path} has the pattern {pattern}, and only Bayer patterns are reduced")
    keywords |= {"BAYERPAT": pattern, "SATURATE": f"{ceiling:g}"}
    levels = ", ".join(f"{level:g}" for level in black)
    return Pixels(image, header_of(keywords, f"read from camera raw, black level {levels} off"))


def decode_camera_raw(path: Path) -> None:
    """Have LibRaw unpack the pixels; any error is the file's own.

    LibRaw keeps quiet about pixels that it could not unpack and leaves them as they were.
    """
    with rawpy.imread(str(path)) as raw:
        image = raw.raw_image_visible
        if image is None:
            raise ValueError("it holds no mosaic")
        empty = image.min(axis=-1) == image.max(axis=-1)
        if empty.ndim == 1 and _longest_run(empty) >= _EMPTY_ROWS:
            raise ValueError("rows of it could not be unpacked")


def _longest_run(flags: NDArray[np.bool_]) -> int:
    """How many of them are set one after another, at most."""
    borders = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((borders[1::2] - borders[::2]).max(initial=0))


def _pattern(letters: str, colours: NDArray[np.uint8]) -> str:
    """The colours of the first 2 × 2 pixels that see the sky."""
    return "".join(letters[colour] for colour in colours[:2, :2].flat)


def _from_libraw(raw: rawpy.RawPy) -> dict[str, str]:
    """For formats whose EXIF is not read."""
    found = {}
    if raw.other.shutter_speed > 0:
        found["EXPTIME"] = f"{raw.other.shutter_speed:.6g}"
    if raw.other.iso_speed > 0:
        found["GAIN"] = f"{raw.other.iso_speed:g}"
    return found
