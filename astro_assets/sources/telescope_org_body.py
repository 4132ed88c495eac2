"""The bytes of a download from telescope.org: as many as announced, and no page in their place.

What belongs here: measuring, and unpacking bzip2 on the way, bounded. What does not: HTTP (`http`).
"""

import bz2
from collections.abc import Iterable, Iterator, Sequence

from astro_assets.errors import BrokenFile, TransferCut

_EXCESS_BYTES = 2**20
"""more than announced that is still taken, so that the quarantine can show it"""
_PACKED = b"BZh"
_MOST_BYTES = 2**30
"""of a file whose length nobody says, unpacked"""
_STEP = 2**20


def is_page(start: bytes) -> bool:
    """Whether these first bytes are HTML."""
    return start.lstrip()[:1] == b"<"


def is_packed(start: bytes) -> bool:
    """Whether these first bytes are bzip2's."""
    return start.startswith(_PACKED)


def measured(chunks: Iterable[bytes], sizes: Sequence[int], what: str) -> Iterator[bytes]:
    """Pass on what comes, and see to it that it is one of the lengths that were announced.

    Raises
    ------
    TransferCut : fewer bytes
    BrokenFile : more bytes; so many more are passed on that it can be looked at
    """
    received = 0
    for chunk in chunks:
        received += len(chunk)
        yield chunk
        if sizes and received > max(sizes) + _EXCESS_BYTES:
            break
    announced = " or ".join(str(size) for size in dict.fromkeys(sizes))
    if sizes and received > max(sizes):
        raise BrokenFile(
            f"{what} sends {received} bytes, announced are {announced}: look at it there"
        )
    if sizes and received not in sizes:
        raise TransferCut(f"{what} arrived with {received} bytes, announced are {announced}")


def unpacked(chunks: Iterable[bytes], sizes: Sequence[int], what: str) -> Iterator[bytes]:
    """Pass on the content of a bzip2 stream, whose length must be one of ``sizes``.

    Raises
    ------
    TransferCut : it ends too early
    BrokenFile : it is damaged, or swells beyond what was announced
    """
    most = max(sizes, default=_MOST_BYTES)
    packed = bz2.BZ2Decompressor()
    given = 0
    for chunk in chunks:
        content = chunk
        while not packed.eof:
            try:
                piece = packed.decompress(content, _STEP)
            except OSError as error:
                raise BrokenFile(f"{what} is damaged within its bzip2: look at it there") from error
            content = b""
            given += len(piece)
            if given > most:
                raise BrokenFile(f"{what} unpacks to more than {most} bytes: look at it there")
            yield piece
            if packed.needs_input:
                break
    if not packed.eof or (sizes and given not in sizes):
        raise TransferCut(f"{what} unpacks to {given} bytes only")
