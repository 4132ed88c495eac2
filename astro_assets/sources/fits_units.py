"""The units that a FITS file is made of: headers read card by card, from bytes.

What belongs here: where headers and data lie, and what announces it. What does not: whether the
data are whole (`verify_fits`), what a header means (`frame`).
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from astro_assets.errors import BrokenFile

BLOCK = 2880
_CARD = 80
_MAX_HEADER_BLOCKS = 4000
_MAX_AXES = 999
_MAX_ZERO_BLOCKS = 9


class Stream(Protocol):
    """What is read: a file, or a packed one that goes forward only."""

    def seek(self, position: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Hdu:
    """One header and data unit: its cards by keyword, and where it lies in the file.

    ``data_size`` is without padding, ``header_sum`` the sum of the header's 32-bit words.
    """

    cards: dict[str, str]
    start: int
    data_start: int
    data_size: int
    header_sum: int

    @property
    def end(self) -> int:
        return self.data_start + -(-self.data_size // BLOCK) * BLOCK


def hdus(file: Stream, size: int | None, name: str) -> Iterator[Hdu]:
    """Every HDU of a FITS file, by reading headers only, from the first to the last.

    size : of the file; None for a stream that ends where it ends

    Raises
    ------
    BrokenFile : a header is cut or lacks what says how long the data are
    """
    start = 0
    while size is None or start < size:
        file.seek(start)
        block = file.read(BLOCK)
        if start and not block.startswith(b"XTENSION"):
            _special_records(file, block, name)
            return
        if not start and re.match(rb"SIMPLE  = +[TF]", block) is None:
            raise BrokenFile(f"{name} is no FITS file: it does not begin with SIMPLE; look at it")
        hdu = _header(file, start, block, name)
        yield hdu
        start = hdu.end


def _special_records(file: Stream, block: bytes, name: str) -> None:
    """What stands behind the last HDU: the standard once allowed whole blocks of anything.

    Zeros are the rest of a tape's record of ten blocks; more of them, or something behind them,
    and they stand where an extension was.
    """
    zeros = 0
    while block:
        if len(block) % BLOCK:
            raise BrokenFile(f"{name} holds bytes behind its end: look at it")
        if zeros and (any(block) or zeros >= _MAX_ZERO_BLOCKS):
            raise BrokenFile(
                f"{name} holds zeros where its next extension should begin: "
                "ask the source for it again"
            )
        zeros += not any(block)
        block = file.read(BLOCK)


def _header(file: Stream, start: int, block: bytes, name: str) -> Hdu:
    cards: dict[str, str] = {}
    words = 0
    for number in range(1, _MAX_HEADER_BLOCKS):
        if len(block) < BLOCK:
            break
        words += int(np.frombuffer(block, dtype=">u4").sum(dtype=np.uint64))
        for at in range(0, BLOCK, _CARD):
            raw = block[at : at + _CARD]
            if not any(raw):
                raise BrokenFile(
                    f"{name} has a hole of zeros in its header: ask the source for it again"
                )
            card = raw.decode("latin-1")
            if card.rstrip() == "END":
                data_start = start + number * BLOCK
                return Hdu(cards, start, data_start, _data_size(cards, name), words)
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
