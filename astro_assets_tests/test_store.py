"""Files are there whole or not at all, and images come back as they were."""

import gzip
import multiprocessing
import os
import signal
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astro_assets import store
from astro_assets.errors import BrokenFile
from astro_assets.store import ImageFile, Store, read_image, whole_file, write_image, write_json

SEED = 20261120


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


# Whole or not at all


def test_a_file_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with whole_file(path) as part:
        part.write_text("all of it")
        assert not path.exists()
        assert part.parent == path.parent  # the same disk, so that the rename is one step
        assert part.name.startswith(".")
    assert path.read_text() == "all of it"
    assert tree(tmp_path) == ["new/folder/a.txt"]


@pytest.mark.parametrize("crash", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_crash_leaves_nothing_new_and_the_old_copy(
    tmp_path: Path, crash: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half(path: Path) -> None:
        with whole_file(path) as part:
            part.write_text("half of the n")
            raise crash

    with pytest.raises(crash):
        write_half(path)
    assert path.read_text() == "old"
    assert tree(tmp_path) == ["a.txt"]
    with pytest.raises(crash):
        write_half(tmp_path / "b.txt")
    assert tree(tmp_path) == ["a.txt"]


def test_replace_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"


def test_what_a_killed_writer_left_is_removed_but_not_what_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a[1].txt"

    def killed() -> None:
        with whole_file(path) as part:
            part.write_text("half of the n")
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join()
    assert len(tree(tmp_path)) == 1, "half a part"
    with whole_file(path) as one:
        one.unlink()
        one.write_text("as some libraries do")
        with whole_file(path) as other:
            other.write_text("new")
            assert len(tree(tmp_path)) == 2, "both are being written"
        assert path.read_text() == "new"
    assert tree(tmp_path) == ["a[1].txt"]
    assert path.read_text() == "as some libraries do"


def no_links(path: Path, target: Path) -> None:
    raise PermissionError(1, "Operation not permitted", str(path))


@pytest.mark.parametrize("links", [True, False], ids=["with links", "disk without links"])
def test_without_replace_the_old_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", no_links)
    path = tmp_path / "a.txt"
    with whole_file(path, replace=False) as part:
        part.write_text("old")
    assert path.read_text() == "old"
    assert path.stat().st_nlink == 1
    with pytest.raises(FileExistsError), whole_file(path, replace=False) as part:
        part.write_text("new")
    assert path.read_text() == "old"
    assert tree(tmp_path) == ["a.txt"]


def test_bytes_are_synced_before_the_name_and_the_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "a.txt"
    synced: list[tuple[str, bool]] = []

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name[:5], path.exists()))
        if not is_folder:
            assert os.fstat(descriptor).st_size == 3

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_file(path) as part:
        part.write_text("all")
    assert synced == [(tmp_path.name[:5], False), (".a.tx", False), ("new", True)]


def test_a_full_disk_at_the_sync_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), whole_file(tmp_path / "a.txt") as part:
        part.write_text("all")
    assert tree(tmp_path) == []


@pytest.mark.parametrize("name", ["a" * 250, "é" * 120, "星" * 84])
def test_the_longest_names_that_a_disk_takes(tmp_path: Path, name: str) -> None:
    with whole_file(tmp_path / name) as part:
        part.write_text("x")
    assert tree(tmp_path) == [name]


def test_others_may_read_what_is_published(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("x")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_json_reads_well_and_ends_with_a_line_break(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": "−10 °C", "a": 1})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n "a": 1,\n "b": "−10 °C"\n}\n'


def test_json_that_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert (tmp_path / "a.json").read_text() == '{\n "a": 1\n}\n'
    assert tree(tmp_path) == ["a.json"]


def test_a_known_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert store.sha256_of(tmp_path / "a") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_every_product_has_a_place_of_its_own(tmp_path: Path) -> None:
    at = Store(tmp_path)
    places = [
        at.raw("pi", "s"),
        at.master("pi", "dark", "s"),
        at.master("pi", "flat", "s"),
        at.calibrated("pi", "s"),
        at.solved("pi", "s"),
        at.stacks("pi", "s"),
        at.composite("s"),
        at.report("s"),
        at.quarantine("pi"),
        at.frames_table,
    ]
    assert len(set(places)) == len(places)
    assert all(tmp_path in place.parents for place in places)
    assert at.master("pi", "dark", "2026-11-20_dark_T20_1.5s").name == (
        "2026-11-20_dark_T20_1.5s.fits"
    )


# Images


def image(shape: tuple[int, ...] = (40, 50)) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(SEED).normal(1000, 30, shape).astype(np.float32)


def test_an_image_comes_back_with_mask_planes_and_header(tmp_path: Path) -> None:
    header = fits.Header({"OBJECT": "M31", "EXPTIME": 300.0})
    header.add_history("calibrated")
    mask = np.arange(2000, dtype=np.uint8).reshape(40, 50)
    weight = image() / 1000
    stars = Table({"x": [1.5, 2.5], "flux": np.array([10, 20], np.float32)})
    path = tmp_path / "a.fits"
    write_image(path, ImageFile(image(), header, mask, {"WEIGHT": weight}, {"STARS": stars}))
    back = read_image(path)
    np.testing.assert_array_equal(back.image, image())
    assert back.mask is not None
    np.testing.assert_array_equal(back.mask, mask)
    assert list(back.planes) == ["WEIGHT"]
    np.testing.assert_array_equal(back.planes["WEIGHT"], weight)
    assert (back.header["OBJECT"], back.header["EXPTIME"]) == ("M31", 300.0)
    assert list(back.header["HISTORY"]) == ["calibrated"]
    again = Table.read(path, hdu="STARS")
    assert again["flux"].tolist() == [10, 20]
    assert len(header) == 3  # the caller's own header is as it was


def test_each_part_of_a_product_carries_a_checksum_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    stars = {"STARS": Table({"x": [1.0]})}
    write_image(path, ImageFile(image(), fits.Header(), image().astype(np.uint8), {}, stars))
    with fits.open(path, checksum=True) as hdus:  # a sum that does not hold is a warning
        hdus.verify("exception")
        assert [bool(hdu.data is not None) for hdu in hdus] == [True] * 3
        assert all({"CHECKSUM", "DATASUM"} <= set(hdu.header) for hdu in hdus)
    changed = bytearray(path.read_bytes())
    changed[2880 + 100] ^= 1
    path.write_bytes(changed)
    with pytest.warns(AstropyUserWarning) as caught:
        fits.open(path, checksum=True).close()
    assert any("Datasum verification failed" in str(warning.message) for warning in caught)


def test_a_colour_image_keeps_its_axes(tmp_path: Path) -> None:
    write_image(tmp_path / "c.fits", ImageFile(image((3, 20, 30)), fits.Header()))
    assert read_image(tmp_path / "c.fits").image.shape == (3, 20, 30)


def test_writing_that_fails_keeps_the_old_product(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    write_image(path, ImageFile(image(), fits.Header()))
    with pytest.raises((KeyError, TypeError, ValueError)):
        write_image(path, ImageFile(image().astype(object), fits.Header()))  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_image(path).image, image())
    assert tree(tmp_path) == ["a.fits"]


COUNTS = np.random.default_rng(SEED).integers(0, 65536, (40, 50))


def plain(dtype: str) -> Callable[[Path], object]:
    return lambda path: fits.PrimaryHDU(COUNTS.astype(dtype)).writeto(path)


def scaled(path: Path) -> None:
    hdu = fits.PrimaryHDU(COUNTS.astype(np.float32))
    hdu.scale("int16", bscale=1.0, bzero=32768)
    hdu.writeto(path)


def with_blank(path: Path) -> None:
    stored = (COUNTS - 32768).astype(np.int16)
    hdu = fits.PrimaryHDU(stored, do_not_scale_image_data=True)
    hdu.header.update(BSCALE=1, BZERO=32768, BLANK=-32768)
    hdu.writeto(path)


def packed(**how: Any) -> Callable[[Path], object]:
    return lambda path: fits.HDUList(
        [fits.PrimaryHDU(), fits.CompImageHDU(COUNTS.astype(np.uint16), **how)]
    ).writeto(path)


@pytest.mark.parametrize(
    "write",
    [
        plain(">u2"),
        plain("<u2"),
        plain(">i4"),
        plain(">f4"),
        plain(">f8"),
        plain("<f4"),
        scaled,
        packed(),
        packed(compression_type="GZIP_1", name="SCI"),
        packed(compression_type="RICE_1", tile_shape=(10, 10)),
    ],
    ids=["u16", "u16 little", "i32", "f32", "f64", "f32 little", "scaled", "rice", "gzip", "tiles"],
)
def test_numbers_of_any_kind_become_the_same_float_image(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "a.fits")
    file = read_image(tmp_path / "a.fits")
    assert file.image.dtype == np.dtype(np.float32)
    assert file.image.dtype.isnative
    assert file.image.flags["C_CONTIGUOUS"]
    assert file.image.flags["WRITEABLE"]
    np.testing.assert_array_equal(file.image, COUNTS)
    # Written on, the values must not be scaled a second time.
    write_image(tmp_path / "b.fits", file)
    np.testing.assert_array_equal(read_image(tmp_path / "b.fits").image, COUNTS)


def test_blank_pixels_are_nan_also_when_written_on(tmp_path: Path) -> None:
    with_blank(tmp_path / "a.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = read_image(tmp_path / "a.fits")
        write_image(tmp_path / "b.fits", file)
        again = read_image(tmp_path / "b.fits")
    expected = np.where(COUNTS == 0, np.nan, COUNTS)
    np.testing.assert_array_equal(file.image, expected)
    np.testing.assert_array_equal(again.image, expected)


# Broken files


def cards(*lines: str) -> bytes:
    return "".join(line.ljust(80) for line in (*lines, "END")).ljust(2880).encode()


SIMPLE = "SIMPLE  =                    T"


def good(tmp_path: Path) -> bytes:
    path = tmp_path / "good.fits"
    fits.PrimaryHDU(image((100, 100))).writeto(path, overwrite=True)
    return path.read_bytes()


def squeezed(tmp_path: Path) -> bytes:
    path = tmp_path / "squeezed.fits"
    packed()(path)
    return path.read_bytes()


def spoilt(content: bytes, at: slice, by: bytes) -> bytes:
    changed = bytearray(content)
    changed[at] = by
    return bytes(changed)


BROKEN: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda _: b"",
    "a web page": lambda _: b"<html><body>Please log in</body></html>" * 200,
    "cut in the header": lambda folder: good(folder)[:1000],
    "cut in the data": lambda folder: good(folder)[: 2880 + 20000],
    "no image": lambda _: cards(SIMPLE, "BITPIX  = 8", "NAXIS   = 0"),
    "no pixels": lambda _: cards(
        SIMPLE, "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 9"
    ),
    "more pixels than any disk": lambda _: cards(
        SIMPLE, "BITPIX  = -32", "NAXIS   = 2", "NAXIS1  = 100000000", "NAXIS2  = 100000000"
    ),
    "zeros": lambda _: bytes(28800),
    "packed and cut": lambda folder: squeezed(folder)[:9000],
    "packed and spoilt": lambda folder: spoilt(
        squeezed(folder), slice(8700, 11000), b"\xa5" * 2300
    ),
    "gzip that is spoilt": lambda folder: spoilt(
        gzip.compress(good(folder), mtime=0), slice(20, 120), b"\xa5" * 100
    ),
    "gzip that is cut": lambda folder: gzip.compress(good(folder), mtime=0)[:5000],
}


@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
@pytest.mark.parametrize("fault", list(BROKEN))
def test_a_broken_file_is_named(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "night" / "M31-001.fits"
    path.parent.mkdir()
    path.write_bytes(BROKEN[fault](tmp_path))
    with pytest.raises(BrokenFile, match=r"night/M31-001\.fits .* (take|look)"):
        read_image(path)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match=r"gone\.fits"):
        read_image(tmp_path / "gone.fits")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write", [plain(">i2"), packed()], ids=["plain", "packed"])
def test_random_damage_is_read_or_refused_and_nothing_else(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    path = tmp_path / "a.fits"
    write(path)
    content = path.read_bytes()
    random = np.random.default_rng(SEED)
    refused = 0
    for _ in range(150):
        changed = np.frombuffer(content, np.uint8).copy()
        changed[random.integers(0, len(changed), 20)] = random.integers(0, 256, 20)
        path.write_bytes(changed[: random.integers(1, len(changed))].tobytes())
        try:
            read_image(path)
        except BrokenFile:
            refused += 1
    assert refused > 50
