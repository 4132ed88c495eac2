"""Pictures with their metadata inside: 16-bit TIFF and PNG.

What belongs here: bytes of picture files. What does not: what the metadata say (`steps.credits`),
how electrons become grey (`imaging.stretch`), frames in these formats (`tiff`).
"""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

_XMP_TAG = 700
_ARTIST_TAG, _COPYRIGHT_TAG = 315, 33432
_XMP_TEXT = "XML:com.adobe.xmp"
PNG_STRATEGY = zlib.Z_RLE
"""Of zlib's: noise has no repetitions to look for. As small as with all its effort, for a fraction
of the time; what is blank still goes in runs."""
_PACKET = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n%s\n<?xpacket end="r"?>'


def write_tiff(
    path: Path, rgb: NDArray[np.uint16], texts: Mapping[str, str], xmp: bytes, software: str
) -> None:
    """Write (3, ny, nx) in FITS row order; the first row comes to lie at the bottom.

    Not compressed: the last of 16 bits are noise. `Author` and `Copyright` of the texts have tags
    of their own, the description has them all.
    """
    packet = _PACKET % xmp
    tags = [(_XMP_TAG, 1, len(packet), packet, True)]
    for tag, name in ((_ARTIST_TAG, "Author"), (_COPYRIGHT_TAG, "Copyright")):
        if texts.get(name):
            text = _ascii(texts[name])
            tags.append((tag, 2, len(text) + 1, text.encode(), True))
    tifffile.imwrite(
        path,
        _interleaved(rgb),
        photometric="rgb",
        description=_ascii("; ".join(f"{name}: {text}" for name, text in texts.items())),
        software=_ascii(software),
        extratags=tags,
        metadata=None,
    )


def write_png(path: Path, rgb: NDArray[np.uint8], texts: Mapping[str, str], xmp: bytes) -> None:
    """Write (3, ny, nx) in FITS row order; the first row comes to lie at the bottom."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_itxt(name, text)
    info.add_itxt(_XMP_TEXT, (_PACKET % xmp).decode())
    Image.fromarray(_interleaved(rgb)).save(path, "PNG", pnginfo=info, compress_type=PNG_STRATEGY)


def _interleaved(rgb: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Rows from the top, the colours of a pixel side by side."""
    return np.ascontiguousarray(np.moveaxis(rgb, 0, -1)[::-1])


def _ascii(text: str) -> str:
    """TIFF texts are 7-bit; the XMP beside them has the real letters."""
    return text.encode("ascii", "replace").decode()
