"""What every format is read into.

What belongs here: the pixels with their header, and how text becomes a header.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from numpy.typing import NDArray

_OF_THE_FILE = re.compile(
    r"SIMPLE|BITPIX|NAXIS\d*|EXTEND|PCOUNT|GCOUNT|BSCALE|BZERO|BLANK|CHECKSUM|DATASUM|END"
    r"|COMMENT|HISTORY|ROWORDER"
)
"""how another file held its pixels, which these do not share"""


@dataclass(frozen=True, slots=True)
class Pixels:
    """An image and what is known of it.

    image : (ny, nx) float32, or (planes, ny, nx); the first row of the file is the first row here
    header : FITS keywords
    """

    image: "NDArray[np.float32]"
    header: "fits.Header"


def header_of(keywords: Mapping[str, str], note: str) -> "fits.Header":
    """Keywords as a FITS header, numbers as numbers, with a line of history.

    Signs that FITS does not hold become ``?``; a keyword of more than eight letters is left out.
    """
    from astropy.io import fits

    header = fits.Header()
    for keyword, text in keywords.items():
        fits_like = re.fullmatch(r"[A-Z0-9_-]{1,8}", keyword)
        if fits_like and not _OF_THE_FILE.fullmatch(keyword):
            header[keyword] = _value(text)
    header["ROWORDER"] = ("TOP-DOWN", "order of the rows in the file")
    header.add_history(note)
    return header


def _value(text: str) -> Any:
    if re.fullmatch(r"[-+]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", text):
        number = float(text)
        if math.isfinite(number):
            return number
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)
