"""Holes: runs of zero bytes that a transfer, not a camera, has put into pixels.

What belongs here: how damage is told from black pixels. What does not: which data have no checksum
and so need this (`verify_fits`, `verify_tiff`).

A sender or a disk that loses a piece of a file leaves zeros in its place: a hole. It is one run in
the order of the *file*: it begins and ends wherever a block of the transfer did, in the midst of a
line of pixels, and right beside it the picture goes on as if nothing were. What is black by nature
or by software is an area of the *picture*: its edges recur from line to line (borders, masks,
corners of turned frames), or it is made of whole lines (gaps of mosaics, padding), or zeros are all
over the image (flat simulated skies, sparse images, short darks). So a run counts as a hole only if

- it is long, and reaches over the end of a line (or lies on blocks of a disk at both ends),
- one of its ends lies well within a line. FITS data begin at a multiple of 2880 bytes and blocks
  are powers of two, so that a hole hardly ever falls on lines,
- the line before it and the line behind it hold hardly any zero, as does the rest of the image.
  A border that is turned by more than one pixel in its length shows in these lines,
- where zero bytes mean black: a run that reaches the first or last pixel of a plane, as black
  borders do, has its inner end on a block of 4096 bytes. A border that is turned by less than one
  pixel ends within a line too, but on a block once in two thousand.

Where counts are stored with an offset (BZERO 32768: what nearly all cameras write), black is not
zero bytes; these mean half of the range, exactly, pixel for pixel. There a short run tells enough.

Not found, so as to raise no false alarm: holes in frames that are full of zeros by themselves, in
tables, in compressed data (decoding and the packers' sums tell), and a missing end of a frame
without offset unless it falls on a block.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astro_assets.errors import BrokenFile

_MIN_BYTES = 64 * 1024
_MIN_BYTES_WITH_OFFSET = 4096
_STEP = 2048
"""Every run of twice this length holds a whole step."""
_WORD = 8
_STEPS_AT_ONCE = 512
_MAX_RUNS = 64
_MIN_LINE_PIXELS = 64
_MARGIN = 0.02
"""of a line: what is nearer to its end may be the edge of a border"""
_MAX_ZEROS_BESIDE = 0.01
_MAX_ZEROS_ELSEWHERE = 0.001
_BLOCK_BYTES = 4096
_SMALL_BLOCK_BYTES = 512
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Raster:
    """Where the pixels of an image lie in its file.

    start, size_bytes : of the pixels in the file
    line_pixels : values (all colours of a pixel counted) in a line
    plane_lines : lines in a plane of a cube
    zero_is_black : zero bytes are the darkest value, or no light at all
    """

    start: int
    size_bytes: int
    pixel_bytes: int
    line_pixels: int
    plane_lines: int
    zero_is_black: bool

    @property
    def line_bytes(self) -> int:
        return self.pixel_bytes * self.line_pixels

    @property
    def plane_bytes(self) -> int:
        return self.line_bytes * self.plane_lines


@dataclass(frozen=True, slots=True)
class Hole:
    """A run of zeros in a file, ``start`` counted from the file's first byte."""

    start: int
    size_bytes: int


def find_hole(path: Path, raster: Raster) -> Hole | None:
    """The first run of zeros that no picture has, if there is one.

    Costs a few per cent of a hash of the file, and less than one where there are zeros.
    """
    if raster.line_pixels < _MIN_LINE_PIXELS or raster.size_bytes < _MIN_BYTES_WITH_OFFSET:
        return None
    data: NDArray[np.uint8] = np.memmap(
        path, np.uint8, "r", offset=raster.start, shape=(raster.size_bytes,)
    )
    runs = _runs(data)
    holes = [run for run in runs if _is_cut_out(data, *run, raster)]
    if not holes or _zeros_elsewhere(data, runs, raster) > _MAX_ZEROS_ELSEWHERE:
        return None
    start, end = holes[0]
    return Hole(raster.start + start, end - start)


class ZeroWatch:
    """Looks at the bytes of a file as they come, so that most files need not be read again.

    ``zeros`` says that there may be a run of zeros as long as a hole. Without it `find_hole` finds
    none, for even the shortest hole holds a whole step, and the first word of that is zero.
    """

    def __init__(self) -> None:
        self.zeros = False
        self._size_bytes = 0

    def see(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes, in their order."""
        first = -self._size_bytes % _STEP
        self._size_bytes += len(chunk)
        if self.zeros or first >= len(chunk):
            return
        count = (len(chunk) - first + _STEP - _WORD) // _STEP
        words: NDArray[np.uint64] = np.ndarray(
            (count,), np.uint64, chunk, offset=first, strides=(_STEP,)
        )
        # Of a word that is cut in two, the bytes that are here decide.
        cut = chunk[first + count * _STEP :][:_WORD]
        self.zeros = int(np.count_nonzero(words)) < count or (len(cut) > 0 and not any(cut))


def hole_error(name: str, hole: Hole) -> BrokenFile:
    """What to say of a file with a hole."""
    return BrokenFile(
        f"{name} has a hole: {hole.size_bytes} bytes from byte {hole.start} on are zero in the "
        "middle of its pixels; ask the source for it again"
    )


def _runs(data: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Start and end of every long run of zeros; none where there are too many to be damage."""
    steps = data[: len(data) // _STEP * _STEP].view(np.uint64).reshape(-1, _STEP // 8)
    zero = steps[:, 0] == 0  # a page of the file each, and mostly all that is read of it
    candidates = np.flatnonzero(zero)
    for at in range(0, len(candidates), _STEPS_AT_ONCE):
        some = candidates[at : at + _STEPS_AT_ONCE]
        zero[some] = ~steps[some].any(axis=1)
    edges = np.flatnonzero(np.diff(zero, prepend=False, append=False)) * _STEP
    if len(edges) > 2 * _MAX_RUNS:
        return []
    return [_extent(data, int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _extent(data: NDArray[np.uint8], start: int, end: int) -> tuple[int, int]:
    """The whole run that holds the steps from ``start`` to ``end``."""
    before = data[max(0, start - _STEP) : start]
    after = data[end : end + 2 * _STEP]  # the last step may be cut
    other = np.flatnonzero(before)
    start -= len(before) - (int(other[-1]) + 1 if len(other) else 0)
    other = np.flatnonzero(after)
    end += int(other[0]) if len(other) else len(after)
    return start, end


def _is_cut_out(data: NDArray[np.uint8], start: int, end: int, raster: Raster) -> bool:
    """Whether a run looks cut out of its lines, and not like a black area."""
    pixel, line, plane = raster.pixel_bytes, raster.line_bytes, raster.plane_bytes
    first, behind = -(-start // pixel) * pixel, end // pixel * pixel
    # A zero byte of its neighbour may have joined the run at each end.
    slack = {first: -(raster.start + start), behind: raster.start + end}
    inner = [at for at in (first, behind) if at % plane and at < raster.size_bytes]
    crosses_line = first // line != (behind - 1) // line
    if raster.zero_is_black:
        within_plane = len(inner) == 2 and first // plane == behind // plane
        if end - start < _MIN_BYTES or not crosses_line:
            return False
        if not within_plane and any(slack[at] % _BLOCK_BYTES >= pixel for at in inner):
            return False
    elif end - start < _MIN_BYTES_WITH_OFFSET or not (
        crosses_line or all(at % _SMALL_BLOCK_BYTES < pixel for at in slack.values())
    ):
        return False
    margin = max(pixel, int(_MARGIN * line))
    within_line = [at for at in inner if margin <= at % line <= line - margin]
    beside = (data[max(0, first - line) : first], data[behind : behind + line])
    return bool(within_line) and all(
        _zeros(lines, raster) <= _MAX_ZEROS_BESIDE * raster.line_pixels for lines in beside
    )


def _zeros(data: NDArray[np.uint8], raster: Raster) -> int:
    """How many whole pixels are zero."""
    pixels = data[: len(data) // raster.pixel_bytes * raster.pixel_bytes]
    values = pixels.view(f"u{raster.pixel_bytes}")
    return len(values) - int(np.count_nonzero(values))


def _zeros_elsewhere(data: NDArray[np.uint8], runs: list[tuple[int, int]], raster: Raster) -> float:
    """The fraction of zero pixels outside of the long runs."""
    zeros = sum(_zeros(data[at : at + _CHUNK], raster) for at in range(0, len(data), _CHUNK))
    within = sum((end - start) // raster.pixel_bytes for start, end in runs)
    return (zeros - within) / (len(data) // raster.pixel_bytes)
