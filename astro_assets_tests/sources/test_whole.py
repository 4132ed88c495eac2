"""Is a file whole? FITS, TIFF and zip, from good but odd ones to bombs."""

import gzip
import io
import stat
import struct
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.errors import BrokenFile, Unusable
from astro_assets.sources.unzip import unzip
from astro_assets.sources.verify import verify
from astro_assets_tests.sources.conftest import frame, put, zipped

WHOLE = frame(1, checksum=True)


def hdu_list(*hdus: Any) -> bytes:
    written = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(written, checksum=True)
    return written.getvalue()


def with_card(keyword: str, value: str) -> bytes:
    at = WHOLE.index(keyword.ljust(8).encode())
    return WHOLE[:at] + f"{keyword:8}= {value:>20}".encode() + WHOLE[at + 30 :]


def table() -> bytes:
    column = fits.Column("flux", "PE()", array=np.array([[1.0], [2.0, 3.0]], dtype=object))
    return hdu_list(fits.PrimaryHDU(), fits.BinTableHDU.from_columns([column]))


def packed() -> bytes:
    pixels = np.random.default_rng(3).integers(0, 900, (50, 50), dtype=np.int16)
    return hdu_list(fits.PrimaryHDU(), fits.CompImageHDU(pixels))


def many() -> bytes:
    noise = np.random.default_rng(4).normal(size=(3, 7, 11))
    return hdu_list(
        fits.PrimaryHDU(noise.astype(">f8")), fits.ImageHDU(noise.astype("f4")), fits.ImageHDU()
    )


@pytest.mark.parametrize(
    ("content", "vouched"),
    [
        (frame(1), False),
        (WHOLE, True),
        (table(), True),
        (packed(), True),
        (many(), True),
        (hdu_list(fits.PrimaryHDU(np.zeros((5, 5), "i2"))), True),
        (frame(1, LONGTEXT="it's long " * 30, HISTORY="x"), False),
    ],
)
def test_good_files_of_odd_kinds(tmp_path: Path, content: bytes, vouched: bool) -> None:
    assert verify(put(tmp_path / "a.fits", content), "a.fits") is vouched


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<html>log in</html>", "no FITS"),
        (WHOLE[:2000], "cut within its header"),
        (WHOLE[:5760], "is cut"),
        (WHOLE[: len(WHOLE) // 2], "is cut"),
        (WHOLE[:-1], "is cut"),
        (WHOLE + b"tail", "behind its end"),
        (WHOLE[:4000] + bytes([WHOLE[4000] ^ 1]) + WHOLE[4001:], "DATASUM"),
        (with_card("BITPIX", "17"), "BITPIX"),
        (with_card("NAXIS1", "x"), "NAXIS1"),
        (with_card("NAXIS1", "-60"), "negative"),
        (with_card("NAXIS1", "200000"), "is cut"),
    ],
)
def test_broken_fits(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(BrokenFile, match=reason):
        verify(put(tmp_path / "a.fits", content), "a.fits")


def test_a_header_changed_after_its_checksum(tmp_path: Path) -> None:
    content = frame(1, checksum=True, OBJECT="M 31").replace(b"M 31", b"M 33")
    with pytest.raises(BrokenFile, match="CHECKSUM"):
        verify(put(tmp_path / "a.fits", content), "a.fits")


def test_announced_terabytes_cost_nothing(tmp_path: Path) -> None:
    header = fits.Header([("SIMPLE", True), ("BITPIX", -64), ("NAXIS", 2)])
    header["NAXIS1"] = header["NAXIS2"] = 200000
    path = put(tmp_path / "a.fits", header.tostring())
    start = time.monotonic()
    with pytest.raises(BrokenFile, match="is cut"):
        verify(path, "a.fits")
    assert time.monotonic() - start < 1


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    cut=st.integers(0, len(WHOLE)),
    flip=st.integers(0, len(WHOLE) - 1),
    to=st.binary(max_size=4),
)
def test_any_damage_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int, to: bytes
) -> None:
    content = (WHOLE[:flip] + to + WHOLE[flip + len(to) :])[:cut]
    path = put(tmp_path_factory.getbasetemp() / "damaged.fits", content)
    try:
        vouched = verify(path, "damaged.fits")
    except BrokenFile:
        return
    # Only a change in words that the checks do not read may go unseen, and then nothing vouches.
    assert content == WHOLE or not vouched


@pytest.mark.parametrize("big", [False, True])
def test_tiff(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "a.tif"
    pixels = np.random.default_rng(5).integers(0, 99, (64, 64), dtype=np.uint16)
    tifffile.imwrite(path, pixels, bigtiff=big, rowsperstrip=8)
    verify(path, "a.tif")
    whole = path.read_bytes()
    with pytest.raises(BrokenFile):
        verify(put(tmp_path / "b.tif", whole[:-100]), "b.tif")
    for damage in (whole[:6], b"II*\0" + whole[4:8] * 9, b"no TIFF at all"):
        with pytest.raises(BrokenFile):
            verify(put(tmp_path / "c.tif", damage), "c.tif")


def test_a_tiff_whose_directories_go_round_in_circles(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((8, 8), "u2"), photometric="minisblack", metadata=None)
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (entries,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * entries, first)
    with pytest.raises(BrokenFile, match="round in circles"):
        verify(put(path, bytes(content)), "a.tif")


def unpack(tmp_path: Path, content: bytes) -> dict[str, bytes]:
    folder = tmp_path / "out"
    folder.mkdir()
    archive = put(tmp_path / "a.zip", content)
    return {str(k): v.read_bytes() for k, v in unzip(archive, folder, "a.zip").items()}


def test_zip(tmp_path: Path) -> None:
    assert unpack(tmp_path, zipped({"a.fit": WHOLE, "sub/b c.fit": b"x"})) == {
        "a.fit": WHOLE,
        "sub/b c.fit": b"x",
    }


def with_entry(name: str, mode: int = 0) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, b"/etc/passwd")
    return made.getvalue()


def twice() -> bytes:
    return zipped({"a.fit": b"one", "b.fit": b"two"}).replace(b"b.fit", b"a.fit")


def flipped(at: int) -> bytes:
    content = bytearray(zipped({"a.fit": WHOLE}))
    content[at] ^= 0xFF
    return bytes(content)


def encrypted() -> bytes:
    content = bytearray(zipped({"a.fit": b"x"}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        zipped({}),
        zipped({"a.fit": WHOLE})[:-30],
        zipped({"a.fit": WHOLE})[:500],
        flipped(400),
        b"junk before" + zipped({"a.fit": WHOLE}),
        gzip.compress(WHOLE),
        with_entry("../evil.fits"),
        with_entry("/abs.fits"),
        with_entry("..\\evil.fits"),
        with_entry("link.fits", stat.S_IFLNK | 0o777),
        twice(),
        encrypted(),
    ],
    ids=["empty", "no-members", "no-end", "cut", "flipped", "junk", "gzip", "climbs", "absolute",
         "backslash", "link", "twice", "encrypted"],
)  # fmt: skip
def test_bad_archives(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Unusable):
        unpack(tmp_path, content)
    assert {path.name for path in tmp_path.iterdir()} == {"out", "a.zip"}


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.fit", "w") as member,
    ):
        zeros = bytes(2**20)
        for _ in range(300):
            member.write(zeros)
    start = time.monotonic()
    with pytest.raises(BrokenFile, match="would swell"):
        unpack(tmp_path, made.getvalue())
    assert time.monotonic() - start < 5
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bomb_that_lies_about_its_size_is_stopped(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.fit": bytes(10**6)}))
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = struct.pack("<I", 10)
    content[22:26] = struct.pack("<I", 10)
    with pytest.raises(BrokenFile):
        unpack(tmp_path, bytes(content))
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 10


@settings(max_examples=150, deadline=None, derandomize=True)
@given(at=st.integers(0, 200), to=st.binary(min_size=1, max_size=6), tail=st.booleans())
def test_any_damage_to_an_archive_is_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, at: int, to: bytes, tail: bool
) -> None:
    content = zipped({"a.fit": b"the same words again and again " * 9, "b.fit": b"x"})
    at = len(content) - 1 - at if tail else at
    content = content[:at] + to + content[at + len(to) :]
    folder = tmp_path_factory.mktemp("zip")
    archive = put(folder / "a.zip", content)
    with suppress(Unusable):
        unzip(archive, folder, "a.zip")
