"""Images as the bytes of a FITS file, checksummed without a copy of their size.

What belongs here: an HDU's bytes and its checksums (FITS standard 4.0, 4.4.2.7 and appendix J).
What does not: which HDUs a product has, and that it is written whole (`store`). astropy makes every
header; it also makes the bytes of what is none of float32, uint8 and uint16.
"""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

_BLOCK = 2880
_PART = 1 << 18
"""values that are turned round at a time: they stay in the cache"""
_SIGN = np.uint16(0x8000)
"""Numbers without a sign are stored less this (BZERO): its bit is turned over."""
_LETTERS = 16
_NO_LETTERS = b":;<=>?@[\\]^_`"
"""between figures, capitals and small letters"""
_DIRECT = (np.float32, np.uint8, np.uint16)

_Pixels = NDArray[np.float32] | NDArray[np.uint8] | NDArray[np.uint16]


def write_hdu(file: BinaryIO, hdu: Any) -> None:
    """Write an HDU at the file's place, with CHECKSUM and DATASUM.

    The data are only read, so that another thread may read them too.

    Raises
    ------
    OSError : it cannot be written
    """
    data = hdu.data if isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU) else None
    if not isinstance(data, np.ndarray) or data.dtype not in _DIRECT:
        write_all(file, _by_astropy(hdu))
        return
    hdu.verify("fix")
    pixels = np.ascontiguousarray(data).reshape(-1)
    write_all(file, head(hdu.header, data_sum(pixels)))
    write_pixels(file, pixels)


def write_all(file: BinaryIO, content: bytes | memoryview) -> None:
    """Write every byte: a disk that gets full takes some, and an error comes with the next ones.

    Raises
    ------
    OSError : it cannot be written
    """
    room = memoryview(content)
    while room:
        room = room[file.write(room) :]


def _by_astropy(hdu: Any) -> bytes:
    buffer = io.BytesIO()
    if isinstance(hdu, fits.PrimaryHDU):
        hdu.writeto(buffer, checksum=True, output_verify="fix")
        return buffer.getvalue()
    # An extension comes after a primary HDU, here an empty one of one block.
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer, checksum=True, output_verify="fix")
    return buffer.getvalue()[_BLOCK:]


def head(header: fits.Header, data_sum: int) -> bytes:
    """The header's blocks. Its checksum brings the sum of the whole HDU to all ones."""
    when = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    header["CHECKSUM"] = ("0" * _LETTERS, f"HDU checksum updated {when}")
    header["DATASUM"] = (str(data_sum), f"data unit checksum updated {when}")
    text = header.tostring().encode("ascii")
    total = _folded(int(np.frombuffer(text, ">u4").sum(dtype=np.uint64)) + data_sum)
    header["CHECKSUM"] = _encoded(0xFFFFFFFF - total)
    return bytes(header.tostring(), "ascii")


def data_sum(pixels: _Pixels) -> int:
    """Ones'-complement sum of the 32-bit words that the data will be in the file."""
    if pixels.dtype == np.uint16:
        return _folded(sum(_sum_of_bytes(part.view(np.uint8)) for part in _stored_parts(pixels)))
    if pixels.dtype == np.float32:  # a word of the file is the number's bits, whatever the machine
        return _folded(int(pixels.view(np.uint32).sum(dtype=np.uint64)))
    return _folded(_sum_of_bytes(pixels.view(np.uint8)))


def _sum_of_bytes(values: NDArray[np.uint8]) -> int:
    whole = values.size // 4 * 4
    rest = values[whole:].tobytes().ljust(4, b"\0")
    return int(values[:whole].view(">u4").sum(dtype=np.uint64)) + int.from_bytes(rest, "big")


def _folded(total: int) -> int:
    """Carries beyond 32 bits are added at the other end."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encoded(value: int) -> str:
    """32 bits as 16 letters and figures whose sum they are, column by column."""
    columns = []
    for byte in value.to_bytes(4, "big"):
        quarters = [byte // 4 + ord("0")] * 4
        quarters[0] += byte % 4
        while any(quarter in _NO_LETTERS for quarter in quarters):
            for one, other in ((0, 1), (2, 3)):
                if quarters[one] in _NO_LETTERS or quarters[other] in _NO_LETTERS:
                    quarters[one] += 1
                    quarters[other] -= 1
        columns.append(quarters)
    letters = bytes(column[k] for k in range(4) for column in columns)
    return (letters[-1:] + letters[:-1]).decode("ascii")


def write_pixels(file: BinaryIO, pixels: _Pixels) -> None:
    """Write contiguous (n,) values as the blocks of a data unit.

    Raises
    ------
    OSError : they cannot be written
    """
    if pixels.dtype == np.uint8:
        write_all(file, pixels.data)
    else:
        for part in _stored_parts(pixels):
            write_all(file, part.view(np.uint8).data)
    write_all(file, bytes(-pixels.nbytes % _BLOCK))


def _stored_parts(pixels: _Pixels) -> Iterator[NDArray[Any]]:
    """The values as they are stored, some at a time; each part holds until the next one."""
    stored = np.empty(min(_PART, pixels.size), pixels.dtype.newbyteorder(">"))
    for start in range(0, pixels.size, _PART):
        part: NDArray[Any] = pixels[start : start + _PART]
        if pixels.dtype == np.uint16:
            part = part ^ _SIGN
        stored[: part.size] = part
        yield stored[: part.size]
