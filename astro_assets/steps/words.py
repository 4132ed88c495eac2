"""Raw frames as most cameras' programs write them: 16-bit words of a FITS file, read row by row.

What belongs here: whether a file is one of these, and rows of it. What does not: every other file,
which is read whole and put aside (`sets`, `scratch`).
"""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile
from astro_assets.frame import frame_from_header
from astro_assets.imaging.convert import to_counts
from astro_assets.steps.inputs import OpenedFrame, RawFrame, open_raw
from astro_assets.steps.overscan import without_overscan
from astro_assets.steps.recipe import Recipe
from astro_assets.store import OF_THE_FILE

_ZERO = 32768
"""what FITS takes off counts, so that its signed words hold them"""
_BLOCK = 2880
_ROWS = 64
"""that are read at a time: they stay in the cache"""
_AS_WRITTEN = {"BITPIX": 16, "NAXIS": 2, "BSCALE": 1, "BZERO": _ZERO}


@dataclass(frozen=True, slots=True)
class Words:
    """The counts of a FITS file, uint16. offset : of the first pixel, in bytes"""

    path: Path
    offset: int
    shape: tuple[int, int]

    def __getitem__(self, rows: slice, /) -> NDArray[np.uint16]:
        y0, y1, _ = rows.indices(self.shape[0])
        words = np.empty((max(y1 - y0, 0), self.shape[1]), np.uint16)
        for first in range(y0, y1, _ROWS):
            some = words[first - y0 : first - y0 + _ROWS]
            self.read_words(slice(first, first + len(some)), some)
            if sys.byteorder == "little":
                to_counts(some.reshape(-1))
            else:
                some ^= np.uint16(_ZERO)
        return words

    def read_words(self, rows: slice, into: NDArray[np.uint16], /) -> None:
        """Fill ``into`` (rows, nx) with the words as they are in the file.

        Raises
        ------
        BrokenFile : the file has become shorter
        """
        y0, y1, _ = rows.indices(self.shape[0])
        place = self.offset + 2 * y0 * self.shape[1]
        rest = into[: max(y1 - y0, 0)].reshape(-1).view(np.uint8).data
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            while rest:
                got = os.preadv(descriptor, [rest], place)
                if not got:
                    raise BrokenFile(f"{self.path} has become shorter: fetch it again")
                place, rest = place + got, rest[got:]
        finally:
            os.close(descriptor)


def counts_in_place(raw: RawFrame, recipe: Recipe) -> tuple[Words, OpenedFrame] | None:
    """The counts where they lie, and the frame without its pixels; None for any other file.

    A file with a second image, a pedestal, an overscan or a hole at its end is another file: it
    has to be looked at whole.

    Raises
    ------
    MissingHeader : a keyword is blank that nothing can fill
    """
    found = None if raw.plane is not None else _found(raw.path)
    if found is None:
        return None
    words, header = found
    if "BIASSEC" in header or recipe.overscan_top_px or recipe.overscan_right_px:
        return None
    for keyword in OF_THE_FILE:
        header.remove(keyword, ignore_missing=True)
    frame = frame_from_header(header, raw.facts, raw.path.name)
    if frame.pedestal_adu:
        return None
    return words, OpenedFrame(np.empty((0, 0), np.float32), header, frame)


def opened_light(raw: RawFrame, recipe: Recipe) -> OpenedFrame:
    """A frame without its overscan: 16-bit counts as they are, anything else as `open_raw` has it.

    Raises
    ------
    BrokenFile : not an image of two axes, or its overscan is not told well
    MissingHeader : a keyword is blank that nothing can fill
    """
    there = counts_in_place(raw, recipe)
    if there is None:
        return without_overscan(open_raw(raw), recipe, raw.path.name)
    words, opened = there
    return replace(opened, image_adu=words[:])


def _found(path: Path) -> tuple[Words, fits.Header] | None:
    """The counts of a file that holds one image of them and nothing else."""
    with path.open("rb") as file:
        if not file.read(_BLOCK).startswith(b"SIMPLE  ="):
            return None
        file.seek(0)
        try:
            header = fits.Header.fromfile(file)
            shape = (int(header.get("NAXIS2", 0)), int(header.get("NAXIS1", 0)))
            as_written = all(header.get(name, 1) == value for name, value in _AS_WRITTEN.items())
        except (
            OSError,
            ValueError,
            fits.VerifyError,
        ):  # whoever reads it whole tells what is wrong
            return None
        offset = file.tell()
    blocks = -(-2 * shape[0] * shape[1] // _BLOCK)
    whole = blocks > 0 and path.stat().st_size == offset + blocks * _BLOCK
    if not (as_written and whole) or "BLANK" in header:
        return None
    return Words(path, offset, shape), header
