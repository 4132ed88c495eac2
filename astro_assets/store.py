"""Where products live, and how an image is read and written.

What belongs here: paths under the root, FITS in and out. What does not: how any file is written
(`files`), what is computed (`imaging`), what is fetched (`sources`). astropy takes a quarter of a
second to import, which is done where a FITS file is read or written: whoever fetches does neither.
"""

import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_assets.errors import BrokenFile
from astro_assets.files import (
    PART_SUFFIX,
    make_folder,
    publish,
    sha256_of,
    sync_folder,
    whole_file,
    write_json,
    write_text,
)
from astro_assets.formats import format_of
from astro_assets.formats import read as read_other
from astro_assets.packed import Unpacked, is_packed

if TYPE_CHECKING:
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    from numpy.typing import NDArray

__all__ = [
    "OF_THE_FILE",
    "PART_SUFFIX",
    "ImageFile",
    "Store",
    "make_folder",
    "opened_fits",
    "publish",
    "read_image",
    "sha256_of",
    "sync_folder",
    "whole_file",
    "write_image",
    "write_json",
    "write_text",
    "write_units",
]

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

    def user_bad_pixels(self, source: str, camera: str) -> Path:
        """The list of bad pixels that the owner of a camera writes."""
        return self.root / "bad_pixels" / source / f"{camera}.yaml"

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
    if format_of(path.name) is not None:
        pixels = read_other(path)
        return ImageFile(image=pixels.image, header=pixels.header)
    return _read_plain(path) or _read_any(path)


def _read_plain(path: Path) -> ImageFile | None:
    """A file of plain images, as our own are; None for any other, or a broken one."""
    import numpy as np

    from astro_assets.fits_units import pixels, units

    try:
        with path.open("rb", buffering=0) as file:
            found = units(file) if file.read(6) == b"SIMPLE" else None
            images = [unit for unit in found or () if unit.is_image]
            if not images or not all(unit.is_plain for unit in images):
                return None
            image, *others = (pixels(file, unit) for unit in images)
    except (OSError, EOFError):
        return None  # the other way tells what is wrong
    planes = {unit.name: data for unit, data in zip(images[1:], others, strict=True)}
    mask = planes.pop("MASK", None)
    if image.dtype != np.float32 or (mask is not None and mask.dtype != np.uint8):
        return None
    return ImageFile(image=image, header=images[0].header, mask=mask, planes=planes)


def _read_any(path: Path) -> ImageFile:
    """Whatever FITS image astropy can read."""
    import numpy as np

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
    with whole_file(path) as part:
        write_units(part, file)


def write_units(part: Path, file: ImageFile) -> None:
    """What `write_image` writes, to a part that the caller publishes.

    Raises
    ------
    OSError : it cannot be written
    """
    from astropy.io import fits

    from astro_assets.fits_file import write_hdu

    hdus = fits.HDUList([fits.PrimaryHDU(file.image, header=file.header)])
    if file.mask is not None:
        hdus.append(fits.ImageHDU(file.mask, name="MASK"))
    hdus.extend(fits.ImageHDU(data, name=name) for name, data in file.planes.items())
    hdus.extend(fits.BinTableHDU(table, name=name) for name, table in file.tables.items())
    hdus.update_extend()
    with part.open("wb", buffering=0) as written:
        for hdu in hdus:
            write_hdu(written, hdu)
