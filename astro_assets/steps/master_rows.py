"""Rows of a master as they lie in its file, so that none is held whole beside what is made of it.

What belongs here: reading them. What does not: which master serves (`matching`), its header
(`master_files`).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_assets.imaging.planes import Workspace
from astro_assets.steps.frame_rows import IMAGE, FileRows, file_rows


@dataclass(frozen=True, slots=True)
class MasterRows:
    """A master's image, (ny, nx) float32, rows of which are read when they are asked for."""

    file: FileRows

    @property
    def shape(self) -> tuple[int, int]:
        return self.file.shape

    def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
        y0, y1, _ = rows.indices(self.shape[0])
        return self.file.plane(IMAGE, y0, max(y1, y0), Workspace()).astype(np.float32)


def master_rows(path: Path) -> MasterRows:
    """The image of a master that was made here.

    Raises
    ------
    BrokenFile : it cannot be read, or is not as this program writes such files
    """
    return MasterRows(file_rows(path))
