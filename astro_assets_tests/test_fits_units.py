"""Units of FITS files, read and copied as they are: what astropy would read and write."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from astro_assets.errors import BrokenFile
from astro_assets.files import parts_in, publish
from astro_assets.fits_file import write_hdu
from astro_assets.fits_units import (
    Unit,
    checked_planes,
    header_value,
    pixels,
    put_header,
    room_for,
    units,
    write_below,
)
from astro_assets.store import ImageFile, read_image, write_image

RNG = np.random.default_rng(7)
STARS = Table({"x": [1.5, 2.5], "bright": [True, False]})


def image(shape: tuple[int, ...] = (700, 801)) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Larger than a part, and no multiple of one."""
    values = RNG.normal(1000, 30, shape).astype(np.float32)
    values.flat[3] = np.nan
    return values


@pytest.fixture
def product(tmp_path: Path) -> Path:
    header = fits.Header({"OBJECT": "M31", "EXPTIME": 300.0, "AAPROV": "0123"})
    for number in range(40):
        header.add_history(f"line {number} of a history that fills blocks")
    mask = RNG.integers(0, 9, (700, 801)).astype(np.uint8)
    path = tmp_path / "calibrated.fits"
    write_image(path, ImageFile(image(), header, mask, {"VARIANCE": image()}))
    return path


def solved(header: fits.Header) -> None:
    header["CRVAL1"] = (314.7, "of the solution")
    header["AAACCEPT"] = (True, "accepted")
    header.add_history("one more line")


def stars() -> bytes:
    file = io.BytesIO()
    write_hdu(file, fits.BinTableHDU(STARS, name="STARS"))
    return file.getvalue()


def copy(source: Path, target: Path, blocks: int = 0, more: bytes = b"") -> None:
    """Image and mask below the header of `solved`, for which there are ``blocks`` more than it
    needs.
    """
    planes = checked_planes(source, ["MASK"])
    header = fits.Header.fromstring(planes[0].header)
    solved(header)
    room = room_for(header) + 2880 * blocks
    with parts_in(target.parent) as new_part:
        part = new_part()
        write_below(part, room, planes, more)
        put_header(part, room, header, planes[0].data_sum)
        publish(part, target, replace=True)


def held(path: Path) -> list[tuple[str, bytes]]:
    """Each HDU's header and bytes, checksums verified, times and letters of checksums apart."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True, memmap=False) as hdus:
            hdus.verify("exception")
            found = []
            for hdu in hdus:
                assert {"CHECKSUM", "DATASUM"} <= set(hdu.header)
                found.append((_plainly(hdu.header), np.asarray(hdu.data).tobytes()))
    assert path.stat().st_size % 2880 == 0
    return found


def _plainly(header: fits.Header) -> str:
    plain = header.copy()
    plain["CHECKSUM"] = ("", "")
    plain["DATASUM"] = (plain["DATASUM"], "")
    return plain.tostring()


def test_a_copy_is_what_writing_the_pixels_anew_would_be(product: Path, tmp_path: Path) -> None:
    copy(product, tmp_path / "copy.fits", more=stars())
    file = read_image(product)
    solved(file.header)
    anew = ImageFile(file.image, file.header, file.mask, {}, {"STARS": STARS})
    write_image(tmp_path / "anew.fits", anew)
    assert held(tmp_path / "copy.fits") == held(tmp_path / "anew.fits")
    with fits.open(product) as before, fits.open(tmp_path / "copy.fits") as after:
        assert [hdu.name for hdu in after] == ["PRIMARY", "MASK", "STARS"]
        for number in (0, 1):
            assert before[number].header["DATASUM"] == after[number].header["DATASUM"]


@pytest.mark.parametrize("blocks", [-1, 1, 3])
def test_a_header_of_another_size_than_was_thought_has_the_same_planes_below_it(
    product: Path, tmp_path: Path, blocks: int
) -> None:
    copy(product, tmp_path / "just.fits", 0, stars())
    copy(product, tmp_path / "other.fits", blocks, stars())
    just, other = held(tmp_path / "just.fits"), held(tmp_path / "other.fits")
    assert other[1:] == just[1:]
    assert other[0][1] == just[0][1]
    assert _cards(other[0][0]) == _cards(just[0][0])


def _cards(header: str) -> list[str]:
    cards = [header[at : at + 80] for at in range(0, len(header), 80)]
    return [card for card in cards if card.strip() and not card.startswith("CHECKSUM")]


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """A disk that is full behind so many bytes: the real system, by the limit of a file's size."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("lacking", [1, 2000, 2880, 3_000_000], ids="without {} bytes".format)
def test_a_full_disk_leaves_what_was_there(product: Path, tmp_path: Path, lacking: int) -> None:
    """The system takes what there is room for, which is no error until more is written."""
    target = tmp_path / "solved.fits"
    copy(product, target, more=stars())
    size = target.stat().st_size
    target.write_bytes(b"as it was")
    with disk_of(size - lacking), pytest.raises(OSError, match="too large"):
        copy(product, target, more=stars())
    assert target.read_bytes() == b"as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calibrated.fits", "solved.fits"]


@pytest.mark.parametrize("lacking", [1, 2000, 2880, 1_000_000], ids="without {} bytes".format)
@pytest.mark.parametrize("last", ["a mask", "counts", "a table"])
def test_a_product_that_lacks_its_end_is_not_published(
    tmp_path: Path, lacking: int, last: str
) -> None:
    shape = 700, 801
    file = {
        "a mask": ImageFile(image(), fits.Header(), np.ones(shape, np.uint8)),
        "counts": ImageFile(image(), fits.Header(), None, {"COUNT": np.ones(shape, np.uint16)}),
        "a table": ImageFile(image(), fits.Header(), tables={"STARS": STARS}),
    }[last]
    write_image(tmp_path / "whole.fits", file)
    size = (tmp_path / "whole.fits").stat().st_size
    with disk_of(size - lacking), pytest.raises(OSError, match="too large"):
        write_image(tmp_path / "cut.fits", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole.fits"]


@pytest.mark.parametrize("cut", [1, 2880, 100_000])
def test_a_cut_source_is_told_and_not_copied(product: Path, tmp_path: Path, cut: int) -> None:
    whole = product.read_bytes()
    product.write_bytes(whole[:-cut])
    with product.open("rb") as file:
        assert units(file) is None
    with pytest.raises(BrokenFile, match="no whole FITS file"):
        checked_planes(product, ["MASK"])


def test_no_copy_vouches_for_pixels_that_nobody_has_summed(tmp_path: Path) -> None:
    fits.PrimaryHDU(image()).writeto(tmp_path / "a.fits")
    with pytest.raises(BrokenFile, match="with checksums"):
        checked_planes(tmp_path / "a.fits")


@pytest.mark.parametrize("name", ["", "MASK"])
def test_pixels_that_are_not_as_their_sum_says_are_refused(product: Path, name: str) -> None:
    content = bytearray(product.read_bytes())
    (unit,) = (unit for unit in unit_of(bytes(content)) if unit.name == name)
    content[unit.data_at + 300_000] ^= 1
    product.write_bytes(content)
    with pytest.raises(BrokenFile, match=r"damaged .* DATASUM .*make it again"):
        checked_planes(product, ["MASK"])


def test_what_is_not_taken_along_is_not_looked_at(product: Path) -> None:
    content = bytearray(product.read_bytes())
    content[-200_000] ^= 1  # the variance
    product.write_bytes(content)
    assert [plane.pixels.dtype for plane in checked_planes(product, ["MASK"])] == [
        np.float32,
        np.uint8,
    ]


def hdus(kind: str) -> list[Any]:
    """Files that must be read by decoding, and such that need none."""
    counts = RNG.integers(0, 65536, (40, 50)).astype(np.uint16)
    small = image((40, 50))
    scaled = fits.PrimaryHDU(small)
    scaled.header.update({"BSCALE": 2.0, "BZERO": 100.0})  # of a header given it takes none
    named = fits.ImageHDU(RNG.integers(0, 4, (40, 50)).astype(np.uint8), name="mask")
    return {
        "plain": [fits.PrimaryHDU(small), named, fits.ImageHDU(small, name="WEIGHT")],
        "cube": [fits.PrimaryHDU(image((3, 20, 30)))],
        "extension": [fits.PrimaryHDU(), fits.ImageHDU(small), fits.BinTableHDU(STARS)],
        "counts": [fits.PrimaryHDU(counts), named],
        "double": [fits.PrimaryHDU(small.astype(np.float64))],
        "mask of counts": [fits.PrimaryHDU(small), fits.ImageHDU(counts % 8, name="MASK")],
        "packed": [fits.PrimaryHDU(), fits.CompImageHDU(small)],
        "bytes": [fits.PrimaryHDU(named.data), named],
        "mask of numbers": [
            fits.PrimaryHDU(small),
            fits.ImageHDU(np.nan_to_num(small // 500), name="MASK"),
        ],
        "scaled": [scaled],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "plain",
        "cube",
        "extension",
        "counts",
        "double",
        "bytes",
        "packed",
        "scaled",
        "mask of counts",
        "mask of numbers",
    ],
)
def test_pixels_are_those_that_astropy_reads(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.fits"
    fits.HDUList(hdus(kind)).writeto(path)
    file = read_image(path)
    with fits.open(path, memmap=False) as theirs:
        images = [hdu for hdu in theirs if hdu.is_image and hdu.size]
        np.testing.assert_array_equal(file.image, images[0].data.astype(np.float32))
        assert file.image.dtype == np.float32
        others = {hdu.name: hdu.data for hdu in images[1:]}
        mask = others.pop("MASK", None)
        assert (file.mask is None) == (mask is None)
        if mask is not None and file.mask is not None:
            np.testing.assert_array_equal(file.mask, mask)
            assert file.mask.dtype == np.uint8
        assert list(file.planes) == list(others)
        for name, data in others.items():
            np.testing.assert_array_equal(file.planes[name], data)
    file.image[:] = 1  # it is the caller's own


def unit_of(content: bytes) -> Any:
    return units(io.BytesIO(content))


def test_only_whole_units_one_after_the_other_are_taken(product: Path) -> None:
    content = product.read_bytes()
    assert [unit.name for unit in unit_of(content)] == ["", "MASK", "VARIANCE"]
    assert unit_of(b"") is None
    assert unit_of(content + content) is None, "an extension does not open as a file does"
    start = unit_of(content)[1].starts_at
    assert unit_of(content[start:]) is None, "nor a file as an extension does"
    assert (
        unit_of(
            content.replace(b"SIMPLE  =                    T", b"SIMPLE  = " + b" " * 19 + b"F")
        )
        is None
    )


def test_images_are_told_from_units_without_one(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.HDUList(hdus("extension")).writeto(path)
    assert [unit.is_image for unit in unit_of(path.read_bytes())] == [False, True, False]


@pytest.mark.parametrize("more", [{"PCOUNT": 4}, {"GCOUNT": 2}, {"BLANK": 0}, {"GROUPS": True}])
def test_what_is_more_than_an_image_is_not_plain(more: dict[str, object]) -> None:
    header = fits.ImageHDU(np.ones((3, 4), np.uint8)).header
    assert Unit(header, 0, 2880, 5760).is_plain
    header.update(more)
    assert not Unit(header, 0, 2880, 5760).is_plain


def test_a_file_that_is_cut_while_it_is_read_gives_no_pixels(product: Path) -> None:
    with product.open("rb", buffering=0) as file:
        first, mask, _ = unit_of(product.read_bytes())
        os.truncate(product, first.data_at + 2880)
        for unit in (first, mask):
            with pytest.raises(EOFError, match="within its pixels"):
                pixels(file, unit)


def test_an_empty_source_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"")
    with pytest.raises(BrokenFile, match="no whole FITS file"):
        checked_planes(tmp_path / "a.fits")


def test_a_keyword_is_found_in_the_first_header_alone(product: Path) -> None:
    assert header_value(product, "AAPROV") == "0123"
    assert header_value(product, "EXPTIME") == 300.0
    assert header_value(product, "DATASUM") == fits.getheader(product)["DATASUM"]
    assert header_value(product, "EXTNAME") is None  # that is the mask's
    assert header_value(product, "EXPTI") is None


def test_a_header_without_an_end_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880))
    with pytest.raises(BrokenFile, match="no end"):
        header_value(tmp_path / "a.fits", "AAPROV")
