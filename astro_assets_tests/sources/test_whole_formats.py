"""XISF and camera raw count only when they are whole; their decoders run where they may die."""

import hashlib
import re
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from astro_assets.errors import BrokenFile
from astro_assets.sources.verify import verify
from astro_assets_tests.formats.files import counts, write_dng, write_xisf


def test_whole_files_are_let_through(tmp_path: Path) -> None:
    assert verify(write_xisf(tmp_path / "a.xisf", counts(1)), "n/a.XISF") is False
    assert verify(write_xisf(tmp_path / "b.xisf", counts(1), "zstd"), "n/b.xisf") is False
    assert verify(write_dng(tmp_path / "a.dng", counts(1)), "n/a.DNG") is False


def test_a_part_without_an_ending_is_judged_by_its_far_name(tmp_path: Path) -> None:
    part = write_dng(tmp_path / "download.part", counts(1))
    assert verify(part, "IMG_1.DNG") is False
    with pytest.raises(BrokenFile, match=r"n/a.xisf is no XISF file"):
        verify(part, "n/a.xisf")


@pytest.mark.parametrize("kept", [1, 8, 1000, 0.5, -1])
@pytest.mark.parametrize("ending", ["xisf", "dng"])
def test_cut_files(tmp_path: Path, ending: str, kept: float) -> None:
    write = write_xisf if ending == "xisf" else write_dng
    path = write(tmp_path / f"a.{ending}", counts(1, (300, 400)))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else int(kept)])
    told = "is cut" if kept in (0.5, -1) else ""
    with pytest.raises(BrokenFile, match=rf"^n/a.{ending} .*{told}"):
        verify(path, f"n/a.{ending}")


def test_a_raw_file_whose_pixels_make_no_sense_is_found(tmp_path: Path) -> None:
    """All is in its place, but the mosaic is not packed as its directory says."""
    path = write_dng(tmp_path / "a.dng", counts(1))
    plain, packed = (struct.pack("<HHIHH", 259, 3, 1, form, 0) for form in (1, 7))
    content = path.read_bytes()
    assert plain in content
    path.write_bytes(content.replace(plain, packed))
    with pytest.raises(BrokenFile, match=r"^a.dng (cannot be decoded|crashes its decoder)"):
        verify(path, "a.dng")


def with_header(path: Path, change: tuple[str, str]) -> Path:
    """The XISF file with something changed in its header, as long as it fits."""
    content = path.read_bytes()
    end = content.index(b"</xisf>") + 7
    head = content[16:end].replace(change[0].encode(), change[1].encode(), 1)
    assert head != content[16:end]
    assert len(head) < 4000
    path.write_bytes(content[:8] + len(head).to_bytes(4, "little") + bytes(4)
                     + head.ljust(4096 - 16, b"\0") + content[4096:])  # fmt: skip
    return path


def test_a_checksum_vouches_or_refuses(tmp_path: Path) -> None:
    image = counts(2)
    good = hashlib.sha1(image.tobytes(), usedforsecurity=False).hexdigest()
    wrong = hashlib.sha1(b"other", usedforsecurity=False).hexdigest()
    for stated, holds in ((good, True), (wrong, False)):
        path = write_xisf(tmp_path / "a.xisf", image)
        with_header(path, ("<Image ", f'<Image checksum="sha-1:{stated}" '))
        if holds:
            assert verify(path, "a.xisf") is True
        else:
            with pytest.raises(BrokenFile, match="does not agree with its checksum"):
                verify(path, "a.xisf")


def test_a_bomb_is_seen_before_it_is_unpacked(tmp_path: Path) -> None:
    image = np.zeros((2000, 2000), np.uint16)
    path = write_xisf(tmp_path / "a.xisf", image, "zlib")
    header = path.read_bytes()[16:4096].decode("latin-1")
    geometry = re.search(r'geometry="[^"]+"', header)
    assert geometry is not None
    with_header(path, (geometry[0], 'geometry="200000:200000:1"'))
    start = time.perf_counter()
    with pytest.raises(BrokenFile, match="would swell"):
        verify(path, "a.xisf")
    assert time.perf_counter() - start < 5


def test_pixels_that_cannot_be_unpacked_are_found(tmp_path: Path) -> None:
    path = write_xisf(tmp_path / "a.xisf", np.sort(counts(3), axis=None).reshape(64, 96), "zstd")
    content = bytearray(path.read_bytes())
    content[4096:4104] = bytes(8)
    path.write_bytes(content)
    with pytest.raises(BrokenFile, match=r"a.xisf cannot be decoded"):
        verify(path, "a.xisf")
