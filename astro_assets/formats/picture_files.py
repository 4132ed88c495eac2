"""Pictures with their metadata inside: 16-bit TIFF and PNG.

What belongs here: bytes of picture files. What does not: what the metadata say (`steps.credits`),
how electrons become grey (`imaging.stretch`), frames in these formats (`tiff`), rows of a PNG as
they are packed (`png_rows`).
"""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import PngImagePlugin

from astro_assets.formats.png_rows import Packed, packed, stream

_XMP_TAG = 700
_ARTIST_TAG, _COPYRIGHT_TAG = 315, 33432
_XMP_TEXT = "XML:com.adobe.xmp"
_PACKET = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n%s\n<?xpacket end="r"?>'


def lay_out_tiff(
    path: Path, shape: tuple[int, int], texts: Mapping[str, str], xmp: bytes, software: str
) -> int:
    """Make a TIFF of 16 bits and three colours that is complete but for its pixels.

    Not compressed: the last of 16 bits are noise. `Author` and `Copyright` of the texts have tags
    of their own, the description has them all.

    Parameters
    ----------
    shape : (ny, nx)

    Returns
    -------
    Where in the file the pixels belong: ny rows from the top, of nx times three colours, in the
    machine's order of bytes.
    """
    packet = _PACKET % xmp
    tags = [(_XMP_TAG, 1, len(packet), packet, True)]
    for tag, name in ((_ARTIST_TAG, "Author"), (_COPYRIGHT_TAG, "Copyright")):
        if texts.get(name):
            text = _ascii(texts[name])
            tags.append((tag, 2, len(text) + 1, text.encode(), True))
    place = tifffile.imwrite(
        path,
        shape=(*shape, 3),
        dtype=np.uint16,
        photometric="rgb",
        description=_ascii("; ".join(f"{name}: {text}" for name, text in texts.items())),
        software=_ascii(software),
        extratags=tags,
        metadata=None,
        returnoffset=True,
    )
    if place is None:
        raise ValueError(f"{path}: the pixels of a TIFF of {shape} do not lie in one piece")
    return int(place[0])


def write_png(path: Path, rgb: NDArray[np.uint8], texts: Mapping[str, str], xmp: bytes) -> None:
    """Write (3, ny, nx) in FITS row order; the first row comes to lie at the bottom."""
    rows = np.ascontiguousarray(np.moveaxis(rgb, 0, -1)[::-1])
    write_packed_png(path, (rows.shape[0], rows.shape[1]), [packed(rows)], texts, xmp)


def write_packed_png(
    path: Path,
    shape: tuple[int, int],
    pieces: Iterable[Packed],
    texts: Mapping[str, str],
    xmp: bytes,
) -> None:
    """Write a PNG of 8 bits and three colours from its rows, packed in pieces from the top.

    Parameters
    ----------
    shape : (ny, nx)
    """
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        put = PngImagePlugin.putchunk
        put(file, b"IHDR", struct.pack(">2I5B", shape[1], shape[0], 8, 2, 0, 0, 0))
        info = PngImagePlugin.PngInfo()
        for name, text in texts.items():
            info.add_itxt(name, text)
        info.add_itxt(_XMP_TEXT, (_PACKET % xmp).decode())
        for kind, body, *_ in info.chunks:
            put(file, kind, body)
        for body in stream(pieces):
            put(file, b"IDAT", body)
        put(file, b"IEND", b"")


def _ascii(text: str) -> str:
    """TIFF texts are 7-bit; the XMP beside them has the real letters."""
    return text.encode("ascii", "replace").decode()
