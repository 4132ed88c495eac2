"""Packed bytes, unpacked within bounds: gzip and bzip2, and how much anything may swell.

What belongs here: unpacking a stream without believing in its size. What does not: archives of
several files (`sources.unzip`), what the bytes mean.
"""

import bz2
import gzip
import io
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

from astro_assets.errors import BrokenFile

MAX_BYTES = 4 * 2**30
FREE_BYTES = 256 * 2**20
"""Whatever is packed may swell up to this: a black frame of 60 megapixels packs 1000 : 1."""
MAX_RATIO = 100
"""Above `FREE_BYTES`, how often its packed size something may be."""
_CHUNK = 2**20
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"


def most_bytes(packed_bytes: int) -> int:
    """What ``packed_bytes`` may swell to at most; more is a bomb."""
    return min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * packed_bytes))


def is_packed(path: Path) -> bool:
    """Whether the file's first bytes say gzip or bzip2, as astropy would see it too."""
    with path.open("rb") as file:
        return file.read(3).startswith((_GZIP, _BZIP2))


class Unpacked:
    """A packed file as the stream of what it holds: forward only, and not beyond its bound.

    The packer's own checksums are compared as their ends are reached.

    Raises, when reading
    --------------------
    BrokenFile : it is cut or damaged, or it swells too much
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.size_bytes = path.stat().st_size
        self.limit_bytes = most_bytes(self.size_bytes)
        self._at = 0
        self._raw: BinaryIO = path.open("rb")
        is_gzip = self._raw.read(2) == _GZIP
        self._raw.seek(0)
        self._stream: io.BufferedIOBase = (
            gzip.GzipFile(fileobj=self._raw, mode="rb") if is_gzip else bz2.BZ2File(self._raw)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._raw.close()

    def read(self, size: int) -> bytes:
        """The next bytes, fewer than ``size`` only at the end."""
        try:
            chunk = self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._broken(error) from error
        except OSError as error:
            if error.errno is not None:  # our disk's trouble, not the file's
                raise
            raise self._broken(error) from error
        self._at += len(chunk)
        if self._at > self.limit_bytes:
            raise BrokenFile(
                f"{self.name} would swell from {self.size_bytes} to more than {self.limit_bytes} "
                "bytes: look at it"
            )
        return chunk

    def seek(self, position: int) -> int:
        """Go on to ``position``, or to the end where that comes first."""
        if position < self._at:
            raise ValueError("a packed stream goes forward only")
        while self._at < position and self.read(min(_CHUNK, position - self._at)):
            pass
        return self._at

    def copy_to(self, file: IO[bytes]) -> None:
        """Write all bytes from here on into ``file``."""
        while chunk := self.read(_CHUNK):
            file.write(chunk)
        file.flush()

    def _broken(self, error: Exception) -> BrokenFile:
        return BrokenFile(
            f"{self.name} is cut or damaged ({error}): ask the source for it again, or look at it"
        )
