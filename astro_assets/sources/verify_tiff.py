"""Is a TIFF file whole? Its directory and where its strips or tiles end.

What belongs here: TIFF 6.0 and BigTIFF, from their bytes, without decoding a pixel.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from astro_assets.errors import BrokenFile

_OFFSETS, _COUNTS = (273, 324), (279, 325)
_TYPE_FORMATS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_ENTRIES = 10_000
_MAX_VALUES = 10_000_000


def verify_tiff(path: Path, name: str) -> None:
    """Check that the first image's directory is readable and that its pixels lie within the file.

    Raises
    ------
    BrokenFile : it is no TIFF, or it is cut
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            offsets, counts = _extents(file, size)
        except (struct.error, ValueError, KeyError) as error:
            raise BrokenFile(
                f"{name} is no whole TIFF file ({error}): ask the source for it again"
            ) from error
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if not ends or len(offsets) != len(counts) or max(ends) > size:
        raise BrokenFile(
            f"{name} is cut: its pixels are not all there; ask the source for it again"
        )


def _extents(file: BinaryIO, size: int) -> tuple[list[int], list[int]]:
    """Where the strips or tiles begin, and how long they are."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("it does not begin as one")
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    if not big and struct.unpack_from(f"{order}H", head, 2)[0] != 42:
        raise ValueError("it does not begin as one")
    start = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)[0]
    entries = _directory(file, size, start, order, big)
    return (
        next((entries[tag] for tag in _OFFSETS if tag in entries), []),
        next((entries[tag] for tag in _COUNTS if tag in entries), []),
    )


def _directory(
    file: BinaryIO, size: int, start: int, order: str, big: bool
) -> dict[int, list[int]]:
    """The values of the tags that say where pixels lie."""
    if start >= size:
        raise ValueError("its directory is missing")
    file.seek(start)
    number = struct.unpack(f"{order}Q" if big else f"{order}H", file.read(8 if big else 2))[0]
    if number > _MAX_ENTRIES:
        raise ValueError("its directory is impossibly long")
    entry_size = 20 if big else 12
    raw = file.read(number * entry_size)
    found: dict[int, list[int]] = {}
    for at in range(0, number * entry_size, entry_size):
        tag, kind = struct.unpack_from(f"{order}HH", raw, at)
        count = struct.unpack_from(f"{order}Q" if big else f"{order}I", raw, at + 4)[0]
        if tag in (*_OFFSETS, *_COUNTS):
            inline = raw[at + (12 if big else 8) : at + entry_size]
            found[tag] = _values(file, order, big, kind, count, inline)
    return found


def _values(
    file: BinaryIO, order: str, big: bool, kind: int, count: int, inline: bytes
) -> list[int]:
    letter = _TYPE_FORMATS[kind]
    if count > _MAX_VALUES:
        raise ValueError("it announces impossibly many strips")
    layout = f"{order}{count}{letter}"
    length = struct.calcsize(layout)
    if length > len(inline):
        file.seek(struct.unpack(f"{order}Q" if big else f"{order}I", inline)[0])
        inline = file.read(length)
    return list(struct.unpack_from(layout, inline))
