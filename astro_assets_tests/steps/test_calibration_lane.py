"""Frames as they come, through masters and calibration: odd FITS, overscan, ready-made masters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from astro_assets.errors import Unusable
from astro_assets.frame import FrameKind
from astro_assets.imaging.zero_level import Zero, zero_level
from astro_assets.steps.masters import make_master
from astro_assets.steps.matching import read_master_header
from astro_assets.store import Store
from astro_assets_tests.steps.raw_files import CAMERA, NIGHT, SHAPE, Lane, ready_made

BIAS, DARK, FLAT = FrameKind.BIAS, FrameKind.DARK, FrameKind.FLAT
SKY, LEVEL = 500.0, 1000.0


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    lane = Lane(Store(tmp_path))
    lane.master(BIAS, LEVEL)
    return lane


def median(lane: Lane, name: str) -> float:
    return float(np.median(lane.product(name).image))


def header(**cards: Any) -> fits.Header:
    stated = {"IMAGETYP": "Light Frame", "EXPTIME": 300.0, "DATE-OBS": f"{NIGHT}T22:00:00"}
    return fits.Header(CAMERA | stated | cards)


# Odd but legal


def hdus(pixels: NDArray[Any], **cards: Any) -> fits.HDUList:
    return fits.HDUList([fits.PrimaryHDU(pixels, header(**cards))])


def scaled(pixels: NDArray[np.float64]) -> fits.HDUList:
    hdu = fits.PrimaryHDU(pixels.astype(np.float32), header())
    hdu.scale("int16", bscale=0.25, bzero=1500.0)
    return fits.HDUList([hdu])


def understood(counts: NDArray[np.float64]) -> dict[str, fits.HDUList]:
    whole = counts.round()
    thumbnail = fits.ImageHDU(np.zeros((4, 4), np.uint8), name="THUMB")
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=[1])])
    return {
        "big-endian-floats": hdus(whole.astype(">f4")),
        "doubles": hdus(whole.astype(np.float64)),
        "signed-16-bit": hdus(whole.astype(np.int16)),
        "long-integers": hdus(whole.astype(np.int32)),
        "bscale-bzero": scaled(whole),
        "one-plane-cube": hdus(whole.astype(np.uint16)[np.newaxis]),
        "shares-of-one": hdus((whole / 65535).astype(np.float32)),
        "second-hdu": fits.HDUList(
            [fits.PrimaryHDU(), fits.ImageHDU(whole.astype(np.uint16), header())]
        ),
        "with-thumbnail": fits.HDUList(
            [fits.PrimaryHDU(whole.astype(np.uint16), header()), thumbnail, table]
        ),
        "exposure-as-fraction": hdus(whole.astype(np.uint16), EXPTIME="600/2"),
        "no-date": hdus(whole.astype(np.uint16), **{"DATE-OBS": ""}),
        "ra-in-hours": hdus(whole.astype(np.uint16), RA="00 42 44", DEC="+41 16 09"),
        "ra-in-degrees": hdus(whole.astype(np.uint16), RA=10.684, DEC=41.269),
        "compressed": fits.HDUList(
            [fits.PrimaryHDU(), fits.CompImageHDU(whole.astype(np.uint16), header())]
        ),
    }


def test_odd_but_legal_frames_are_calibrated_as_plain_ones_are(lane: Lane) -> None:
    lane.master(DARK, LEVEL + 60, EXPTIME=300.0)
    frames = understood(lane.noise(LEVEL + 60 + SKY))
    summary = lane.lights(frames)
    assert summary.figures["unusable"] == "none"
    assert summary.figures["calibrated"] == len(frames)
    for name in frames:
        product = lane.product(name)
        assert median(lane, name) == pytest.approx(SKY, abs=1), name
        assert product.header["CALSTAT"] == "BD", name
        if name.startswith("ra-in"):
            assert product.header["RA"] == pytest.approx(10.684, abs=0.01)
    assert any("shares of 65535 ADU" in remark for remark in summary.remarks)


REFUSED = {
    "three-colours": (lambda p: hdus(np.stack([p] * 3).astype(np.uint16)), "3 axes"),
    "no-exposure": (lambda p: hdus(p.astype(np.uint16), EXPTIME=""), "no exposure time"),
    "no-image": (lambda p: fits.HDUList([fits.PrimaryHDU(header=header())]), "no image"),
    "biassec-alone": (
        lambda p: hdus(p.astype(np.uint16), BIASSEC="[71:80,1:64]"),
        "no TRIMSEC or DATASEC",
    ),
}


def test_what_cannot_be_understood_is_refused_by_a_sentence_and_the_rest_goes_on(
    lane: Lane,
) -> None:
    odd = {name: make(lane.noise(LEVEL + SKY)) for name, (make, _) in REFUSED.items()}
    summary = lane.lights({"good": lane.noise(LEVEL + SKY), **odd})
    assert summary.figures["calibrated"] == 1
    ledger = pd.read_parquet(lane.ledger).set_index("frame")
    for name, (_, reason) in REFUSED.items():
        (row,) = [r for frame, r in ledger["reason"].items() if str(frame).startswith(name)]
        assert reason in row, name


def test_a_second_image_of_the_frame_s_size_is_told(lane: Lane) -> None:
    counts = lane.noise(LEVEL + SKY).round().astype(np.uint16)
    both = fits.HDUList([fits.PrimaryHDU(counts, header()), fits.ImageHDU(counts, name="AMP2")])
    summary = lane.lights({"light": both})
    assert "holds 2 images: the first one is used" in " ".join(summary.remarks)


def test_frames_of_several_sizes_in_one_session_get_each_their_own_masters(lane: Lane) -> None:
    small = {f"s{n}": lane.noise(LEVEL + 30)[:40, :48] for n in range(3)}
    lane.combined(BIAS, small, "small")
    summary = lane.lights(
        {"large": lane.noise(LEVEL + SKY), "small": lane.noise(LEVEL + 30 + SKY)[:40, :48]}
    )
    assert summary.figures["calibrated"] == 2
    assert (median(lane, "large"), median(lane, "small")) == pytest.approx((SKY, SKY), abs=2)


# Overscan


def wide(lane: Lane, light: float, drift: float = 40.0) -> NDArray[np.float64]:
    """An image of 80 columns with 16 more of overscan, whose level drifts from row to row."""
    ny, nx = SHAPE
    level = LEVEL + np.linspace(0, drift, ny)[:, np.newaxis]
    image = np.empty((ny, nx + 16))
    image[:, :nx] = level + light + lane.noise(0, 2.0)
    image[:, nx:] = level + lane.random.normal(0, 2.0, (ny, 16))
    return image


SECTIONS = {"BIASSEC": "[81:96,1:64]", "TRIMSEC": "[1:80,1:64]", "READOUTM": "wide"}


@pytest.mark.parametrize(("overscan", "slope"), [("rows", 0.0), ("whole", 40.0), ("cut", 40.0)])
def test_overscan_is_taken_off_as_the_recipe_says_and_trimmed(
    lane: Lane, overscan: Any, slope: float
) -> None:
    lane.recipe = replace(lane.recipe, overscan=overscan)
    lane.lights({"light": wide(lane, SKY)}, **SECTIONS)
    image = lane.product("light").image
    assert image.shape == SHAPE
    rows = np.median(image, axis=1)
    assert rows[-1] - rows[0] == pytest.approx(slope, abs=6)
    if overscan == "rows":
        assert rows.std() < 2
        assert "overscan" in str(lane.product("light").header["HISTORY"])


def test_masters_lose_the_same_overscan(lane: Lane) -> None:
    darks = {f"d{n}": wide(lane, 60.0) for n in range(5)}
    lane.combined(DARK, darks, "wide", EXPTIME=300.0, **SECTIONS)
    lane.lights({"light": wide(lane, 60.0 + SKY)}, **SECTIONS)
    assert median(lane, "light") == pytest.approx(SKY, abs=2)
    assert lane.product("light").image.shape == SHAPE


def test_saturation_is_seen_before_the_overscan_is_taken_off(lane: Lane) -> None:
    image = wide(lane, SKY, drift=0)
    image[5, 6] = 65535
    lane.lights({"light": image}, **SECTIONS)
    mask = lane.product("light").mask
    assert mask is not None
    assert mask[5, 6] & 4
    assert np.count_nonzero(mask & 4) == 1


def test_sections_of_a_frame_that_was_corrected_or_cut_before_are_words_only(lane: Lane) -> None:
    cut = {"BIASSEC": "[81:96,1:64]"}
    lane.lights({"cut": lane.noise(LEVEL + SKY)}, **cut)
    assert median(lane, "cut") == pytest.approx(SKY, abs=2)
    inside = {"BIASSEC": "[71:80,1:64]", "CALSTAT": "BDF"}
    lane.lights({"corrected": lane.noise(SKY)}, **inside)
    assert lane.product("corrected").image.shape == SHAPE
    assert median(lane, "corrected") == pytest.approx(SKY, abs=2)


# Sets of more than one setup


def mixed_set(lane: Lane, colder: int) -> None:
    """Five darks of -10 °C and some of -20 °C, in one set."""
    darks = {f"d{n}": lane.noise(LEVEL + 60) for n in range(5)}
    cold = {f"e{n}": lane.noise(LEVEL + 20) for n in range(colder)}
    lane.put(lane.set_name(DARK), DARK, darks | cold, EXPTIME=300.0)
    for name in cold:
        with fits.open(
            lane.store.raw("far", lane.set_name(DARK)) / f"{name}.fits", mode="update"
        ) as opened:
            opened[0].header["CCD-TEMP"] = -20.0


def test_a_set_of_two_temperatures_gives_a_master_of_each(lane: Lane) -> None:
    mixed_set(lane, colder=3)
    summary = make_master(lane.store, "far", lane.set_name(DARK), DARK, None, lane.recipe)
    assert summary.figures["refused"] == "none"
    assert "(3 frames)" in str(summary.figures["further_masters"])
    for degrees, dark in ((-10.0, 60.0), (-20.0, 20.0)):
        lane.lights({"light": lane.noise(LEVEL + dark + SKY)}, **{"CCD-TEMP": degrees})
        assert median(lane, "light") == pytest.approx(SKY, abs=2)


def test_a_further_master_goes_with_its_frames(lane: Lane) -> None:
    folder = lane.store.master("far", "dark", lane.set_name(DARK)).parent
    mixed_set(lane, colder=3)
    make_master(lane.store, "far", lane.set_name(DARK), DARK, None, lane.recipe)
    assert len(list(folder.glob("*.fits"))) == 2
    mixed_set(lane, colder=2)
    summary = make_master(lane.store, "far", lane.set_name(DARK), DARK, None, lane.recipe)
    assert [path.stem for path in folder.glob("*.fits")] == [lane.set_name(DARK)]
    assert str(summary.figures["refused"]).count("-20 °C is not -10 °C") == 2
    assert list(folder.glob(".frames-*")) == []


def test_darks_without_exposure_are_a_sentence(lane: Lane) -> None:
    with pytest.raises(Unusable, match="are darks of 0 s: if they are bias frames"):
        lane.master(DARK, LEVEL, EXPTIME=0.0)


def test_calibration_frames_that_lost_their_bias_before_do_not_lose_it_again(lane: Lane) -> None:
    lane.master(DARK, 60, EXPTIME=300.0, CALSTAT="B")
    assert lane.master_file(DARK).header["AANOBIAS"]
    assert np.median(lane.master_file(DARK).image) == pytest.approx(60, abs=1)
    vignette = np.linspace(0.5, 1.5, SHAPE[1])
    flats = {f"f{n}": 20000 * vignette + lane.noise(0) for n in range(3)}
    lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red", CALSTAT="B")
    np.testing.assert_allclose(lane.master_file(FLAT).image[0], vignette, rtol=0.01)
    lane.lights({"light": LEVEL + 60 + SKY * vignette + lane.noise(0)}, FILTER="Red")
    np.testing.assert_allclose(np.median(lane.product("light").image, axis=0), SKY, atol=6)


# Ready-made masters


@pytest.mark.parametrize(
    ("name", "cards", "holds", "known_by"),
    [
        ("Master_Dark_300s", {"CALSTAT": "BM"}, False, "CALSTAT"),
        ("Master_Dark_300s_BiasSubtracted", {}, False, "its name"),
        ("Master_Dark_300s_with_bias", {}, True, "its name"),
        ("Master_Dark_300s", {}, False, "measured"),
        ("Master_Dark_300s", {"CALSTAT": "M"}, True, "measured"),
    ],
)
def test_whether_a_ready_made_dark_holds_its_bias_is_told_or_measured_and_written_down(
    lane: Lane, name: str, cards: dict[str, Any], holds: bool, known_by: str
) -> None:
    level = 60 + (LEVEL if holds else 0)
    summary = lane.combined(
        DARK,
        {name: lane.noise(level).astype(np.float32)},
        facts=ready_made(DARK),
        EXPTIME=600.0,
        **cards,
    )
    made = lane.master_file(DARK).header
    assert (made["AANOBIAS"], made["AABIASBY"]) == (not holds, known_by)
    assert str(summary.figures["bias"]).startswith("it ")
    lane.lights({"light": lane.noise(LEVEL + 30 + SKY)})  # scaled to half
    assert median(lane, "light") == pytest.approx(SKY, abs=2)


def test_a_pedestal_of_a_ready_made_dark_is_no_bias(lane: Lane) -> None:
    dark = lane.noise(160).astype(np.float32)
    lane.combined(DARK, {"d": dark}, facts=ready_made(DARK), EXPTIME=300.0, PEDESTAL=-100)
    assert read_master_header(lane.store.master("far", "dark", lane.set_name(DARK))).bias_subtracted
    assert np.median(lane.master_file(DARK).image) == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("dark", "bias", "expected"),
    [(5.0, 1000.0, Zero.FREE), (1100.0, 1000.0, Zero.HELD), (700.0, 1000.0, Zero.UNCLEAR),
     (-4.0, None, Zero.FREE), (900.0, None, Zero.UNCLEAR)],
)  # fmt: skip
def test_a_level_tells_what_it_can(dark: float, bias: float | None, expected: Zero) -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(dark, 2, (60, 60))
    image[10, 10] = 60000  # hot pixels say nothing
    assert zero_level(image, None if bias is None else rng.normal(bias, 2, (60, 60))) is expected


# Read noise and gain on their way


def test_a_gain_from_flats_comes_with_its_error_and_reaches_the_frame(lane: Lane) -> None:
    lane.gain = None
    lane.combined(BIAS, {f"b{n}": lane.noise(LEVEL, 4.0) for n in range(6)})
    light_e = 20000.0
    flats = {
        f"f{n}": LEVEL + lane.random.poisson(light_e, SHAPE) / 1.6 + lane.noise(0, 4.0)
        for n in range(8)
    }
    summary = lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    flat = lane.master_file(FLAT).header
    assert flat["EGAIN"] == pytest.approx(1.6, rel=0.03)
    assert abs(flat["EGAIN"] - 1.6) < 4 * flat["EGAINERR"]
    assert "gain_error" in summary.figures
    lane.lights({"light": lane.noise(LEVEL + SKY)}, FILTER="Blue")
    product = lane.product("light").header
    assert product["EGAIN"] == flat["EGAIN"]
    assert product["EGAINERR"] == flat["EGAINERR"]
    assert product["RDNOISE"] == pytest.approx(4.0 * 1.6, rel=0.06)


def test_a_gain_that_flats_belie_is_told(lane: Lane) -> None:
    lane.gain = 3.0
    flats = {f"f{n}": LEVEL + lane.random.poisson(20000, SHAPE) / 1.6 for n in range(4)}
    summary = lane.combined(FLAT, flats, EXPTIME=2.0, FILTER="Red")
    assert "these flats show a gain of 1." in " ".join(summary.remarks)
    assert "header or settings say 3: mend EGAIN" in " ".join(summary.remarks)


def test_a_camera_without_biases_has_its_noise_from_its_darks(tmp_path: Path) -> None:
    lane = Lane(Store(tmp_path))
    lane.combined(DARK, {f"d{n}": lane.noise(1060, 6.0) for n in range(6)}, EXPTIME=300.0)
    lane.lights({"light": lane.noise(1500)})
    assert lane.product("light").header["RDNOISE"] == pytest.approx(6.0, rel=0.05)
    assert "RDNOIERR" not in lane.product("light").header


# The variance as a plane


def test_the_variance_is_kept_on_request_and_tells_the_noise(lane: Lane) -> None:
    lane.gain = 2.0
    lane.combined(BIAS, {f"b{n}": lane.noise(LEVEL, 3.0) for n in range(9)})
    lane.lights({"plain": lane.noise(LEVEL)})
    assert "VARIANCE" not in lane.product("plain").planes
    lane.recipe = replace(lane.recipe, variance_plane=True)
    counts = LEVEL + lane.random.poisson(3000.0, SHAPE) / 2.0 + lane.noise(0, 3.0)
    lane.lights({"light": counts})
    product = lane.product("light")
    spread = float((product.image - 3000.0).std())
    assert float(np.sqrt(product.planes["VARIANCE"].mean())) == pytest.approx(spread, rel=0.04)
