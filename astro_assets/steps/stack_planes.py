"""Planes of stacks as a picture reads them: some rows and columns, straight from the file.

What belongs here: reading image, mask, weight and stars of a stack, without the rest. What does
not: what is made of them (`colour`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.imaging.planes import Workspace
from astro_assets.imaging.threads import over_rows
from astro_assets.steps.frame_rows import MASK, WEIGHT, FileRows, file_rows

STARS = "STARS"
_ROWS = 60
"""that are read at a time: they stay in the cache"""


@dataclass(frozen=True, slots=True)
class StackPlanes:
    """A stack's planes, all (ny, nx), and its stars."""

    file: FileRows

    @property
    def has_mask(self) -> bool:
        return MASK in self.file.offsets

    @property
    def shape(self) -> tuple[int, int]:
        return self.file.shape

    def stars(self, rows: slice, columns: slice) -> pd.DataFrame | None:
        """The stars in a part, at their places in it, as `find_stars` gives them; None where
        nobody looked for them.
        """
        if STARS not in self.file.tables:
            return None
        begin, end = self.file.tables[STARS]
        with self.file.path.open("rb") as file:
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
            np.empty(shape, np.uint8 if plane == MASK else np.float32) if into is None else into
        )

        def read(first: int, last: int) -> None:
            space = Workspace()
            for y in range(first, last, _ROWS):
                strip = slice(y, min(y + _ROWS, last))
                top, bottom = rows.start + strip.start, rows.start + strip.stop
                part[strip] = self.file.plane(plane, top, bottom, space)[:, columns]

        over_rows(read, len(part))
        return part

    def means(self, plane: str, side: int) -> NDArray[np.float32]:
        """Means over squares of ``side`` pixels; the remainder is cut off."""
        rows, columns = self.shape[0] // side, self.shape[1] // side
        means = np.empty((rows, columns), np.float32)
        at_a_time = max(1, _ROWS // side)

        def read(first: int, last: int) -> None:
            space = Workspace()
            for top in range(first, last, at_a_time):
                bottom = min(top + at_a_time, last)
                values = self.file.plane(plane, top * side, bottom * side, space)
                lines = values.astype(np.float32).reshape(bottom - top, side, -1).sum(axis=1)
                squares = lines[:, : columns * side].reshape(bottom - top, columns, side)
                means[top:bottom] = squares.sum(axis=2) / np.float32(side * side)

        over_rows(read, rows)
        return means


def stack_planes(path: Path) -> StackPlanes:
    """Image, mask if there is one, and weight of a stack or composite.

    Raises
    ------
    BrokenFile : it cannot be read, or is not as this program writes stacks
    """
    file = file_rows(path, (WEIGHT,))
    if WEIGHT not in file.offsets:
        raise BrokenFile(f"{path} is no whole stack with its weights: make it again")
    return StackPlanes(file)
