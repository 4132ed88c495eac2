"""Rows of solved frames and of stacks, as they lie in their files.

What belongs here: reading some rows of image, mask and planes, without the rest. What does not:
what they are read for (`layers`, `composite`, `stack_planes`). Rows are read into memory of their
own, not mapped: what is mapped counts as memory for as long as the system likes.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.fits_units import Unit, units
from astro_assets.imaging.laid import FrameRows
from astro_assets.imaging.planes import Workspace

IMAGE, MASK, WEIGHT, EXPOSURE = "", "MASK", "WEIGHT", "EXPOSURE"
_FLOAT, _BYTE = np.dtype(">f4"), np.dtype("u1")
_KINDS = {IMAGE: _FLOAT, MASK: _BYTE, WEIGHT: _FLOAT, EXPOSURE: _FLOAT}
_BITPIX = {-32: _FLOAT, 8: _BYTE}


@dataclass(frozen=True, slots=True)
class FileRows:
    """The planes of a file, all (ny, nx).

    offsets : where each begins, by its name; the image has none
    tables : where the unit of each table begins and ends
    """

    path: Path
    shape: tuple[int, int]
    offsets: Mapping[str, int]
    tables: Mapping[str, tuple[int, int]]

    def rows(self, y0: int, y1: int, space: Workspace) -> FrameRows:
        """Some rows; BrokenFile where the file has become shorter since it was opened."""
        planes = {name: self.plane(name, y0, y1, space) for name in self.offsets}
        return FrameRows(planes[IMAGE], planes.get(MASK), planes.get(WEIGHT), planes.get(EXPOSURE))

    def plane(self, name: str, y0: int, y1: int, space: Workspace) -> NDArray[Any]:
        """Some rows of one plane; BrokenFile as above."""
        values = space.array(f"read {name}", (y1 - y0, self.shape[1]), _KINDS[name])
        start = self.offsets[name] + y0 * self.shape[1] * values.itemsize
        file = os.open(self.path, os.O_RDONLY)
        try:
            count = os.preadv(file, [values.reshape(-1).view(np.uint8).data], start)
        finally:
            os.close(file)
        if count != values.nbytes:
            raise BrokenFile(f"{self.path} ends within its pixels: make it again")
        return values


def file_rows(path: Path, more: tuple[str, ...] = ()) -> FileRows:
    """The image of a product with its mask, and with these planes if it has them.

    Raises
    ------
    BrokenFile : it cannot be read, or is not as this program writes such files
    """
    try:
        with path.open("rb", buffering=0) as file:
            found = units(file) or []
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read ({error}): make it again") from error
    named = {unit.name: unit for unit in reversed(found) if unit.is_image}
    first = next((unit for unit in found if unit.is_image), None)
    shape = None if first is None else _shape(first)
    if first is None or shape is None:
        raise BrokenFile(f"{path} is no whole file with an image: make it again")
    wanted = {IMAGE: first, **{n: named[n] for n in (MASK, *more) if n in named}}
    for name, unit in wanted.items():
        if not unit.is_plain or _BITPIX[unit.header["BITPIX"]] != _KINDS[name]:
            raise BrokenFile(f"{path} holds {name or 'an image'} of another kind: make it again")
        if _shape(unit) != shape:
            raise BrokenFile(f"{path} holds planes of several sizes: make it again")
    offsets = {name: unit.data_at for name, unit in wanted.items()}
    tables = {unit.name: (unit.starts_at, unit.ends_at) for unit in found if not unit.is_image}
    return FileRows(path, shape, offsets, tables)


def _shape(unit: Unit) -> tuple[int, int] | None:
    header = unit.header
    return (header["NAXIS2"], header["NAXIS1"]) if header["NAXIS"] == 2 else None
