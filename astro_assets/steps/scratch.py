"""Images that wait in files while a stack is made, read row by row.

What belongs here: writing one and reading rows of it. What does not: which images (`stack`,
`composite`). Rows are read into memory of their own, not mapped: what is mapped counts as memory
for as long as the system likes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scratch:
    """A 2-d image in a file. ``unit`` is what its numbers are multiplied by when they are read."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    unit: float = 1.0

    def __getitem__(self, rows: slice, /) -> NDArray[Any]:
        y0, y1, _ = rows.indices(self.shape[0])
        width = self.shape[1]
        flat = np.fromfile(
            self.path,
            self.dtype,
            count=max(y1 - y0, 0) * width,
            offset=y0 * width * self.dtype.itemsize,
        )
        part = flat.reshape(-1, width)
        return part if self.unit == 1 else part * np.float32(self.unit)


def put_aside(path: Path, image: NDArray[Any]) -> Scratch:
    """The image in a file."""
    np.ascontiguousarray(image).tofile(path)
    return Scratch(path, image.dtype, image.shape)


def put_share_aside(path: Path, share: NDArray[np.float32]) -> Scratch:
    """Shares from 0 to 1 in a file, in steps of 1/255; only what is 0 becomes 0."""
    steps = np.ceil(share * np.float32(255)).astype(np.uint8)
    return Scratch(put_aside(path, steps).path, steps.dtype, share.shape, 1 / 255)
