"""A FITS file by its units, as the bytes lie: what needs no decoding is read straight.

What belongs here: finding headers and data units, reading plain pixels, writing them below another
header. What does not: files that need more than that (scaled, packed, compressed ones),
which astropy reads (`store`); an HDU from arrays (`fits_file`).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.fits_file import data_sum, head, write_all, write_pixels

_BLOCK, _CARD = 2880, 80
_PART = 1 << 18
"""values that are turned round at a time: they stay in the cache"""
_PLAIN: dict[int, np.dtype[Any]] = {-32: np.dtype(">f4"), 8: np.dtype("u1")}
_OPENS = "SIMPLE", "XTENSION"
_NOT_PLAIN = ("BSCALE", "BZERO", "BLANK", "GROUPS", "ZIMAGE")


@dataclass(frozen=True, slots=True)
class Unit:
    """A header and its data.

    starts_at, data_at, ends_at : offsets in the file; ``ends_at`` is where the next unit starts
    """

    header: fits.Header
    starts_at: int
    data_at: int
    ends_at: int

    @property
    def name(self) -> str:
        return str(self.header.get("EXTNAME", "")).strip().upper()

    @property
    def is_image(self) -> bool:
        """Whether it holds an image, compressed or not."""
        header = self.header
        kinds = "SIMPLE" in header, header.get("XTENSION") == "IMAGE", "ZIMAGE" in header
        return any(kinds) and self.ends_at > self.data_at

    @property
    def is_plain(self) -> bool:
        """Whether it holds an image of float32 or uint8 as they are."""
        header = self.header
        return (
            self.is_image
            and header["BITPIX"] in _PLAIN
            and (header.get("PCOUNT", 0), header.get("GCOUNT", 1)) == (0, 1)
            and not any(keyword in header for keyword in _NOT_PLAIN)
        )


def units(file: BinaryIO) -> list[Unit] | None:
    """The units of an open FITS file, in order; None where it is not just whole units."""
    size = file.seek(0, io.SEEK_END)
    found: list[Unit] = []
    at = 0
    while at < size:
        try:
            unit = _unit(file, at)
        except (OSError, EOFError, ValueError, KeyError, TypeError, fits.VerifyError):
            return None
        if not unit.data_at <= unit.ends_at <= size:
            return None
        found.append(unit)
        at = unit.ends_at
    return found or None


def _unit(file: BinaryIO, at: int) -> Unit:
    file.seek(at)
    header = fits.Header.fromfile(file)
    if not header[_OPENS[at > 0]]:
        raise ValueError("no FITS unit starts here")
    data_at = file.tell()
    return Unit(header, at, data_at, data_at + int(header.data_size_padded))


def pixels(file: BinaryIO, unit: Unit) -> NDArray[Any]:
    """The image of a plain unit, in this machine's byte order.

    Raises
    ------
    EOFError : the file ends before it does
    """
    header = unit.header
    axes = tuple(int(header[f"NAXIS{axis}"]) for axis in range(int(header["NAXIS"]), 0, -1))
    stored = _PLAIN[int(header["BITPIX"])]
    result = np.empty(axes, stored.newbyteorder("="))
    flat = result.reshape(-1)
    file.seek(unit.data_at)
    if stored.itemsize == 1:
        _read_into(file, flat)
        return result
    part = np.empty(min(_PART, flat.size), stored)
    for start in range(0, flat.size, _PART):
        some = part[: flat.size - start]
        _read_into(file, some)
        flat[start : start + _PART] = some
    return result


def _read_into(file: BinaryIO, values: NDArray[Any]) -> None:
    room = values.view(np.uint8).data
    done = 0
    while done < len(room):
        count = file.readinto(room[done:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("the file ends within its pixels")
        done += count


def header_value(path: Path, keyword: str) -> Any:
    """One keyword of the first header, without parsing the others; None where it is not there.

    Raises
    ------
    OSError : the file cannot be read
    BrokenFile : its header has no end
    """
    wanted = f"{keyword:<8}=".encode("ascii")
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            for start in range(0, len(block), _CARD):
                card = block[start : start + _CARD]
                if card.startswith(wanted):
                    return fits.Card.fromstring(card).value
                if card.rstrip() == b"END":
                    return None
    raise BrokenFile(f"{path} is not a readable FITS file (its header has no end): take it away")


@dataclass(frozen=True, slots=True)
class Plane:
    """An image of a file as it was read: its header as it lies there, and its pixels.

    data_sum : that of the pixels, which is what the header says
    """

    header: bytes
    data_sum: int
    pixels: NDArray[Any]


def checked_planes(path: Path, keep: Sequence[str] = ()) -> list[Plane]:
    """The first image of a file of plain images, and those of these names, found undamaged.

    Raises
    ------
    BrokenFile : they are not whole, or not what their DATASUM says
    """
    try:
        with path.open("rb", buffering=0) as file:
            found = units(file)
            if not found or "DATASUM" not in found[0].header or not found[0].is_plain:
                raise BrokenFile(f"{path} is no whole FITS file with checksums: make it again")
            wanted = [found[0], *(unit for unit in found[1:] if unit.name in keep)]
            return [_checked(path, file, unit) for unit in wanted]
    except EOFError as error:
        raise BrokenFile(f"{path} is not whole ({error}): make it again") from error


def _checked(path: Path, file: BinaryIO, unit: Unit) -> Plane:
    file.seek(unit.starts_at)
    header = np.empty(unit.data_at - unit.starts_at, np.uint8)
    _read_into(file, header)
    values = pixels(file, unit)
    found = data_sum(values.reshape(-1))
    if str(found) != str(unit.header.get("DATASUM", "")).strip():
        what = unit.name or "its image"
        raise BrokenFile(f"{path} is damaged ({what} is not what DATASUM says): make it again")
    return Plane(header.tobytes(), found, values)


def write_below(part: Path, room: int, planes: Sequence[Plane], more: bytes = b"") -> None:
    """Write planes to a part; the first one's header is to come (`put_header`).

    Parameters
    ----------
    room : bytes left for it, in whole blocks
    more : whole HDUs that come after the planes

    Raises
    ------
    OSError : they cannot be written
    """
    with part.open("wb", buffering=0) as file:
        file.seek(room)
        for number, plane in enumerate(planes):
            if number:
                write_all(file, plane.header)
            write_pixels(file, plane.pixels.reshape(-1))
        write_all(file, more)


def room_for(header: fits.Header) -> int:
    """Bytes that a header takes, its checksums included."""
    return len(head(header.copy(), 0))


def put_header(part: Path, room: int, header: fits.Header, total: int) -> None:
    """Write the header that `write_below` has left room for.

    Where it leaves blocks of it they are filled with blank cards, which tell nothing (FITS 4.0,
    4.4.2.4); where it needs more what follows is moved.

    Parameters
    ----------
    total : the sum of the pixels below it

    Raises
    ------
    OSError : it cannot be written
    """
    content = head(header, total)
    for _ in range((room - len(content)) // _CARD):
        header.append(bottom=True)
    if len(content) < room:
        content = head(header, total)
    with part.open("r+b", buffering=0) as file:
        if len(content) > room:
            _move(file, room, len(content) - room)
        file.seek(0)
        write_all(file, content)


def _move(file: BinaryIO, start: int, by: int) -> None:
    """What lies from ``start`` on goes further back, the last of it first."""
    stop = file.seek(0, io.SEEK_END)
    while stop > start:
        first = max(start, stop - 4 * _PART)
        some = np.empty(stop - first, np.uint8)
        file.seek(first)
        _read_into(file, some)
        file.seek(first + by)
        write_all(file, some.data)
        stop = first
