"""Pictures that were packed piece by piece, read by another library."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from astro_assets.formats.picture_files import lay_out_tiff, write_packed_png, write_png
from astro_assets.formats.png_rows import Packed, packed, stream

TEXTS = {"Title": "M 45 – Plejaden", "Author": "A. Body"}


def noise(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (37, 41)])
@pytest.mark.parametrize("height", [1, 8, 100])
def test_pieces_are_one_picture(tmp_path: Path, shape: tuple[int, int], height: int) -> None:
    rows = noise((*shape, 3))
    rows[shape[0] // 2 :] //= 64
    pieces = (packed(rows[top : top + height]) for top in range(0, shape[0], height))
    write_packed_png(tmp_path / "a.png", shape, pieces, TEXTS, b"<x/>")
    with Image.open(tmp_path / "a.png") as read:
        read.load()
        np.testing.assert_array_equal(np.asarray(read), rows)
        assert read.text["Title"] == TEXTS["Title"]
        assert "<x/>" in read.text["XML:com.adobe.xmp"]


def test_the_first_row_lies_at_the_bottom(tmp_path: Path) -> None:
    rgb = noise((3, 12, 9))
    write_png(tmp_path / "a.png", rgb, TEXTS, b"")
    with Image.open(tmp_path / "a.png") as read:
        np.testing.assert_array_equal(np.asarray(read), np.moveaxis(rgb, 0, -1)[::-1])


def test_the_stream_has_the_checksum_of_all_pieces() -> None:
    rows = noise((60, 700, 3))
    pieces = [packed(rows[top : top + 7]) for top in range(0, 60, 7)]
    assert len(zlib.decompress(b"".join(stream(pieces)))) == 60 * (3 * 700 + 1)
    wrong = Packed(pieces[0].body, pieces[0].checksum ^ 1, pieces[0].length)
    with pytest.raises(zlib.error, match="incorrect data check"):
        zlib.decompress(b"".join(stream([wrong, *pieces[1:]])))


def test_noise_is_packed_and_blank_goes_in_runs() -> None:
    rng = np.random.default_rng(2)
    sky = rng.normal(30, 4, (200, 300, 1)) + rng.normal(0, 1, (200, 300, 3))
    assert len(packed(sky.astype(np.uint8)).body) < 0.6 * sky.size
    assert len(packed(np.zeros((200, 300, 3), np.uint8)).body) < 0.02 * sky.size


def test_pixels_belong_where_the_tiff_says(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).integers(0, 65536, (21, 17, 3), np.uint16)
    place = lay_out_tiff(tmp_path / "a.tif", (21, 17), TEXTS, b"<x/>", "test")
    with (tmp_path / "a.tif").open("r+b") as file:
        file.seek(place)
        file.write(rows.tobytes())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), rows)
