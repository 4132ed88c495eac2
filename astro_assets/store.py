"""Where products live, and how a file is written: whole or not at all.

What belongs here: paths under the root, atomic writes, hashes, FITS in and out. What does not:
what is computed (`imaging`), what is fetched (`sources`). astropy takes a quarter of a second to
import, which is done where a FITS file is read or written: whoever fetches does neither.
"""

import errno
import fcntl
import glob
import hashlib
import json
import lzma
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_assets.errors import BrokenFile
from astro_assets.formats import format_of
from astro_assets.formats import read as read_other
from astro_assets.packed import Unpacked, is_packed

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    from numpy.typing import NDArray

PART_SUFFIX = ".part"
_PART_NAME_LETTERS = 40
"""so that the part's name also fits where each letter takes four bytes"""
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

OF_THE_FILE = ("BSCALE", "BZERO", "BLANK")
"""how the pixels were stored, which the float pixels do not share"""


@dataclass(frozen=True, slots=True)
class Store:
    """The tree of products below one root folder."""

    root: Path

    def raw(self, source: str, batch: str) -> Path:
        """Folder of the files of a session or calibration set, as downloaded."""
        return self.root / "raw" / source / batch

    def master(self, source: str, kind: str, calibration_set: str) -> Path:
        """A combined calibration; ``kind`` is bias, dark, flat or bad_pixels."""
        return self.root / "masters" / source / kind / f"{calibration_set}.fits"

    def calibrated(self, source: str, session: str) -> Path:
        return self.root / "calibrated" / source / session

    def solved(self, source: str, session: str) -> Path:
        return self.root / "solved" / source / session

    def stacks(self, source: str, session: str) -> Path:
        return self.root / "stacks" / source / session

    def composite(self, target: str) -> Path:
        return self.root / "composites" / target

    def report(self, night: str) -> Path:
        return self.root / "reports" / night

    def quarantine(self, source: str) -> Path:
        return self.root / "quarantine" / source

    def remembered(self, source: str) -> Path:
        """Folder of what saves calls to a server and can be asked for again."""
        return self.root / "remembered" / source

    def requests(self, source: str) -> Path:
        """The record of the observations that a source was asked for."""
        return self.root / "requests" / f"{source}.json"

    @property
    def frames_table(self) -> Path:
        """The table of every frame."""
        return self.root / "frames.parquet"


@contextmanager
def whole_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it becomes ``path``, else it vanishes.

    The bytes and the folder are synced, so that what is published survives a power cut. What a
    killed process left half written of the same file is removed.

    Raises
    ------
    FileExistsError : ``path`` is there already and ``replace`` is False
    """
    make_folder(path.parent)
    prefix = f".{path.name[:_PART_NAME_LETTERS]}."
    with _writing_in(path.parent, prefix):
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=PART_SUFFIX, dir=path.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            publish(part, path, replace=replace)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _writing_in(folder: Path, prefix: str) -> Iterator[None]:
    """Share a lock on the folder with all who write there; whoever is alone first tidies up.

    The lock is on the folder, for some writers replace the part that they were given.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in folder.glob(f"{glob.escape(prefix)}*{PART_SUFFIX}"):
                left.unlink(missing_ok=True)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def publish(part: Path, path: Path, *, replace: bool) -> None:
    """Make a finished ``part`` appear as ``path`` in one step, on stable storage.

    Raises
    ------
    FileExistsError : ``path`` is there already and ``replace`` is False
    """
    part.chmod(0o644)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if replace:
        part.replace(path)
    else:
        _rename_to_new(part, path)
    sync_folder(path.parent)


def _rename_to_new(part: Path, path: Path) -> None:
    """Rename unless ``path`` exists: a link does so in one step, wherever there are links."""
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        part.replace(path)
    else:
        part.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, on stable storage."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's entries on stable storage."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as readable JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image with its mask and header.

    image : (ny, nx) or (3, ny, nx) float32
    mask : (ny, nx) uint8 with the bits of `imaging.mask.MaskBit`, or None
    planes : further named images of the file (``WEIGHT`` …)
    tables : named tables to write beside them (``STARS``); `read_image` leaves them in the file
    """

    image: "NDArray[np.float32]"
    header: "fits.Header"
    mask: "NDArray[np.uint8] | None" = None
    planes: "Mapping[str, NDArray[Any]]" = field(default_factory=dict)
    tables: "Mapping[str, Table]" = field(default_factory=dict)


def read_image(path: Path) -> ImageFile:
    """Read an image, its ``MASK`` and its other planes.

    The first HDU that holds an image counts (fpacked files keep theirs in the second). Files that
    gzip or bzip2 packed are unpacked within bounds.

    Raises
    ------
    BrokenFile : it cannot be read, or there is no image in it
    """
    import numpy as np

    if format_of(path.name) is not None:
        pixels = read_other(path)
        return ImageFile(image=pixels.image, header=pixels.header)
    with opened_fits(path) as hdus:
        science = next((hdu for hdu in hdus if hdu.is_image and hdu.size), None)
        if science is None or science.data.size == 0:
            raise BrokenFile(f"{path} holds no image: look at it, or take it away")
        named = {hdu.name: hdu.data for hdu in hdus if hdu is not science and hdu.is_image}
        mask = named.pop("MASK", None)
        header = science.header.copy()
        for keyword in OF_THE_FILE:
            header.remove(keyword, ignore_missing=True)
        return ImageFile(
            image=np.ascontiguousarray(science.data, dtype=np.float32),
            header=header,
            mask=None if mask is None else np.ascontiguousarray(mask, dtype=np.uint8),
            planes={name: data for name, data in named.items() if data is not None},
        )


@contextmanager
def opened_fits(path: Path) -> "Iterator[fits.HDUList]":
    """A FITS file's HDUs, packed or not, while the block lasts.

    Raises
    ------
    BrokenFile : it cannot be read, or what is read in the block is broken
    """
    from astropy.io import fits

    try:
        with (
            _plain(path) as plain,
            fits.open(plain, memmap=False, lazy_load_hdus=False) as hdus,
        ):
            yield hdus
    except _unreadable() as error:
        raise BrokenFile(
            f"{path} is not a readable FITS image ({error}): fetch it again, or take it away"
        ) from error


def _unreadable() -> tuple[type[Exception], ...]:
    """What astropy raises on the broken files that we have seen."""
    from astropy.io.fits import VerifyError

    # Not derived from any built-in error, and not offered anywhere else.
    from astropy.io.fits.hdu.compressed._compression import CfitsioException

    return (
        OSError, ValueError, TypeError, KeyError, IndexError, EOFError, MemoryError, VerifyError,
        CfitsioException, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
    )  # fmt: skip


@contextmanager
def _plain(path: Path) -> Iterator[Path]:
    """What astropy may open: by itself it would unpack anything, however much that becomes."""
    if is_packed(path):
        with Unpacked(path, str(path)) as packed, tempfile.NamedTemporaryFile() as file:
            packed.copy_to(file)
            yield Path(file.name)
        return
    with path.open("rb") as start:
        if not start.read(6).startswith(b"SIMPLE"):
            raise BrokenFile(f"{path} is no FITS file: look at it, or take it away")
    yield path


def write_image(path: Path, file: ImageFile) -> None:
    """Write image, mask, planes and tables as one FITS file with checksums, whole or not at all."""
    from astropy.io import fits

    hdus = fits.HDUList([fits.PrimaryHDU(file.image, header=file.header)])
    if file.mask is not None:
        hdus.append(fits.ImageHDU(file.mask, name="MASK"))
    hdus.extend(fits.ImageHDU(data, name=name) for name, data in file.planes.items())
    hdus.extend(fits.BinTableHDU(table, name=name) for name, table in file.tables.items())
    with whole_file(path) as part:
        hdus.writeto(part, overwrite=True, checksum=True, output_verify="fix")
