"""Is a TIFF file whole? Its directories, where its strips or tiles end, and holes.

What belongs here: TIFF 6.0 and BigTIFF, from their bytes, without decoding a pixel. What does not:
what only a decoder can tell of compressed pixels (`decoding`).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from astro_assets.errors import BrokenFile
from astro_assets.sources.holes import Raster, find_hole, hole_error

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _PLANAR = 256, 257, 258, 259, 277, 284
_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS = 273, 279, 324, 325
_PLACES = frozenset((_STRIP_OFFSETS, _STRIP_COUNTS, _TILE_OFFSETS, _TILE_COUNTS))
_WANTED = _PLACES | {_WIDTH, _LENGTH, _BITS, _COMPRESSION, _SAMPLES, _PLANAR}
_NOT_COMPRESSED = 1
_TYPE_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_ENTRIES = 10_000
_MAX_VALUES = 10_000_000
_MAX_PAGES = 10_000


@dataclass(frozen=True, slots=True)
class _Layout:
    """How numbers are written: TIFF and BigTIFF differ in their widths."""

    order: str
    big: bool

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(f"{self.order}{'Q' if self.big else 'I'}")

    @property
    def entries(self) -> struct.Struct:
        return struct.Struct(f"{self.order}{'Q' if self.big else 'H'}")

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(f"{self.order}HH{'Q8s' if self.big else 'I4s'}")


_Page = Mapping[int, tuple[int, ...]]


def verify_tiff(path: Path, name: str, *, zeros: bool = True) -> bool:
    """Check that every image's directory is readable and that its pixels lie within the file.

    Pixels are searched for holes, if there are ``zeros``.

    Returns
    -------
    bool : pixels are compressed; whether they are whole shows in decoding them

    Raises
    ------
    BrokenFile : it is no TIFF, it is cut, or it has a hole
    """
    size = path.stat().st_size
    coded = False
    try:
        with path.open("rb") as file:
            for number, page in enumerate(_pages(file, size)):
                if number and not page.keys() & _PLACES:
                    continue  # a thumbnail of another making
                _inside(page, size, name)
                coded |= page.get(_COMPRESSION, (_NOT_COMPRESSED,))[0] != _NOT_COMPRESSED
                raster = _raster(page, size) if zeros else None
                hole = raster and find_hole(path, raster)
                if hole:
                    raise hole_error(name, hole)
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise BrokenFile(
            f"{name} is no whole TIFF file ({error}): ask the source for it again"
        ) from error
    return coded


def _inside(page: _Page, size: int, name: str) -> None:
    """Raise `BrokenFile` unless all strips or tiles lie within the file."""
    offsets = page.get(_STRIP_OFFSETS, ()) or page.get(_TILE_OFFSETS, ())
    counts = page.get(_STRIP_COUNTS, ()) or page.get(_TILE_COUNTS, ())
    ends = [offset + count for offset, count in zip(offsets, counts, strict=False)]
    if not ends or len(offsets) != len(counts) or max(ends) > size:
        raise BrokenFile(
            f"{name} is cut: its pixels are not all there; ask the source for it again"
        )


def _pages(file: BinaryIO, size: int) -> Iterator[_Page]:
    """The tags of every image that we need, by number."""
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack_from(f"{order}H", head, 2)[0] if order else 0
    if order is None or version not in (42, 43):
        raise ValueError("it does not begin as one")
    layout = _Layout(order, big=version == 43)
    at = layout.offset.unpack_from(head, 8 if layout.big else 4)[0]
    seen: set[int] = set()
    while at:
        if at in seen or len(seen) > _MAX_PAGES:
            raise ValueError("its directories go round in circles")
        seen.add(at)
        if at >= size:
            raise ValueError("a directory is missing")
        page, at = _directory(file, at, layout)
        yield page
    if not seen:
        raise ValueError("it holds no image")


def _directory(file: BinaryIO, at: int, layout: _Layout) -> tuple[_Page, int]:
    """One image's tags, and where the next directory is."""
    file.seek(at)
    number = layout.entries.unpack(file.read(layout.entries.size))[0]
    if number > _MAX_ENTRIES:
        raise ValueError("its directory is impossibly long")
    raw = file.read(number * layout.entry.size)
    following = layout.offset.unpack(file.read(layout.offset.size))[0]
    found: dict[int, tuple[int, ...]] = {}
    for at_entry in range(0, number * layout.entry.size, layout.entry.size):
        tag, kind, count, inline = layout.entry.unpack_from(raw, at_entry)
        if tag in _WANTED:
            found[tag] = _values(file, layout, kind, count, inline)
    return found, following


def _values(
    file: BinaryIO, layout: _Layout, kind: int, count: int, inline: bytes
) -> tuple[int, ...]:
    letter = _TYPE_FORMATS[kind]
    if count > _MAX_VALUES:
        raise ValueError("it announces impossibly many strips")
    values = struct.Struct(f"{layout.order}{count}{letter}")
    if values.size > len(inline):
        file.seek(layout.offset.unpack(inline)[0])
        inline = file.read(values.size)
    return values.unpack_from(inline)


def _raster(page: _Page, size: int) -> Raster | None:
    """How plain pixels lie in the file; None where they are compressed, or lie in pieces."""
    offsets, counts = page.get(_STRIP_OFFSETS, ()), page.get(_STRIP_COUNTS, ())
    bits = set(page.get(_BITS, (1,)))
    in_order = all(
        offset + count == following
        for offset, count, following in zip(offsets, counts, offsets[1:], strict=False)
    )
    plain = page.get(_COMPRESSION, (_NOT_COMPRESSED,))[0] == _NOT_COMPRESSED
    if not (plain and offsets and in_order and bits <= {8, 16, 32, 64} and len(bits) == 1):
        return None
    chunky = page.get(_PLANAR, (1,))[0] == 1
    raster = Raster(
        start=offsets[0],
        size_bytes=sum(counts),
        pixel_bytes=bits.pop() // 8,
        line_pixels=page[_WIDTH][0] * (page.get(_SAMPLES, (1,))[0] if chunky else 1),
        plane_lines=page[_LENGTH][0],
        zero_is_black=True,
    )
    return raster if raster.plane_bytes > 0 and raster.start + raster.size_bytes <= size else None
