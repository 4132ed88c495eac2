"""Units of FITS files, read and copied as they are: what astropy would read and write."""

import errno
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
from astropy.utils.exceptions import AstropyUserWarning

from astro_assets import fits_units
from astro_assets.errors import BrokenFile
from astro_assets.fits_units import Unit, copy_units, header_value, pixels, units
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
    copy_units(
        product, tmp_path / "copy.fits", solved, ["MASK"], [fits.BinTableHDU(STARS, name="STARS")]
    )
    file = read_image(product)
    solved(file.header)
    anew = ImageFile(file.image, file.header, file.mask, {}, {"STARS": STARS})
    write_image(tmp_path / "anew.fits", anew)
    assert held(tmp_path / "copy.fits") == held(tmp_path / "anew.fits")
    with fits.open(product) as before, fits.open(tmp_path / "copy.fits") as after:
        assert [hdu.name for hdu in after] == ["PRIMARY", "MASK", "STARS"]
        for number in (0, 1):
            assert before[number].header["DATASUM"] == after[number].header["DATASUM"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_a_copy_is_made_by_hand_where_the_system_cannot(
    product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def cannot(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    copy_units(product, tmp_path / "by_system.fits", solved, ["MASK"])
    monkeypatch.setattr(fits_units.os, "sendfile", cannot)
    copy_units(product, tmp_path / "by_hand.fits", solved, ["MASK"])
    assert held(tmp_path / "by_hand.fits") == held(tmp_path / "by_system.fits")


@contextmanager
def room_for(size: int) -> Iterator[None]:
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
    target, stars = tmp_path / "solved.fits", [fits.BinTableHDU(STARS, name="STARS")]
    copy_units(product, target, solved, ["MASK"], stars)
    size = target.stat().st_size
    target.write_bytes(b"as it was")
    with room_for(size - lacking), pytest.raises(OSError, match="too large"):
        copy_units(product, target, solved, ["MASK"], stars)
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
    with room_for(size - lacking), pytest.raises(OSError, match="too large"):
        write_image(tmp_path / "cut.fits", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole.fits"]


@pytest.mark.parametrize("cut", [1, 2880, 100_000])
def test_a_cut_source_is_told_and_not_copied(product: Path, tmp_path: Path, cut: int) -> None:
    whole = product.read_bytes()
    product.write_bytes(whole[:-cut])
    with product.open("rb") as file:
        assert units(file) is None
    with pytest.raises(BrokenFile, match="no whole FITS file"):
        copy_units(product, tmp_path / "copy.fits", solved, ["MASK"])
    assert not (tmp_path / "copy.fits").exists()


def test_no_copy_vouches_for_pixels_that_nobody_has_summed(tmp_path: Path) -> None:
    fits.PrimaryHDU(image()).writeto(tmp_path / "a.fits")
    with pytest.raises(BrokenFile, match="with checksums"):
        copy_units(tmp_path / "a.fits", tmp_path / "copy.fits", solved)


def test_damage_is_not_made_to_look_right(product: Path, tmp_path: Path) -> None:
    """The copy keeps the sum of what the pixels were: a flipped bit still shows."""
    content = bytearray(product.read_bytes())
    content[500_000] ^= 1
    product.write_bytes(content)
    copy_units(product, tmp_path / "copy.fits", solved)
    with pytest.warns(AstropyUserWarning) as caught:
        fits.open(tmp_path / "copy.fits", checksum=True).close()
    assert any("Datasum verification failed" in str(warning.message) for warning in caught)


def hdus(kind: str) -> list[Any]:
    """Files that must be read by decoding, and such that need none."""
    counts = RNG.integers(0, 65536, (40, 50)).astype(np.uint16)
    small = image((40, 50))
    named = fits.ImageHDU(RNG.integers(0, 4, (40, 50)).astype(np.uint8), name="mask")
    return {
        "plain": [fits.PrimaryHDU(small), named, fits.ImageHDU(small, name="WEIGHT")],
        "cube": [fits.PrimaryHDU(image((3, 20, 30)))],
        "extension": [fits.PrimaryHDU(), fits.ImageHDU(small), fits.BinTableHDU(STARS)],
        "counts": [fits.PrimaryHDU(counts), named],
        "double": [fits.PrimaryHDU(small.astype(np.float64))],
        "mask of counts": [fits.PrimaryHDU(small), fits.ImageHDU(counts % 8, name="MASK")],
        "packed": [fits.PrimaryHDU(), fits.CompImageHDU(small)],
        "scaled": [fits.PrimaryHDU(small, fits.Header({"BSCALE": 2.0, "BZERO": 100.0}))],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["plain", "cube", "extension", "counts", "double", "mask of counts", "packed", "scaled"],
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


def test_a_file_that_is_cut_while_it_is_copied_is_not_made_up(
    product: Path, tmp_path: Path
) -> None:
    def cut(header: fits.Header) -> None:
        os.truncate(product, 100_000)

    with pytest.raises(EOFError, match="within its units"):
        copy_units(product, tmp_path / "copy.fits", cut, ["MASK"])
    assert not (tmp_path / "copy.fits").exists()


def test_an_empty_source_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.fits").write_bytes(b"")
    with pytest.raises(BrokenFile, match="no whole FITS file"):
        copy_units(tmp_path / "a.fits", tmp_path / "copy.fits", solved)


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
