"""What is written is what astropy writes, and its checksums hold."""

import io
import re
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from astro_assets.fits_file import write_hdu

RNG = np.random.default_rng(1)


def pixels(shape, dtype):
    values = RNG.normal(300, 90, shape)
    if np.dtype(dtype).kind == "f":
        values.ravel()[:1] = np.nan
    return np.abs(values).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)


def written(hdus):
    file = io.BytesIO()
    for hdu in hdus:
        write_hdu(file, hdu)
    return file.getvalue()


def without_times(content):
    """A checksum tells when it was made, and is then another one."""
    content = re.sub(rb"CHECKSUM= '.{16}'", b"CHECKSUM= '................'", content)
    return re.sub(rb"updated \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", b"updated", content)


def header():
    made = fits.Header()
    made["OBJECT"] = ("NGC 7000", "what it shows")
    made["EXPTIME"] = 180.0
    for number in range(40):
        made.add_history(f"line {number} of a history that fills blocks")
    return made


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16, np.int16, np.float64, ">f4"])
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (60, 48), (3, 31, 33), (600, 700)])
def test_as_astropy_writes_it(shape, dtype):
    hdus = fits.HDUList(
        [
            fits.PrimaryHDU(pixels(shape, dtype), header()),
            fits.ImageHDU(pixels(shape, dtype), name="MASK"),
            fits.BinTableHDU(Table({"x": [1.0, 2.0]}), name="STARS"),
        ]
    )
    ours = written(hdus)
    theirs = io.BytesIO()
    hdus.writeto(theirs, checksum=True)
    assert without_times(ours) == without_times(theirs.getvalue())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(io.BytesIO(ours), checksum=True) as opened:
            assert [hdu.name for hdu in opened] == ["PRIMARY", "MASK", "STARS"]
            np.testing.assert_array_equal(opened[0].data, hdus[0].data)


def test_checksums_hold_whatever_the_bits():
    """All ones, all zeros, and words of which every byte needs another encoding."""
    for bits in (0, 0xFFFFFFFF, 0x80000000, *RNG.integers(0, 2**32, 200)):
        data = np.full((3, 5), bits, np.uint32).view(np.float32)
        with fits.open(io.BytesIO(written([fits.PrimaryHDU(data)])), checksum=True) as opened:
            assert opened[0].verify_checksum() == 1
            assert opened[0].verify_datasum() == 1


def test_a_carry_that_brings_another_one():
    """The sum of these words is 1FFFFFFFF: its carry makes 100000000, which has one again."""
    words = np.array([[0xFFFFFFFF, 0x80000000, 0x80000000]], np.uint32)
    with fits.open(io.BytesIO(written([fits.PrimaryHDU(words.view(np.float32))]))) as opened:
        assert opened[0].header["DATASUM"] == "1"
        assert opened[0].verify_datasum() == 1
        assert opened[0].verify_checksum() == 1


def test_numbers_without_a_sign_keep_their_whole_range():
    counts = np.arange(65536, dtype=np.uint16).reshape(256, 256)[:, :255]
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(counts, name="COUNT")])
    theirs = io.BytesIO()
    hdus.writeto(theirs, checksum=True)
    assert without_times(written(hdus)) == without_times(theirs.getvalue())
    with fits.open(io.BytesIO(written(hdus)), checksum=True) as opened:
        assert opened["COUNT"].verify_datasum() == 1
        np.testing.assert_array_equal(opened["COUNT"].data, counts)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(40, 50), (1, 50)])
def test_a_strided_image_is_written_in_its_order(shape, dtype):
    image = pixels(shape, dtype)[::-1, ::2]
    with fits.open(io.BytesIO(written([fits.PrimaryHDU(image)])), checksum=True) as opened:
        np.testing.assert_array_equal(opened[0].data, image)
        assert opened[0].verify_datasum() == 1
