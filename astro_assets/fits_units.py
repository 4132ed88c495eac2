"""A FITS file by its units, as the bytes lie: what needs no decoding is read and copied straight.

What belongs here: finding headers and data units, reading plain pixels, copying units below
another header. What does not: files that need more than that (scaled, packed, compressed ones),
which astropy reads (`store`); an HDU from arrays (`fits_file`).
"""

import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.files import whole_file
from astro_assets.fits_file import head, write_all, write_hdu

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


def copy_units(
    source: Path,
    path: Path,
    describe: Callable[[fits.Header], None],
    keep: Sequence[str] = (),
    more: Iterable[Any] = (),
) -> None:
    """Write the first image of ``source`` below another header, whole or not at all.

    The data units are copied by the system, so that they and their checksums stay what they are.

    Parameters
    ----------
    describe : changes the image's header into the one that it gets; its checksum is made anew
    keep : names of further units that come along as they are
    more : HDUs to write after them

    Raises
    ------
    BrokenFile : ``source`` does not consist of whole units with checksums
    OSError : it cannot be read, or the copy not be written
    """
    with source.open("rb", buffering=0) as file, whole_file(path) as part:
        found = units(file)
        if found is None or "DATASUM" not in found[0].header:
            raise BrokenFile(f"{source} is no whole FITS file with checksums: make it again")
        first = found[0]
        describe(first.header)
        with part.open("wb", buffering=0) as written:
            write_all(written, head(first.header, int(first.header["DATASUM"])))
            _copy(file, written, first.data_at, first.ends_at)
            for unit in found[1:]:
                if unit.name in keep:
                    _copy(file, written, unit.starts_at, unit.ends_at)
            for hdu in more:
                write_hdu(written, hdu)


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int) -> None:
    """Bytes of one file onto the end of another, without passing through this program."""
    while start < end:
        try:
            count = os.sendfile(target.fileno(), source.fileno(), start, end - start)
        except OSError:
            count = 0  # not between these file systems
        if count == 0:
            count = _by_hand(source, target, start, end)
        start += count


def _by_hand(source: BinaryIO, target: BinaryIO, start: int, end: int) -> int:
    source.seek(start)
    content = source.read(min(end - start, 4 * _PART))
    if not content:
        raise EOFError("the file ends within its units")
    write_all(target, content)
    return len(content)
