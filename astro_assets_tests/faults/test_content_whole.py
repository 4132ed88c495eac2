"""Frames that are not whole are set aside with their bytes and a reason; the others land."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.sources import decoding
from astro_assets.sources.manifest import Manifest
from astro_assets_tests.faults.far import Far
from astro_assets_tests.faults.lying_ftp import Lies, lying_ftp
from astro_assets_tests.faults.matrix import Cell, cells
from astro_assets_tests.sources.conftest import frame, job, put, zipped

GOOD = frame(1)
WHOLE = frame(2, checksum=True)


def assert_set_aside(far: Far, cell: Cell, bad: bytes, name: str = "bad.fits") -> str:
    """``bad`` goes into quarantine as it came, and a good frame beside it lands."""
    if far.name == "telescope_org":
        far.put(name, bad)
        served, path, beside = None, far.job, {}  # type: ignore[attr-defined]
    else:
        beside = {far.put("good.fits", GOOD): GOOD}
        served, path = bad, far.put(name, bad)
    outcome = far.fetch()
    assert outcome.published == beside
    assert set(outcome.quarantined) == {path}
    assert not outcome.failures
    if served is not None:
        assert far.kept() == [served]
    else:
        assert len(far.kept()) == 1, "the archive as it came"
    reason = outcome.quarantined[path]
    cell.saw(f"quarantined: {reason.partition(name)[2].strip(': ')}")
    return reason


@cells(7, "FV", "Q")
def test_more_bytes_than_listed(far: Far, cell: Cell, tmp_path: Path) -> None:
    paths = [far.put("good.fits", GOOD), far.put("more.fits", WHOLE)]
    with lying_ftp(far, tmp_path / "ftp", Lies(hidden_bytes=100)):
        cell.server = far.server
        outcome = far.fetch()
    assert outcome.published == {}
    assert set(outcome.quarantined) == set(paths)
    assert sorted(far.kept()) == sorted([GOOD, WHOLE])
    assert not outcome.failures
    cell.saw("quarantined: sends 8640 bytes where 8540 are listed")
    assert all("bytes where" in reason for reason in outcome.quarantined.values())


@cells(7, "S", "Q")
def test_more_bytes_than_the_manifest_says(far: Far, cell: Cell) -> None:
    good = far.put("good.fits", GOOD)
    more = far.put("more.fits", WHOLE, size=len(WHOLE) - 100)  # type: ignore[call-arg]
    outcome = far.fetch()
    assert outcome.published == {good: GOOD}
    assert set(outcome.quarantined) == {more}
    assert far.kept() == [WHOLE]
    assert not outcome.failures
    cell.saw(f"quarantined: {outcome.quarantined[more].partition('more.fits')[2].strip()}")


@cells(16, "FVS", "99 land")
def test_a_poisoned_file_among_a_hundred(far: Far, cell: Cell) -> None:
    good = {far.put(f"{n:03d}.fits", frame(n)): frame(n) for n in range(99)}
    bad = far.put("050-bad.fits", WHOLE[:-2880])
    outcome = far.fetch()
    assert outcome.published == good
    assert set(outcome.quarantined) == {bad}
    assert not outcome.failures
    cell.saw(f"{len(outcome.published)} of 99 landed, 1 in quarantine")


@cells(16, "H", "99 land")
def test_a_poisoned_job_among_a_hundred(far: Far, cell: Cell) -> None:
    jobs = range(900_000, 900_100)
    for jid in jobs:
        content = WHOLE[:-2880] if jid == 900_050 else frame(jid)
        put(far.served / str(jid) / "R.fits", content)
    put(far.served / "jobs.json", json.dumps([job(jid, jid) for jid in jobs]))
    outcome = far.fetch()
    assert set(outcome.quarantined) == {"900050.zip"}
    assert sorted(outcome.published.values()) == sorted(
        frame(jid) for jid in jobs if jid != 900_050
    )
    assert not outcome.failures
    cell.saw(f"{len(outcome.published)} of 99 landed, 1 in quarantine")


CUTS: dict[str, tuple[bytes, str]] = {
    "in its header": (frame(3)[:1000], "cut within its header"),
    "by half": (frame(3)[: len(frame(3)) // 2], "is cut"),
    "in its padding": (frame(3)[:-100], "is cut"),
    "by a block": (frame(3)[:-2880], "is cut"),
    "to nothing": (b"", "is empty"),
}


@cells(36, "FVHS", "Q")
@pytest.mark.parametrize("cut", CUTS)
def test_a_cut_frame(far: Far, cell: Cell, cut: str) -> None:
    content, reason = CUTS[cut]
    assert reason in assert_set_aside(far, cell, content)


@cells(37, "FVHS", "Q")
@pytest.mark.parametrize("where_wrong", ["pixels", "header"])
def test_a_wrong_checksum(far: Far, cell: Cell, where_wrong: str) -> None:
    bad = bytearray(WHOLE)
    at = 5000 if where_wrong == "pixels" else WHOLE.index(b"conforms to FITS")
    bad[at] ^= 1
    word = "DATASUM" if where_wrong == "pixels" else "CHECKSUM"
    assert word in assert_set_aside(far, cell, bytes(bad))


def vouched(manifests: list[Manifest]) -> dict[str, bool]:
    return {
        Path(file.path).name.removeprefix("calibrated-"): file.checksum_verified
        for manifest in manifests
        for record in manifest.records
        for file in record.files
    }


@cells(37, "FVHS", "published, and marked as unverified where there is none")
def test_an_absent_checksum_is_told(far: Far, cell: Cell) -> None:
    contents = {far.put("with.fits", WHOLE): WHOLE, far.put("without.fits", GOOD): GOOD}
    outcome = far.fetch()
    assert outcome.published == contents
    assert vouched(outcome.manifests) == {"with.fits": True, "without.fits": False}
    cell.saw("published; the manifest tells that no checksum vouches for it")


def holed(content: bytes, start: int, length: int) -> bytes:
    return content[:start] + bytes(length) + content[start + length :]


def large(dtype: str) -> bytes:
    pixels = np.random.default_rng(38).normal(1000, 30, (700, 900)).astype(dtype)
    file = io.BytesIO()
    fits.PrimaryHDU(pixels).writeto(file)
    return file.getvalue()


@cells(38, "FVHS", "Q by its long run of zeros")
@pytest.mark.parametrize("dtype", ["u2", "i2", "f4"])
def test_a_hole_of_zeros(far: Far, cell: Cell, dtype: str) -> None:
    bad = holed(large(dtype), 500_000, 100_000)
    reason = assert_set_aside(far, cell, bad)
    assert "has a hole: 100000 bytes from byte 500000 on are zero" in reason


@cells(38, "F", "Q by its long run of zeros")
def test_a_hole_within_an_archive(far: Far, cell: Cell) -> None:
    """What was broken before it was packed; the archive itself is whole."""
    bad = zipped({"calibrated-a.fit": holed(large("u2"), 500_000, 100_000)})
    path = far.put("a.fit.zip", bad)
    outcome = far.fetch()
    assert outcome.published == {}
    assert "has a hole" in outcome.quarantined[path]
    assert far.kept() == [bad]
    cell.saw("in an archive that is whole itself: quarantined, a hole of zeros")


@cells(38, "V", "Q by its long run of zeros")
def test_a_block_of_a_disk_that_is_lost(far: Far, cell: Cell) -> None:
    reason = assert_set_aside(far, cell, holed(large("u2"), 100 * 4096, 4096))
    assert "has a hole: 4096 bytes" in reason


@cells(38, "FVHS", "black by nature is published")
def test_black_frames_are_no_holes(far: Far, cell: Cell) -> None:
    sky = np.random.default_rng(1).normal(1000, 30, (700, 900)).astype("u2")
    lines = np.arange(700)[:, None]
    contents = {}
    for number, pixels in enumerate(
        (sky * 0, np.where(lines < 200, 0, sky), np.where(abs(lines - 300) < 99, 0, sky))
    ):
        for dtype in ("u2", "i2", "f4"):
            file = io.BytesIO()
            fits.PrimaryHDU(pixels.astype(dtype)).writeto(file)
            contents[far.put(f"{number}-{dtype}.fits", file.getvalue())] = file.getvalue()
    outcome = far.fetch()
    assert outcome.published == contents
    assert not outcome.quarantined
    cell.saw(f"{len(contents)} of {len(contents)} published")


def deadly() -> bytes:
    """A real fpacked frame, one number in its header changed: cfitsio's code reads far outside."""
    file = io.BytesIO()
    pixels = np.random.default_rng(1).normal(100, 20, (60, 100)).astype("f4")
    hdu = fits.CompImageHDU(pixels, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    content = file.getvalue()
    at = content.index(b"ZVAL2   =")
    return content[: at + 10] + b"1000000".rjust(20) + content[at + 30 :]


@cells(39, "FVHS", "the child dies, the parent Qs")
def test_a_frame_that_crashes_its_decoder(far: Far, cell: Cell) -> None:
    assert "crashes its decoder (SIG" in assert_set_aside(far, cell, deadly(), "bad.fits.fz")


@cells(39, "FVHS", "the child is killed, the parent Qs")
def test_a_frame_that_keeps_its_decoder_busy(
    far: Far, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time at all is too little for any."""
    monkeypatch.setattr(decoding, "WALL_S", 0.0)
    file = io.BytesIO()
    hdu = fits.CompImageHDU(np.arange(400, dtype="i2").reshape(20, 20))
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(file)
    reason = assert_set_aside(far, cell, file.getvalue(), "bad.fits.fz")
    assert "takes longer than 0 s to decode" in reason
