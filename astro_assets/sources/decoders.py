"""The child process of `decoding`: decodes one file after another, and may die of any.

What belongs here: a decoder per form of pixels, and the limits that the process puts on itself.
What does not: what its end means (`decoding`). Nothing is caught here: an error ends the process,
and its last line is the reason.
"""

import json
import math
import os
import resource
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MEMORY_BYTES = 400 * 2**20
"""What decoding may take beyond the libraries and the file itself: three frames of 60 megapixels in
16 bits, in one piece. FITS and TIFF are decoded a few lines at a time and need far less."""
_TIMES_FILE = 6
"""or so often the file, where that is more: XISF of many megapixels in three colours"""
CPU_S = 60
_BAND_BYTES = 16 * 2**20


def decode_fits(path: Path) -> None:
    """Decode every compressed image, some lines of its tiles at a time."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        for hdu in hdus:
            if isinstance(hdu, fits.CompImageHDU) and hdu.shape:
                _decode_bands(hdu)


def _decode_bands(hdu: Any) -> None:
    line_bytes = abs(hdu.header["BITPIX"]) // 8 * math.prod(hdu.shape[1:])
    tile_lines = hdu.tile_shape[0]
    lines = max(1, _BAND_BYTES // max(1, line_bytes * tile_lines)) * tile_lines
    for first in range(0, hdu.shape[0], lines):
        _ = hdu.section[first : first + lines]


def decode_tiff(path: Path) -> None:
    """Decode every strip and tile; what no codec is here for is left alone."""
    import tifffile
    from PIL import Image, UnidentifiedImageError

    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            try:
                for _ in page.segments(maxworkers=1):
                    pass
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                break
        else:
            return
    Image.MAX_IMAGE_PIXELS = None  # the process has its limits
    try:
        with Image.open(path) as image:
            image.load()
    except UnidentifiedImageError:
        pass


def decode_xisf(path: Path) -> None:
    """Unpack the first image, and see that there is enough of it."""
    from astro_assets.formats import xisf_pixels

    xisf_pixels.decode_xisf(path)


def decode_camera_raw(path: Path) -> None:
    """Have LibRaw unpack the mosaic."""
    from astro_assets.formats import camera_raw

    camera_raw.decode_camera_raw(path)


DECODERS: Mapping[str, Callable[[Path], None]] = {
    "fits": decode_fits,
    "tiff": decode_tiff,
    "xisf": decode_xisf,
    "camera raw": decode_camera_raw,
}


def _limit(path: Path) -> None:
    """Count memory and time from here on: more than is sensible ends the process."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = path.stat().st_size
    memory = pages * resource.getpagesize() + size + max(MEMORY_BYTES, _TIMES_FILE * size)
    resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, resource.RLIM_INFINITY))


def main() -> None:
    """Answer each line of the input, a form and a path, when that file has been decoded."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library that prints must not answer
    for line in sys.stdin:
        request = json.loads(line)
        path = Path(request["path"])
        _limit(path)
        DECODERS[request["form"]](path)
        answers.write("decoded\n")
        answers.flush()


if __name__ == "__main__":
    main()
