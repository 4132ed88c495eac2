"""Pictures for people: thumbnails, and the colour picture as FITS, 16-bit TIFF and PNG."""

import io
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image

from astro_assets.formats.picture_files import lay_out_tiff, write_packed_png
from astro_assets.formats.png_rows import Packed, packed
from astro_assets.imaging.stretch import autostretch, stretch_rows, to_uint8, tone_of
from astro_assets.steps.credits import SOFTWARE, Credits
from astro_assets.store import ImageFile, whole_file, write_image

THUMBNAIL_PX = 320
_MOST_BYTES = 60_000
"""larger ones make Dagster's event log slow"""
_STRIP_ROWS = 96


def thumbnail(image: NDArray[np.float32]) -> bytes:
    """A small stretched PNG or JPEG of a mono (ny, nx) or colour (3, ny, nx) image, FITS row
    order (first row at the bottom), at most 60 kB.
    """
    small = _binned(image, _step(image.shape))
    cube = small if small.ndim == 3 else np.stack([small] * 3)
    return encoded(to_uint8(autostretch(cube)))


def encoded(rgb: NDArray[np.uint8], most_bytes: int = _MOST_BYTES) -> bytes:
    """(3, ny, nx) 8-bit as PNG, reduced until it has at most ``most_bytes``."""
    picture = as_picture(rgb)
    while True:
        buffer = io.BytesIO()
        grey = bool((rgb[0] == rgb[1]).all() and (rgb[1] == rgb[2]).all())
        (picture.convert("L") if grey else picture).save(buffer, "PNG", compress_type=zlib.Z_RLE)
        if buffer.tell() <= most_bytes:
            return buffer.getvalue()
        picture = picture.resize(
            (max(1, picture.width * 4 // 5), max(1, picture.height * 4 // 5)),
            Image.Resampling.LANCZOS,
        )


def as_picture(rgb: NDArray[np.uint8]) -> Image.Image:
    """(3, ny, nx) in FITS row order as a picture with the first row at the bottom."""
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(rgb, 0, -1)[::-1]))


def write_colour(
    folder: Path, rgb: NDArray[np.float32], header: fits.Header, credit: Credits
) -> bytes:
    """Write ``color.fits`` (linear), ``color.tif`` (16 bit, stretched) and ``color.png``.

    credit : travels inside the picture files
    Returns a thumbnail.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="linear") as pool:
        linear = pool.submit(write_image, folder / "color.fits", ImageFile(rgb, header))
        small = _write_stretched(folder, rgb, credit)
        linear.result()
    return encoded(to_uint8(small.astype(np.uint16)))


def _write_stretched(
    folder: Path, rgb: NDArray[np.float32], credit: Credits
) -> NDArray[np.float32]:
    """The picture's two files, strip by strip on two threads; returns it binned, (3, ny, nx)."""
    tone = tone_of(rgb)
    _, ny, nx = rgb.shape
    step = _step(rgb.shape)
    height = -(-_STRIP_ROWS // step) * step
    small = np.zeros((ny // step, nx // step, 3), np.float32)
    with (
        whole_file(folder / "color.tif") as tiff,
        whole_file(folder / "color.png") as png,
        ThreadPoolExecutor(2, thread_name_prefix="picture") as pool,
    ):
        place = lay_out_tiff(tiff, (ny, nx), credit.texts, credit.xmp, SOFTWARE)
        with tiff.open("r+b") as file:

            def strip(first: int) -> Packed:
                shown = np.empty((min(height, ny - first), nx, 3), np.uint16)
                stretch_rows(rgb, tone, first, shown)
                _bin_into(small[first // step :], shown, step)
                # The first row of a FITS image lies at the bottom.
                from_top = np.ascontiguousarray(shown[::-1])
                above = ny - first - len(shown)
                _write_at(file.fileno(), from_top, place + above * from_top[0].nbytes)
                return packed(to_uint8(from_top))

            pieces = pool.map(strip, range((ny - 1) // height * height, -1, -height))
            write_packed_png(png, (ny, nx), pieces, credit.texts, credit.xmp)
    return np.moveaxis(small, -1, 0)


def _write_at(descriptor: int, pixels: NDArray[np.uint16], place: int) -> None:
    """All of ``pixels``, however little a call takes."""
    left = pixels.reshape(-1).view(np.uint8).data
    while left:
        written = os.pwrite(descriptor, left, place)
        left, place = left[written:], place + written


def _step(shape: tuple[int, ...]) -> int:
    """Pixels of a picture along one of its thumbnail."""
    return max(1, max(shape[-2:]) // THUMBNAIL_PX)


def _bin_into(small: NDArray[np.float32], shown: NDArray[np.uint16], step: int) -> None:
    """Means of step x step pixels of some rows, (n, nx, 3); the remainder is cut off."""
    n, nx, _ = shown.shape
    rows, columns = n // step, nx // step
    lines = shown[: rows * step].reshape(rows, step, nx, 3).sum(axis=1, dtype=np.uint32)
    squares = lines[:, : columns * step].reshape(rows, columns, step, 3)
    small[:rows] = squares.sum(axis=2) / np.float32(step * step)


def _binned(image: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of step x step pixels over the last two axes, blank ones as 0; the remainder is cut
    off.
    """
    rows, columns = image.shape[-2] // step, image.shape[-1] // step
    cut = image[..., : rows * step, : columns * step]
    bands = cut.reshape(*image.shape[:-2], rows, step, columns * step)
    lines = bands.sum(axis=-2, dtype=np.float32)
    # What is not finite is rare, and then in few bands: only those are copied.
    for place in zip(*np.nonzero(~np.isfinite(lines).all(axis=-1)), strict=True):
        lines[place] = np.nan_to_num(bands[place], nan=0.0).sum(axis=0)
    squares = lines.reshape(*lines.shape[:-1], columns, step)
    means: NDArray[np.float32] = squares.sum(axis=-1) / np.float32(step * step)
    return means
