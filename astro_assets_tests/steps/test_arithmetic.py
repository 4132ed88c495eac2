"""`astro-assets imarith` on the files that people have."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner, Result

from astro_assets.cli import main
from astro_assets.imaging.mask import MaskBit
from astro_assets.steps.provenance import is_current

SHAPE = (20, 30)
RAW = np.random.default_rng(2).integers(0, 65535, SHAPE).astype(np.uint16)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["imarith", *(str(word) for word in words)])


def done(*words: object) -> fits.HDUList:
    result = run(*words)
    assert result.exit_code == 0, result.output
    out = Path(str(next(w for w in reversed(words) if not str(w).startswith("--"))))
    with fits.open(out, checksum=True) as hdus:
        return fits.HDUList([hdu.copy() for hdu in hdus])


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Unsigned 16 bits, that is BZERO = 32768."""
    path = tmp_path / "raw.fits"
    header = fits.Header({"BUNIT": "ADU", "OBJECT": "M 31", "AAPROV": "of a product"})
    fits.PrimaryHDU(RAW, header).writeto(path)
    return path


def test_integer_images(raw: Path, tmp_path: Path) -> None:
    """AstroPhotography's image arithmetic fails on integer images."""
    second = tmp_path / "second.fits"
    fits.PrimaryHDU(RAW // 2).writeto(second)
    for operation, expected in {
        "ADD": RAW.astype(float) + RAW // 2,
        "SUB": (RAW // 2).astype(float) - RAW,
        "MUL": RAW.astype(float) * (RAW // 2),
    }.items():
        words = (second, raw) if operation == "SUB" else (raw, second)
        out = done(words[0], operation, words[1], tmp_path / f"{operation}.fits")
        np.testing.assert_array_equal(out[0].data, expected.astype(np.float32))
        assert out[0].header["BITPIX"] == -32
        assert "BZERO" not in out[0].header


def test_division_by_zero_is_masked(raw: Path, tmp_path: Path) -> None:
    flat = np.ones(SHAPE, np.int16)
    flat[3, 4] = 0
    fits.PrimaryHDU(flat).writeto(tmp_path / "flat.fits")
    out = done(raw, "/", tmp_path / "flat.fits", tmp_path / "out.fits")
    assert out["MASK"].data[3, 4] == MaskBit.NO_DATA
    assert np.count_nonzero(out["MASK"].data) == 1
    assert np.isnan(out[0].data[3, 4])
    assert np.isfinite(out[0].data).sum() == out[0].data.size - 1


def test_numbers_on_either_side_also_below_zero(raw: Path, tmp_path: Path) -> None:
    np.testing.assert_allclose(
        done(raw, "MUL", "-1.5", tmp_path / "a.fits")[0].data, RAW * -1.5, rtol=1e-7
    )
    np.testing.assert_allclose(done("-3", "+", raw, tmp_path / "b.fits")[0].data, RAW - 3.0)
    np.testing.assert_allclose(done(raw, "-", "-3", tmp_path / "c.fits")[0].data, RAW + 3.0)


def test_header_units_and_history(raw: Path, tmp_path: Path) -> None:
    second = tmp_path / "s.fits"
    fits.PrimaryHDU(RAW, fits.Header({"BUNIT": "electrons/ADU"})).writeto(second)
    (out, *_) = done(raw, "MUL", second, tmp_path / "out.fits")
    assert out.header["BUNIT"] == "electron"
    assert out.header["OBJECT"] == "M 31"
    assert any("raw.fits" in line and "MUL" in line for line in out.header["HISTORY"])
    assert not is_current(tmp_path / "out.fits", "of a product")


def test_masks_and_variances_go_along(raw: Path, tmp_path: Path) -> None:
    frame = tmp_path / "frame.fits"
    mask = np.zeros(SHAPE, np.uint8)
    mask[2, 2] = MaskBit.USER
    fits.HDUList(
        [
            fits.PrimaryHDU(np.full(SHAPE, 8.0, np.float32), fits.Header({"BUNIT": "e-"})),
            fits.ImageHDU(mask, name="MASK"),
            fits.ImageHDU(np.full(SHAPE, 4.0, np.float32), name="VARIANCE"),
            fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])], name="STARS"),
        ]
    ).writeto(frame)
    result = run(frame, "DIV", "2", tmp_path / "half.fits")
    assert "left out: STARS" in result.output
    with fits.open(tmp_path / "half.fits") as out:
        assert out["MASK"].data[2, 2] == MaskBit.USER
        assert (out["VARIANCE"].data == 1).all()
        assert (out[0].data == 4).all()
        assert out[0].header["BUNIT"] == "electron"
        assert [hdu.name for hdu in out] == ["PRIMARY", "MASK", "VARIANCE"]


def test_parts_by_name_and_number_cubes_and_packed_files(tmp_path: Path) -> None:
    several = tmp_path / "several.fits"
    fits.HDUList(
        [
            fits.PrimaryHDU(header=fits.Header({"DATE-OBS": "2026-11-20T20:00:00"})),
            fits.ImageHDU(np.full((3, *SHAPE), 2, ">i4"), name="SCI"),
            fits.ImageHDU(np.full((3, *SHAPE), 5, np.int16), name="WHT"),
        ]
    ).writeto(several)
    out = done(several, "ADD", 1, tmp_path / "first.fits")
    assert out[0].data.shape == (3, *SHAPE)
    assert (out[0].data == 3).all()
    assert out[0].header["DATE-OBS"].startswith("2026")
    both = done(f"{several}[sci]", "MUL", f"{several}[2]", tmp_path / "both.fits")
    assert (both[0].data == 10).all()
    packed = tmp_path / "packed.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(RAW)]).writeto(packed)
    np.testing.assert_array_equal(done(packed, "ADD", 0, tmp_path / "p.fits")[0].data, RAW)


def test_blank_pixels_have_no_data(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.int16).reshape(3, 4)
    fits.PrimaryHDU(values, fits.Header({"BLANK": 5})).writeto(tmp_path / "a.fits")
    out = done(tmp_path / "a.fits", "ADD", 1, tmp_path / "out.fits")
    assert np.argwhere(out["MASK"].data).tolist() == [[1, 1]]
    assert "BLANK" not in out[0].header


def test_refusals_are_sentences_and_write_nothing(raw: Path, tmp_path: Path) -> None:
    small, out = tmp_path / "small.fits", tmp_path / "out.fits"
    fits.PrimaryHDU(RAW[:5], fits.Header({"BUNIT": "electron"})).writeto(small)
    fits.PrimaryHDU(RAW, fits.Header({"BUNIT": "electron"})).writeto(tmp_path / "e.fits")
    (tmp_path / "text.fits").write_text("no image")
    for words, sentence in {
        (raw, "SUB", small): "raw.fits has 30 × 20 pixels and small.fits 30 × 5",
        (raw, "SUB", tmp_path / "e.fits"): "is in adu and e.fits in electron",
        (raw, "SUB", tmp_path / "none.fits"): "no such file",
        (raw, "SUB", tmp_path / "text.fits"): "is no FITS file",
        (raw, "POW", 2): "there is no operation 'POW'",
        (raw, "SUB", f"{raw}[SCI]"): "no image of the name SCI",
        (raw, "SUB", "nan"): "no number to calculate with",
    }.items():
        result = run(*words, out)
        assert result.exit_code == 1
        assert sentence in result.output
        assert not out.exists()
    assert not list(tmp_path.glob(".*part"))


def test_a_file_that_is_there_is_kept_unless_asked(raw: Path, tmp_path: Path) -> None:
    before = raw.read_bytes()
    refused = run(raw, "ADD", 1, raw)
    assert (refused.exit_code, raw.read_bytes()) == (1, before)
    assert "--overwrite" in refused.output
    np.testing.assert_array_equal(done(raw, "ADD", 1, raw, "--overwrite")[0].data, RAW + 1.0)


def test_the_command_itself(raw: Path, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("astro-assets")
    told = subprocess.run(
        [command, "imarith", raw, "SUB", "-2.5", tmp_path / "out.fits"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "600 pixels in adu" in told.stdout
