"""Pictures for people: thumbnails, and the colour picture as FITS, 16-bit TIFF and PNG."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from PIL import Image

from astro_assets.formats.picture_files import PNG_STRATEGY, write_png, write_tiff
from astro_assets.imaging.stretch import autostretch, to_uint8
from astro_assets.steps.credits import SOFTWARE, Credits
from astro_assets.store import ImageFile, whole_file, write_image

THUMBNAIL_PX = 320
_MOST_BYTES = 60_000
"""larger ones make Dagster's event log slow"""


def thumbnail(image: NDArray[np.float32]) -> bytes:
    """A small stretched PNG or JPEG of a mono (ny, nx) or colour (3, ny, nx) image, FITS row
    order (first row at the bottom), at most 60 kB.
    """
    step = max(1, max(image.shape[-2:]) // THUMBNAIL_PX)
    small = _binned(np.nan_to_num(image, nan=0.0), step)
    cube = small if small.ndim == 3 else np.stack([small] * 3)
    return encoded(to_uint8(autostretch(cube)))


def encoded(rgb: NDArray[np.uint8], most_bytes: int = _MOST_BYTES) -> bytes:
    """(3, ny, nx) 8-bit as PNG, reduced until it has at most ``most_bytes``."""
    picture = as_picture(rgb)
    while True:
        buffer = io.BytesIO()
        grey = bool((rgb[0] == rgb[1]).all() and (rgb[1] == rgb[2]).all())
        (picture.convert("L") if grey else picture).save(buffer, "PNG", compress_type=PNG_STRATEGY)
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
    with ThreadPoolExecutor(2, thread_name_prefix="picture") as pool:
        # astropy turns the bytes of what it writes round in place, and back: it gets its own copy,
        # in FITS's byte order already.
        linear = pool.submit(
            write_image, folder / "color.fits", ImageFile(rgb.astype(">f4"), header)
        )
        stretched = autostretch(rgb)
        tiff = pool.submit(_write_tiff, folder / "color.tif", stretched, credit)
        eight = to_uint8(stretched)
        with whole_file(folder / "color.png") as part:
            write_png(part, eight, credit.texts, credit.xmp)
        for written in (linear, tiff):
            written.result()
    step = max(1, max(eight.shape[-2:]) // THUMBNAIL_PX)
    return encoded(to_uint8(_binned(stretched.astype(np.float32), step).astype(np.uint16)))


def _write_tiff(path: Path, rgb: NDArray[np.uint16], credit: Credits) -> None:
    with whole_file(path) as part:
        write_tiff(part, rgb, credit.texts, credit.xmp, SOFTWARE)


def _binned(image: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of step x step pixels over the last two axes; the remainder is cut off."""
    ny, nx = (image.shape[-2] // step) * step, (image.shape[-1] // step) * step
    cut = image[..., :ny, :nx]
    shape = (*image.shape[:-2], ny // step, step, nx // step, step)
    means: NDArray[np.float32] = cut.reshape(shape).mean(axis=(-3, -1), dtype=np.float32)
    return means
