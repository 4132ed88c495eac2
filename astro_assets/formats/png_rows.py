"""Rows of a PNG, filtered and packed piece by piece, so that pieces can be packed side by side.

What belongs here: the data stream of a PNG (ISO/IEC 15948, clauses 9 and 10) of 8 bits and three
colours. What does not: the file around it and its texts (`picture_files`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

_SUB, _AVERAGE = 1, 3
_LEVEL = 2
"""of ISA-L's: as small as zlib's for noise, which has no repetitions to look for, in half of the
time"""
_MODULUS = 65521
_HEAD = b"\x78\x01"
_END = b"\x03\x00"
"""an empty last block"""


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows that are packed. body : deflated, to a whole byte; checksum, length : of what it was"""

    body: bytes
    checksum: int
    length: int


def packed(rows: NDArray[np.uint8]) -> Packed:
    """Filter and deflate rows of a picture, (n, nx, 3), without looking at those above them.

    The filter is the mean of the left and the upper neighbour, for every row but the first: of
    all single ones it packs noise best, and no worse than a choice row by row.
    """
    n = rows.shape[0]
    plain = rows.reshape(n, -1)
    left = np.zeros_like(plain)
    left[:, 3:] = plain[:, :-3]
    filtered = np.empty((n, plain.shape[1] + 1), np.uint8)
    filtered[:1, 0], filtered[1:, 0] = _SUB, _AVERAGE
    filtered[:1, 1:] = plain[:1] - left[:1]
    upper = plain[:-1]
    # The mean of two bytes, rounded down, without a ninth bit.
    filtered[1:, 1:] = plain[1:] - ((left[1:] & upper) + ((left[1:] ^ upper) >> 1))
    content = filtered.data
    deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)
    return Packed(body, isal_zlib.adler32(content), filtered.size)


def stream(pieces: Iterable[Packed]) -> Iterator[bytes]:
    """The bytes of one zlib stream (RFC 1950) of all pieces."""
    low, high = 1, 0
    yield _HEAD
    for piece in pieces:
        # Adler's checksum of one after the other, from those of each.
        high = (high + piece.length % _MODULUS * (low - 1) + (piece.checksum >> 16)) % _MODULUS
        low = (low + (piece.checksum & 0xFFFF) - 1) % _MODULUS
        yield piece.body
    yield _END + (high << 16 | low).to_bytes(4, "big")
