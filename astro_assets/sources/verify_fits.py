"""Is a FITS file whole? Lengths, checksums and holes, without trusting a lazy reader.

What belongs here: the checks, from bytes. What does not: where the units lie (`fits_units`), what
makes a run of zeros a hole (`holes`), what only a decoder can tell (`decoding`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from astro_assets.errors import BrokenFile
from astro_assets.packed import Unpacked, most_bytes
from astro_assets.sources.fits_units import BLOCK, Hdu, Stream, hdus
from astro_assets.sources.holes import Raster, find_hole, hole_error

_CHUNK = 512 * BLOCK
_MAX_LINE_SAMPLES = 4
"""Up to so many values along the first of three axes are the colours of one pixel."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at a whole FITS file has told.

    vouched : a checksum inside the file vouches for its data
    coded : images within are compressed; whether they are whole shows in decoding them
    """

    vouched: bool
    coded: bool


def verify_fits(path: Path, name: str, *, zeros: bool = True) -> Checked:
    """Check length, padding, CHECKSUM and DATASUM of every HDU (FITS standard 4.0, 3 and 4.4.2.7).

    Data for which no checksum vouches are searched for holes, if there are ``zeros``.

    Raises
    ------
    BrokenFile : the file is not whole
    """
    size = path.stat().st_size
    vouched = coded = False
    with path.open("rb") as file:
        for hdu in hdus(file, size, name):
            if hdu.end > size:
                raise BrokenFile(
                    f"{name} is cut: {size} bytes, its header announces {hdu.end}; "
                    "ask the source for it again"
                )
            if _has_checksum(hdu):
                _compare_checksums(file, hdu, name)
                vouched = True
            elif zeros:
                _search_hole(path, hdu, name)
            if hdu.cards.get("ZIMAGE") == "T":
                _refuse_bomb(hdu, size, name)
                coded = True
    return Checked(vouched, coded)


def verify_packed_fits(path: Path, name: str) -> Checked:
    """As `verify_fits`, for a file packed by gzip or bzip2, in one bounded pass.

    The packer's checksum, which is compared where `hdus` comes to the stream's end, vouches for
    every byte, so that nothing is searched for holes.
    """
    coded = False
    with Unpacked(path, name) as file:
        for hdu in hdus(file, None, name):
            if hdu.end > file.limit_bytes:
                raise BrokenFile(
                    f"{name} would swell from {file.size_bytes} to {hdu.end} bytes: look at it"
                )
            if _has_checksum(hdu):
                _compare_checksums(file, hdu, name)
            elif file.seek(hdu.end) < hdu.end:
                raise BrokenFile(f"{name} is cut before it was packed: look at it at its source")
            coded |= hdu.cards.get("ZIMAGE") == "T"
    return Checked(vouched=True, coded=coded)


def _has_checksum(hdu: Hdu) -> bool:
    return hdu.cards.get("DATASUM", "").isdigit() or bool(hdu.cards.get("CHECKSUM"))


def _compare_checksums(file: Stream, hdu: Hdu, name: str) -> None:
    """Raise `BrokenFile` when a checksum of this HDU is wrong."""
    datasum, checksum = hdu.cards.get("DATASUM", ""), hdu.cards.get("CHECKSUM", "")
    data = _ones_complement_sum(file, hdu.data_start, hdu.end, name)
    if datasum.isdigit() and int(datasum) % 0xFFFFFFFF != data % 0xFFFFFFFF:
        raise BrokenFile(f"{name}: its data do not agree with DATASUM; ask the source for it again")
    if checksum and _folded(data + hdu.header_sum) not in (0, 0xFFFFFFFF):
        raise BrokenFile(f"{name} does not agree with its CHECKSUM; ask the source for it again")


def _ones_complement_sum(file: Stream, start: int, end: int, name: str) -> int:
    """The 32-bit ones' complement sum of whole blocks (FITS standard 4.0, appendix J)."""
    file.seek(start)
    total = 0
    left = end - start
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk or len(chunk) % 4:
            raise BrokenFile(f"{name} has become shorter while it was read: look at it")
        left -= len(chunk)
        total += int(np.frombuffer(chunk, dtype=">u4").sum(dtype=np.uint64))
    return _folded(total)


def _folded(total: int) -> int:
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _search_hole(path: Path, hdu: Hdu, name: str) -> None:
    """Raise `BrokenFile` when an image without a checksum has a hole of zeros."""
    raster = _raster(hdu)
    hole = raster and find_hole(path, raster)
    if hole:
        raise hole_error(name, hole)


def _raster(hdu: Hdu) -> Raster | None:
    """How the pixels of an image lie in its bytes; None for what is no image of lines."""
    cards = hdu.cards
    axes = [int(cards[f"NAXIS{n}"]) for n in range(1, int(cards["NAXIS"]) + 1)]
    if cards.get("XTENSION", "IMAGE").strip() != "IMAGE" or not hdu.data_size or 0 in axes:
        return None
    if len(axes) > 2 and axes[0] <= _MAX_LINE_SAMPLES:
        axes = [axes[0] * axes[1], *axes[2:]]
    if len(axes) < 2 or cards.get("BLANK") == "0":
        return None
    bits = int(cards["BITPIX"])
    return Raster(
        start=hdu.data_start,
        size_bytes=hdu.data_size,
        pixel_bytes=abs(bits) // 8,
        line_pixels=axes[0],
        plane_lines=axes[1],
        zero_is_black=not _unsigned(bits, cards),
    )


def _unsigned(bits: int, cards: dict[str, str]) -> bool:
    """Whether counts from 0 on are stored with an offset, so that zero bytes are half of the range.

    (FITS standard 4.0, table 11.)
    """
    try:
        zero, scale = float(cards.get("BZERO", "0")), float(cards.get("BSCALE", "1"))
    except ValueError:
        return False
    return scale == 1 and bits in (16, 32, 64) and zero == 2.0 ** (bits - 1)


def _refuse_bomb(hdu: Hdu, size: int, name: str) -> None:
    """Raise `BrokenFile` when compressed images announce far more pixels than they can hold."""
    cards = hdu.cards
    try:
        axes = [int(cards[f"ZNAXIS{n}"]) for n in range(1, int(cards["ZNAXIS"]) + 1)]
        announced = abs(int(cards["ZBITPIX"])) // 8 * int(np.prod(axes, dtype=object))
    except (KeyError, ValueError) as error:
        raise BrokenFile(
            f"{name} does not say how large its compressed image is: look at it"
        ) from error
    if min(axes, default=0) < 0 or announced > most_bytes(size):
        raise BrokenFile(f"{name} would swell from {size} to {announced} bytes: look at it")
