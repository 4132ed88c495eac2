"""gzip and bzip2: read as what they hold, within bounds, and only if they are whole."""

import bz2
import gzip
import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets import packed
from astro_assets.errors import BrokenFile
from astro_assets.packed import Unpacked, is_packed
from astro_assets.sources.verify import verify
from astro_assets.store import read_image
from astro_assets_tests.sources.conftest import frame, put

PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress}
CONTENT = bytes(range(256)) * 5000
MB = 2**20


@pytest.fixture(params=PACKERS)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_packed_file_is_a_stream(tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path / "a", PACKERS[suffix](CONTENT))
    assert is_packed(path)
    with Unpacked(path, "a") as stream:
        assert stream.read(7) == CONTENT[:7]
        assert stream.seek(1_000_000) == 1_000_000
        stream.copy_to(copy := io.BytesIO())
        assert copy.getvalue() == CONTENT[1_000_000:]
        assert stream.seek(9_000_000) == len(CONTENT), "not beyond its end"
    assert not is_packed(put(tmp_path / "b", b"SIMPLE"))
    assert not is_packed(put(tmp_path / "c", b""))


def test_any_damage_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    content_of_all = np.random.default_rng(1).bytes(5000)
    whole = PACKERS[suffix](content_of_all)
    for at in (*range(0, 200, 7), *range(3000, len(whole), 97), len(whole) - 1):
        damaged = whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :]
        for content in (damaged, whole[:at]):
            path = put(tmp_path / "a", content)
            if not is_packed(path):
                continue
            with Unpacked(path, "a.fits") as stream:
                copy = io.BytesIO()
                with suppress(BrokenFile):
                    stream.copy_to(copy)
                    assert copy.getvalue() == content_of_all, "damage that changed nothing"


def test_a_bomb_is_stopped_at_its_bound(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "FREE_BYTES", 3 * MB)
    path = put(tmp_path / "a", PACKERS[suffix](bytes(20 * MB)))
    with Unpacked(path, "a.fits") as stream, pytest.raises(BrokenFile, match="would swell from"):
        stream.copy_to(io.BytesIO())


@pytest.mark.parametrize("name", ["a.fits", "A.FIT", "a.fts"])
def test_packed_frames_are_verified_and_read(tmp_path: Path, suffix: str, name: str) -> None:
    content = PACKERS[suffix](frame(3, OBJECT="M 31"))
    path = put(tmp_path / f"{name}.{suffix}", content)
    assert verify(path, path.name) is True, "the packer's checksum vouches for it"
    assert path.read_bytes() == content
    image = read_image(path)
    pixels = fits.HDUList.fromstring(frame(3, OBJECT="M 31"))[0].data
    assert np.array_equal(image.image, pixels.astype("f4"))
    assert image.header["OBJECT"] == "M 31"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (frame(1)[:-2880], "is cut before it was packed"),
        (frame(1)[:2000], "cut within its header"),
        (frame(1) + b"tail", "behind its end"),
        (b"<html>log in</html>", "no FITS"),
        (frame(1, checksum=True)[:4000] + b"\x01" + frame(1, checksum=True)[4001:], "DATASUM"),
    ],
)
def test_broken_frames_in_packs(tmp_path: Path, suffix: str, content: bytes, reason: str) -> None:
    path = put(tmp_path / f"a.fits.{suffix}", PACKERS[suffix](content))
    with pytest.raises(BrokenFile, match=reason):
        verify(path, path.name)


def test_a_frame_that_is_not_packed_as_its_name_says(tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path / f"a.fits.{suffix}", frame(1))
    with pytest.raises(BrokenFile, match="is cut or damaged"):
        verify(path, path.name)


def test_nothing_but_fits_reaches_astropy(tmp_path: Path) -> None:
    for content in (b"PK\x03\x04", b"\xfd7zXZ\x00", b"\x1f\x9d", b"<html>"):
        with pytest.raises(BrokenFile, match="is no FITS file"):
            read_image(put(tmp_path / "a.fits", content))


def header(**axes: int) -> bytes:
    cards = fits.Header([("SIMPLE", True), ("BITPIX", -64), ("NAXIS", 2)])
    cards.update({"NAXIS1": axes["n"], "NAXIS2": axes["n"]})
    return cards.tostring().encode()


def swollen(packer: Any, start: bytes, zeros: int) -> bytes:
    """``start`` and then zeros, packed."""
    file = io.BytesIO()
    with packer.open(file, "wb", compresslevel=1) as stream:
        stream.write(start)
        for _ in range(zeros // MB):
            stream.write(bytes(MB))
    return file.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros.fits.gz": lambda: swollen(gzip, b"", 1024 * MB),
    "zeros.fits.bz2": lambda: bz2.compress(bytes(10**8), 1) * 10,
    "frame-and-zeros.fits.gz": lambda: swollen(gzip, frame(1), 1024 * MB),
    "frame-and-zeros.fits.bz2": lambda: swollen(bz2, frame(1), 128 * MB) * 8,
    "announced.fits.gz": lambda: swollen(gzip, header(n=200_000), 1024 * MB),
    "held.fits.gz": lambda: swollen(gzip, header(n=11_000), 1024 * MB),
    "plain.fits": lambda: header(n=200_000),
}
MEASURE = """
import sys, time
from pathlib import Path
from astro_assets.errors import BrokenFile
from astro_assets.sources.verify import verify
from astro_assets.store import read_image
path = Path(sys.argv[1])
for check in (lambda: verify(path, path.name), lambda: read_image(path)):
    start = time.process_time()
    try:
        check()
        reason = "taken"
    except BrokenFile as error:
        reason = error
    print(time.process_time() - start)
    print(reason)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(tmp_path: Path, name: str) -> None:
    """To be checked, and to be read all the same: five seconds and 512 MB are the figures."""
    path = put(tmp_path / name, BOMBS[name]())
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    check_s, reason, read_s, read, peak_kb = run.stdout.splitlines()
    for word in ("would swell", "is no FITS file", "is cut", "zeros where"):
        if word in reason:
            break
    else:
        pytest.fail(f"{name}: {reason}")
    assert read != "taken"
    assert float(check_s) + float(read_s) < 5
    assert int(peak_kb) < 512 * 1024
