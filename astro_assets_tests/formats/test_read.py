"""TIFF, XISF and DNG come out as the pixels and keywords that went in."""

from pathlib import Path

import numpy as np
import pytest

from astro_assets.errors import BrokenFile
from astro_assets.formats import Format, format_of, keywords, read
from astro_assets.frame import frame_from_header
from astro_assets.store import read_image
from astro_assets_tests.formats.files import counts, write_dng, write_tiff, write_xisf


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.TIF", Format.TIFF), ("a.tiff", Format.TIFF), ("a.xisf", Format.XISF),
        ("IMG_1.CR2", Format.CAMERA_RAW), ("a.cr3", Format.CAMERA_RAW),
        ("a.NEF", Format.CAMERA_RAW), ("a.dng", Format.CAMERA_RAW),
        ("a.fits", None), ("a.jpg", None), ("tif", None),
    ],
)  # fmt: skip
def test_the_ending_says_the_format(name: str, kind: Format | None) -> None:
    assert format_of(name) is kind


# TIFF


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"bigtiff": True}])
def test_tiff_of_16_bits(tmp_path: Path, options: dict[str, object]) -> None:
    image = counts(1)
    file = read_image(write_tiff(tmp_path / "a.tif", image, **options))
    assert file.image.dtype == np.float32
    np.testing.assert_array_equal(file.image, image)
    assert "BAYERPAT" not in file.header


def test_a_mosaic_tells_its_pattern(tmp_path: Path) -> None:
    image = counts(2)
    path = write_dng(tmp_path / "a.tiff", image, pattern="GBRG")
    file = read(path)
    np.testing.assert_array_equal(file.image, image)
    assert file.header["BAYERPAT"] == "GBRG"


def test_three_colours_become_a_mosaic_of_what_was_measured(tmp_path: Path) -> None:
    colours = counts(3, (8, 10, 3))
    file = read(write_tiff(tmp_path / "a.tif", colours, photometric="rgb"))
    assert file.header["BAYERPAT"] == "RGGB"
    np.testing.assert_array_equal(file.image[0::2, 0::2], colours[0::2, 0::2, 0])
    np.testing.assert_array_equal(file.image[0::2, 1::2], colours[0::2, 1::2, 1])
    np.testing.assert_array_equal(file.image[1::2, 0::2], colours[1::2, 0::2, 1])
    np.testing.assert_array_equal(file.image[1::2, 1::2], colours[1::2, 1::2, 2])


def test_a_picture_of_8_bits_is_no_frame(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", counts(4).astype(np.uint8))
    with pytest.raises(BrokenFile, match="8 bits: a picture, not a frame"):
        read(path)


# XISF


@pytest.mark.parametrize("codec", [None, "zlib", "lz4", "lz4hc", "zstd"])
def test_xisf(tmp_path: Path, codec: str | None) -> None:
    image = np.sort(counts(5), axis=None).reshape(64, 96)
    path = write_xisf(
        tmp_path / "a.xisf", image, codec, OBJECT="M 31", EXPTIME=180.5, GAIN=100,
        DATE_OBS="2026-11-20T21:45:10.250", IMAGETYP="LIGHT", BAYERPAT="RGGB", BZERO=32768,
    )  # fmt: skip
    file = read_image(path)
    np.testing.assert_array_equal(file.image, image)
    assert "BZERO" not in file.header, "how another file held its pixels"
    frame = frame_from_header(file.header)
    assert (frame.target, frame.exposure_s, frame.gain_setting) == ("M 31", 180.5, 100)
    assert frame.start_utc is not None
    assert frame.start_utc.isoformat() == "2026-11-20T21:45:10.250000+00:00"
    assert frame.bayer_pattern == "RGGB"
    assert keywords(path)["OBJECT"] == "M 31"


def test_xisf_of_floats_becomes_counts_of_16_bits(tmp_path: Path) -> None:
    image = counts(6)
    path = write_xisf(tmp_path / "a.xisf", (image / 65535).astype(np.float32))
    np.testing.assert_allclose(read(path).image, image, atol=0.01)


def test_xisf_of_three_colours_keeps_its_planes(tmp_path: Path) -> None:
    image = counts(7, (3, 8, 10))
    np.testing.assert_array_equal(read(write_xisf(tmp_path / "a.xisf", image)).image, image)


def test_xisf_in_the_other_byte_order(tmp_path: Path) -> None:
    image = counts(8)
    path = write_xisf(tmp_path / "a.xisf", image.byteswap())
    # As long as what it takes the place of, so that all else stays where it is.
    content = path.read_bytes()
    old, new = b'sampleFormat="UInt16"', b'sampleFormat="UInt16" byteOrder="big"'
    head = content[16 : content.index(b"</xisf>") + 7].replace(old, new)
    assert len(head) < 4000, "the pixels begin at 4096"
    path.write_bytes(content[:8] + len(head).to_bytes(4, "little") + bytes(4)
                     + head.ljust(4096 - 16, b"\0") + content[4096:])  # fmt: skip
    np.testing.assert_array_equal(read(path).image, image)


def test_xisf_properties_serve_where_there_are_no_fits_keywords(tmp_path: Path) -> None:
    path = tmp_path / "a.xisf"
    header = (
        b'<?xml version="1.0"?><xisf version="1.0" xmlns="http://www.pixinsight.com/xisf">'
        b'<Image geometry="2:2:1" sampleFormat="UInt16" location="attachment:4096:8">'
        b'<Property id="Instrument:ExposureTime" type="Float32" value="30"/>'
        b'<Property id="Observation:Time:Start" type="TimePoint" value="2026-11-20T21:00:00Z"/>'
        b'<Property id="Observation:Object:Name" type="String">M 42</Property>'
        b'<ColorFilterArray pattern="GRBG" width="2" height="2"/></Image></xisf>'
    )
    path.write_bytes(b"XISF0100" + len(header).to_bytes(4, "little") + bytes(4)
                     + header.ljust(4080, b"\0") + bytes(8))  # fmt: skip
    assert keywords(path) == {
        "EXPTIME": "30", "DATE-OBS": "2026-11-20T21:00:00", "OBJECT": "M 42", "BAYERPAT": "GRBG",
    }  # fmt: skip


IMAGE = (
    b'<xisf xmlns="http://www.pixinsight.com/xisf"><Image geometry="%s" sampleFormat="%s" '
    b'location="attachment:%s"/></xisf>'
)


@pytest.mark.parametrize(
    "header",
    [
        b"no xml at all",
        b'<xisf xmlns="http://www.pixinsight.com/xisf"/>',
        IMAGE % (b"0:2:1", b"UInt16", b"16:0"),
        IMAGE % (b"2:2:1", b"UInt17", b"16:8"),
        IMAGE % (b"2:2:1", b"UInt16", b"sixteen:8"),
    ],
)
def test_a_broken_xisf_header_is_told(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.xisf"
    path.write_bytes(b"XISF0100" + len(header).to_bytes(4, "little") + bytes(4) + header)
    with pytest.raises(BrokenFile):
        keywords(path)
    with pytest.raises(BrokenFile):
        read(path)


def test_a_header_that_defines_entities_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xisf"
    header = b'<!DOCTYPE a [<!ENTITY b "c">]>' + IMAGE % (b"2:2:1", b"UInt16", b"16:8")
    path.write_bytes(b"XISF0100" + len(header).to_bytes(4, "little") + bytes(4) + header)
    with pytest.raises(BrokenFile, match="it defines entities"):
        keywords(path)


# Camera raw


@pytest.mark.parametrize("pattern", ["RGGB", "GBRG", "BGGR"])
def test_dng(tmp_path: Path, pattern: str) -> None:
    image = counts(9)
    file = read_image(write_dng(tmp_path / "a.DNG", image, pattern=pattern, black=512))
    np.testing.assert_array_equal(file.image, image.astype(np.float32) - 512)
    assert file.image.min() < 0, "what lies below the black level stays"
    frame = frame_from_header(file.header)
    assert (frame.bayer_pattern, frame.exposure_s, frame.gain_setting) == (pattern, 30, 800)
    assert (frame.instrument, frame.saturation_adu) == ("Roof cam", 16383 - 512)
    assert frame.start_utc is None, "the camera's clock tells no zone"
    assert file.header["DATE-LOC"] == "2026-11-20T22:15:30"


def test_a_clock_with_its_zone_is_utc(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", counts(1), offset="+01:00")
    assert keywords(path)["DATE-OBS"] == "2026-11-20T21:15:30"


def test_exif_in_the_boxes_of_a_cr3(tmp_path: Path) -> None:
    """The boxes as Canon's cameras have them, each a TIFF of its own; no pixels."""
    tiff = write_dng(tmp_path / "a.dng", counts(1, (2, 2))).read_bytes()
    box = (8 + len(tiff)).to_bytes(4, "big") + b"CMT2" + tiff
    path = tmp_path / "a.cr3"
    path.write_bytes((24).to_bytes(4, "big") + b"ftypcrx " + bytes(12) + box)
    assert keywords(path)["EXPTIME"] == "30"
    assert keywords(path)["GAIN"] == "800"


def test_what_is_no_raw_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.cr2"
    path.write_bytes(b"II*\0" + bytes(4000))
    with pytest.raises(BrokenFile, match="no raw file that can be read"):
        read(path)
