"""Planes of stacks as a picture reads them: some rows and columns, straight from the file.

What belongs here: reading image, mask, weight and stars of a stack, without the rest. What does
not: what is made of them (`colour`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.fits_units import units
from astro_assets.imaging.threads import over_rows

IMAGE, MASK, WEIGHT = "", "MASK", "WEIGHT"
STARS = "STARS"
_STORED: Mapping[str, np.dtype[Any]] = {
    IMAGE: np.dtype(">f4"),
    MASK: np.dtype("u1"),
    WEIGHT: np.dtype(">f4"),
}
_ROWS = 60
"""that are read at a time: they stay in the cache"""


@dataclass(frozen=True, slots=True)
class StackPlanes:
    """A stack's planes, all (ny, nx), and its stars.

    offsets : where in the file each plane begins
    stars_at : where the unit with the table of its stars begins and ends, where there is one
    """

    path: Path
    shape: tuple[int, int]
    offsets: Mapping[str, int]
    stars_at: tuple[int, int] | None = None

    def stars(self, rows: slice, columns: slice) -> pd.DataFrame | None:
        """The stars in a part, at their places in it, as `find_stars` gives them; None where
        nobody looked for them.
        """
        if self.stars_at is None:
            return None
        begin, end = self.stars_at
        with self.path.open("rb") as file:
            file.seek(begin)
            table = fits.BinTableHDU.fromstring(file.read(end - begin)).data
        stars = pd.DataFrame(
            {name: table[name].astype(table[name].dtype.newbyteorder("=")) for name in table.names}
        )
        stars["x"] -= columns.start
        stars["y"] -= rows.start
        width, height = columns.stop - columns.start, rows.stop - rows.start
        inside = stars["x"].between(0, width - 1) & stars["y"].between(0, height - 1)
        return stars[inside].reset_index(drop=True)

    def part(
        self, plane: str, rows: slice, columns: slice, into: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """A part of a plane, in the machine's order of bytes; BrokenFile when it is cut off.

        into : an array of that size that takes it
        """
        shape = rows.stop - rows.start, columns.stop - columns.start
        part: NDArray[Any] = (
            np.empty(shape, _STORED[plane].newbyteorder("=")) if into is None else into
        )

        def read(first: int, last: int) -> None:
            for y in range(first, last, _ROWS):
                strip = slice(y, min(y + _ROWS, last))
                lines = self._lines(plane, rows.start + strip.start, rows.start + strip.stop)
                part[strip] = lines[:, columns]

        over_rows(read, len(part))
        return part

    def means(self, plane: str, side: int) -> NDArray[np.float32]:
        """Means over squares of ``side`` pixels; the remainder is cut off."""
        rows, columns = self.shape[0] // side, self.shape[1] // side
        means = np.empty((rows, columns), np.float32)
        at_a_time = max(1, _ROWS // side)

        def read(first: int, last: int) -> None:
            for top in range(first, last, at_a_time):
                bottom = min(top + at_a_time, last)
                values = self._lines(plane, top * side, bottom * side).astype(np.float32)
                lines = values.reshape(bottom - top, side, -1).sum(axis=1)
                squares = lines[:, : columns * side].reshape(bottom - top, columns, side)
                means[top:bottom] = squares.sum(axis=2) / np.float32(side * side)

        over_rows(read, rows)
        return means

    def _lines(self, plane: str, y0: int, y1: int) -> NDArray[Any]:
        values: NDArray[Any] = np.empty((y1 - y0, self.shape[1]), _STORED[plane])
        start = self.offsets[plane] + y0 * self.shape[1] * values.itemsize
        with self.path.open("rb", buffering=0) as file:
            read = os.preadv(file.fileno(), [values.reshape(-1).view(np.uint8).data], start)
        if read != values.nbytes:
            raise BrokenFile(f"{self.path} ends within its pixels: make it again")
        return values


def stack_planes(path: Path) -> StackPlanes:
    """Image, mask if there is one, and weight of a stack or composite.

    Raises
    ------
    BrokenFile : it cannot be read, or is not as this program writes stacks
    """
    try:
        with path.open("rb", buffering=0) as file:
            found = units(file) or []
    except OSError as error:
        raise BrokenFile(f"{path} cannot be read ({error}): make it again") from error
    named = {unit.name: unit for unit in found[1:] if unit.name in (MASK, WEIGHT)}
    if not found or WEIGHT not in named:
        raise BrokenFile(f"{path} is no whole stack with its weights: make it again")
    named[IMAGE] = found[0]
    shape = (found[0].header["NAXIS2"], found[0].header["NAXIS1"])
    for name, unit in named.items():
        sides = (unit.header["NAXIS2"], unit.header["NAXIS1"])
        bits = 8 * _STORED[name].itemsize * (1 if _STORED[name].kind == "u" else -1)
        if not unit.is_plain or sides != shape or unit.header["BITPIX"] != bits:
            raise BrokenFile(f"{path} holds {name or 'an image'} of another kind: make it again")
    offsets = {name: unit.data_at for name, unit in named.items()}
    tables = [(unit.starts_at, unit.ends_at) for unit in found if unit.name == STARS]
    return StackPlanes(path, shape, offsets, tables[0] if tables else None)
