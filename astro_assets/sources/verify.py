"""Is a file whole? Structure and checksums, without trusting a lazy reader.

What belongs here: FITS, from its bytes. TIFF is in `verify_tiff`, archives are in `unzip`. What
does not: what the header means (`frame`) or what the pixels show (`imaging`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from astro_assets.errors import BrokenFile
from astro_assets.sources.paths import is_fits, is_tiff
from astro_assets.sources.verify_tiff import verify_tiff

BLOCK = 2880
_CARD = 80
_MAX_HEADER_BLOCKS = 4000
_CHUNK = 512 * BLOCK
_MAX_AXES = 999


@dataclass(frozen=True, slots=True)
class Hdu:
    """One header and data unit: its cards by keyword, and where it lies in the file.

    ``data_size`` is without padding.
    """

    cards: dict[str, str]
    start: int
    data_start: int
    data_size: int

    @property
    def end(self) -> int:
        return self.data_start + -(-self.data_size // BLOCK) * BLOCK


def verify(path: Path, name: str) -> bool:
    """Check a file by what its name says it is.

    Returns
    -------
    bool : a checksum inside the file vouches for its data

    Raises
    ------
    BrokenFile : it is empty, cut, longer than its header says, or its checksum is wrong
    """
    if path.stat().st_size == 0:
        raise BrokenFile(f"{name} is empty: ask the source for it again")
    if is_fits(name):
        return verify_fits(path, name)
    if is_tiff(name):
        verify_tiff(path, name)
    return False


def verify_fits(path: Path, name: str) -> bool:
    """Check length, padding, CHECKSUM and DATASUM of every HDU (FITS standard 4.0, 3 and 4.4.2.7).

    Raises
    ------
    BrokenFile : the file is not whole
    """
    vouched = False
    size = path.stat().st_size
    with path.open("rb") as file:
        for hdu in hdus(file, size, name):
            if hdu.end > size:
                raise BrokenFile(
                    f"{name} is cut: {size} bytes, its header announces {hdu.end}; "
                    "ask the source for it again"
                )
            vouched |= _checksums_agree(file, hdu, name)
    return vouched


def hdus(file: BinaryIO, size: int, name: str) -> Iterator[Hdu]:
    """Every HDU of a FITS file of ``size`` bytes, by reading headers only.

    Raises
    ------
    BrokenFile : a header is cut or lacks what says how long the data are
    """
    start = 0
    while start < size:
        file.seek(start)
        block = file.read(BLOCK)
        if start and not block.startswith(b"XTENSION"):
            # The standard once allowed special records here; anything but whole blocks is damage.
            if (size - start) % BLOCK:
                raise BrokenFile(f"{name} holds {size - start} bytes behind its end: look at it")
            return
        if not start and re.match(rb"SIMPLE  = +[TF]", block) is None:
            raise BrokenFile(f"{name} is no FITS file: it does not begin with SIMPLE; look at it")
        hdu = _header(file, start, block, name)
        yield hdu
        start = hdu.end


def _header(file: BinaryIO, start: int, block: bytes, name: str) -> Hdu:
    cards: dict[str, str] = {}
    for number in range(1, _MAX_HEADER_BLOCKS):
        if len(block) < BLOCK:
            break
        for at in range(0, BLOCK, _CARD):
            card = block[at : at + _CARD].decode("latin-1")
            if card.rstrip() == "END":
                data_start = start + number * BLOCK
                return Hdu(cards, start, data_start, _data_size(cards, name))
            if card[8:10] == "= ":
                cards.setdefault(card[:8].rstrip(), card_value(card[10:]))
        block = file.read(BLOCK)
    raise BrokenFile(f"{name} is cut within its header: ask the source for it again")


def card_value(text: str) -> str:
    """The value of a card as text: quotes and comment taken off."""
    text = text.strip()
    quoted = re.match(r"'((?:[^']|'')*)'", text)
    if quoted:
        return quoted[1].replace("''", "'").rstrip()
    return text.split("/", 1)[0].strip()


def _data_size(cards: dict[str, str], name: str) -> int:
    """Bytes of data that a header announces (FITS standard 4.0, equations 1, 2 and 4)."""
    bitpix, naxis = _integer(cards, "BITPIX", name), _integer(cards, "NAXIS", name)
    if bitpix not in (8, 16, 32, 64, -32, -64) or not 0 <= naxis <= _MAX_AXES:
        raise BrokenFile(f"{name} has an impossible BITPIX or NAXIS: look at it")
    axes = [_integer(cards, f"NAXIS{n}", name) for n in range(1, naxis + 1)]
    groups = cards.get("GROUPS") == "T" and bool(axes) and axes[0] == 0
    elements = math.prod(axes[1:] if groups else axes) if axes else 0
    extra = _integer(cards, "PCOUNT", name, default=0)
    count = _integer(cards, "GCOUNT", name, default=1)
    if min([*axes, extra, count]) < 0:
        raise BrokenFile(f"{name} announces a negative size: look at it")
    if "XTENSION" not in cards and not groups:
        extra, count = 0, 1  # a primary image may carry these words without their meaning
    return abs(bitpix) // 8 * count * (extra + elements)


def _integer(cards: dict[str, str], keyword: str, name: str, default: int | None = None) -> int:
    text = cards.get(keyword)
    if text is None and default is not None:
        return default
    if text is None or re.fullmatch(r"[+-]?\d{1,18}", text) is None:
        raise BrokenFile(f"{name} does not say {keyword} as a whole number: look at it")
    return int(text)


def _checksums_agree(file: BinaryIO, hdu: Hdu, name: str) -> bool:
    """Whether a checksum vouches for this HDU's data. Raises `BrokenFile` when one is wrong."""
    datasum, checksum = hdu.cards.get("DATASUM", ""), hdu.cards.get("CHECKSUM", "")
    if not datasum.isdigit() and not checksum:
        return False
    data = _ones_complement_sum(file, hdu.data_start, hdu.end, name)
    if datasum.isdigit() and int(datasum) % 0xFFFFFFFF != data % 0xFFFFFFFF:
        raise BrokenFile(f"{name}: its data do not agree with DATASUM; ask the source for it again")
    if checksum:
        total = _folded(data + _ones_complement_sum(file, hdu.start, hdu.data_start, name))
        if total not in (0, 0xFFFFFFFF):
            raise BrokenFile(
                f"{name} does not agree with its CHECKSUM; ask the source for it again"
            )
    return True


def _ones_complement_sum(file: BinaryIO, start: int, end: int, name: str) -> int:
    """The 32-bit ones' complement sum of whole blocks (FITS standard 4.0, appendix J)."""
    file.seek(start)
    total = 0
    left = end - start
    while left > 0:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            raise BrokenFile(f"{name} has become shorter while it was read: look at it")
        left -= len(chunk)
        total += int(np.frombuffer(chunk, dtype=">u4").sum(dtype=np.uint64))
    return _folded(total)


def _folded(total: int) -> int:
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total
