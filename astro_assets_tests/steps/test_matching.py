"""Which master serves which frame, and that calibration takes what was matched."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from astro_assets.errors import BrokenFile
from astro_assets.frame import Frame, frame_from_header
from astro_assets.imaging import calibrate
from astro_assets.imaging.calibrate import Masters
from astro_assets.steps import provenance
from astro_assets.steps.matching import (
    EXPOSURE_TOLERANCE,
    MasterFile,
    Matched,
    masters,
    match,
    read_master_header,
)
from astro_assets.store import ImageFile, Store, write_image

NIGHT = date(2026, 11, 20)
SHAPE = (4, 5)
CARDS = {"EXPTIME": 300, "INSTRUME": "T20", "GAIN": 100, "CCD-TEMP": -10.0, "FILTER": "Red"}


def light(**cards: Any) -> Frame:
    return frame_from_header(
        CARDS | {name.replace("_", "-"): value for name, value in cards.items()}
    )


def master(kind: str, name: str = "a", **fields: Any) -> MasterFile:
    made = MasterFile(
        path=Path(f"{kind}_{name}.fits"),
        kind=kind,
        camera="T20_bin1_gain100",
        shape=SHAPE,
        night=NIGHT,
        exposure_s={"bias": 0.0, "dark": 300.0}.get(kind, 2.0),
        temperature_c=-10.0,
        filter="Red" if kind == "flat" else None,
        bias_subtracted=kind == "dark",
        digest=name,
    )
    return replace(made, **fields)


def found(frame: Frame, *available: MasterFile) -> Matched:
    return match(frame, SHAPE, NIGHT, available)


BIAS, DARK, FLAT, BAD = (master(kind) for kind in ("bias", "dark", "flat", "bad_pixels"))


def test_all_that_fits_is_taken() -> None:
    matched = found(light(), BIAS, DARK, FLAT, BAD)
    assert matched.files == (BIAS, DARK, FLAT, BAD)
    assert matched.missing == ()


@pytest.mark.parametrize(
    "other",
    [
        {"camera": "T20_bin2_gain100"},
        {"camera": "T20_bin1_gain0"},
        {"shape": (5, 4)},
    ],
)
def test_another_camera_gain_binning_or_size_does_not_serve(other: dict[str, Any]) -> None:
    assert found(light(), *(replace(m, **other) for m in (BIAS, DARK, FLAT, BAD))).files == ()


def test_the_nearest_in_time_before_or_after() -> None:
    nights = [NIGHT - timedelta(days=9), NIGHT + timedelta(days=3), NIGHT - timedelta(days=4)]
    for kind in ("bias", "dark", "flat", "bad_pixels"):
        made = [master(kind, str(n), night=night) for n, night in enumerate(nights)]
        matched = found(light(), BIAS, *made) if kind != "bias" else found(light(), *made)
        assert getattr(matched, kind) is made[1]


def test_of_two_of_one_night_always_the_same() -> None:
    one, two = master("flat", "1"), master("flat", "2")
    assert found(light(), BIAS, one, two).flat == found(light(), BIAS, two, one).flat == one


# Darks


def test_a_dark_of_the_exposure_goes_before_a_nearer_one_to_scale() -> None:
    same = master("dark", "same", night=NIGHT - timedelta(days=30))
    longer = master("dark", "longer", exposure_s=600.0)
    assert found(light(), BIAS, longer, same).dark is same


@pytest.mark.parametrize("told_s", [300.003, 299.2, 302.5])
def test_an_exposure_that_is_nearly_the_same_is_the_same(told_s: float) -> None:
    keeps_bias = replace(DARK, bias_subtracted=False)
    assert found(light(EXPTIME=told_s), keeps_bias).dark is keeps_bias


@pytest.mark.parametrize(("temperature_c", "fits_it"), [(-8.1, True), (-12, True), (-7.9, False)])
def test_a_dark_must_be_as_cold(temperature_c: float, fits_it: bool) -> None:
    matched = found(light(CCD_TEMP=temperature_c), BIAS, DARK)
    assert (matched.dark is DARK) is fits_it


def test_a_temperature_that_nobody_knows_does_not_stand_in_the_way() -> None:
    assert found(light(CCD_TEMP=None), BIAS, DARK).dark is DARK
    unknown = replace(DARK, temperature_c=None)
    assert found(light(), BIAS, unknown).dark is unknown


def test_the_longest_dark_is_scaled_and_never_a_shorter_one() -> None:
    darks = [master("dark", str(s), exposure_s=float(s)) for s in (60, 600, 900)]
    assert found(light(), BIAS, *darks).dark is darks[2]
    matched = found(light(), BIAS, darks[0])
    assert matched.dark is None
    assert matched.missing == (
        "no master dark for camera T20_bin1_gain100, 300 s at -10 °C",
        "no master flat for camera T20_bin1_gain100 in filter Red",
    )


def test_a_dark_with_its_bias_takes_the_bias_itself_and_is_scaled_only_with_a_bias() -> None:
    keeps_bias = replace(DARK, bias_subtracted=False)
    alone = found(light(), BIAS, keeps_bias, FLAT)
    assert (alone.bias, alone.dark, alone.flat) == (None, keeps_bias, FLAT)
    scaled = found(light(EXPTIME=100), BIAS, keeps_bias)
    assert (scaled.bias, scaled.dark) == (BIAS, keeps_bias)
    assert found(light(EXPTIME=100), keeps_bias).dark is None


def test_a_dark_without_its_bias_needs_the_bias() -> None:
    matched = found(light(), DARK)
    assert matched.dark is None
    assert "no master bias for camera T20_bin1_gain100" in matched.missing


# Flats


def test_flats_by_filter() -> None:
    blue, clear = replace(FLAT, filter="Blue"), replace(FLAT, filter=None)
    assert found(light(), BIAS, blue, clear, FLAT).flat is FLAT
    assert found(light(FILTER=None), BIAS, blue, clear, FLAT).flat is clear
    assert found(light(FILTER="Ha"), BIAS, blue, clear, FLAT).flat is None


def test_a_filter_with_signs_that_no_header_holds_finds_its_flat() -> None:
    flat = replace(FLAT, filter=provenance.fits_text("Hα"))
    assert found(light(FILTER="Hα"), BIAS, flat).flat is flat


def test_a_flat_is_of_no_use_while_the_bias_is_in_the_frame() -> None:
    matched = found(light(), FLAT)
    assert matched.flat is None
    assert matched.missing[-1] == (
        "no master flat for camera T20_bin1_gain100 in filter Red, since without a bias it is of "
        "no use"
    )


# What is missing


def test_each_missing_master_has_a_sentence() -> None:
    assert found(light(FILTER=None, CCD_TEMP=None)).missing == (
        "no master bias for camera T20_bin1_gain100",
        "no master dark for camera T20_bin1_gain100, 300 s",
        "no master flat for camera T20_bin1_gain100",
    )


def test_a_frame_without_exposure_time_can_be_matched() -> None:
    matched = found(frame_from_header({"IMAGETYP": "Bias Frame"}), BIAS, DARK)
    assert matched.dark is None
    assert "no master dark for camera camera_bin1" in matched.missing


def test_every_sentence_fits_into_a_header() -> None:
    header = fits.Header()
    for sentence in found(light(FILTER="Hα")).missing:
        provenance.note(header, sentence)
    assert "no master dark for camera T20_bin1_gain100, 300 s at -10 degC" in str(header["HISTORY"])


some_masters = st.lists(
    st.builds(
        lambda kind, name, exposure_s, keeps, temperature_c: master(
            kind,
            name,
            exposure_s=0.0 if kind == "bias" else exposure_s,
            bias_subtracted=kind == "dark" and not keeps,
            temperature_c=temperature_c,
        ),
        st.sampled_from(["bias", "dark", "flat", "bad_pixels"]),
        st.sampled_from("abc"),
        st.sampled_from([0.0, 1.0, 60.0, 298.0, 300.0, 304.0, 900.0]),
        st.booleans(),
        st.sampled_from([-10.0, 0.0, None]),
    ),
    max_size=6,
)


@given(some_masters, st.sampled_from([0.0, 1.0, 60.0, 300.0, 303.0, 2000.0]))
def test_calibration_takes_whatever_was_matched(
    available: list[MasterFile], exposure_s: float
) -> None:
    matched = found(light(EXPTIME=exposure_s), *available)
    plane = np.ones(SHAPE, np.float32)
    calibrate.calibrate(  # raises NoMatchingMaster where the masters do not go together
        plane * 500,
        masters=Masters(
            bias=None if matched.bias is None else plane,
            dark=None if matched.dark is None else plane,
            dark_exposure_s=matched.dark.exposure_s if matched.dark else None,
            dark_has_bias=matched.dark is not None and not matched.dark.bias_subtracted,
            flat=None if matched.flat is None else plane,
            bad_pixels=None if matched.bad_pixels is None else plane.astype(np.uint8),
        ),
        exposure_s=exposure_s,
        gain_e_per_adu=1.0,
        saturation_adu=65535.0,
        pedestal_adu=0.0,
    )


def test_the_tolerance_is_the_one_of_calibration() -> None:
    assert EXPOSURE_TOLERANCE == calibrate._SAME_EXPOSURE


# On disk


def write_master(store: Store, kind: str, name: str, **cards: Any) -> Path:
    header = fits.Header(
        {
            "AAKIND": kind,
            "AACAMERA": "T20_bin1_gain100",
            "AANIGHT": "2026-11-20",
            "AAPROV": "abc",
            "EXPTIME": 300.0,
            **cards,
        }
    )
    path = store.master("rented", kind, name)
    write_image(path, ImageFile(np.ones(SHAPE, np.float32), header))
    return path


def test_masters_as_their_headers_describe_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert masters(store, "rented") == []
    path = write_master(
        store, "dark", "2026-11-20_dark_T20_300s", AANOBIAS=True, **{"CCD-TEMP": -9.9}
    )
    write_master(store, "flat", "2026-11-20_flat_T20_Red", FILTER="Red", EXPTIME=2.5)
    dark, flat = masters(store, "rented")
    assert dark == replace(DARK, path=path, temperature_c=-9.9, digest="abc")
    assert (flat.filter, flat.exposure_s, flat.temperature_c) == ("Red", 2.5, None)
    assert masters(store, "another") == []


@pytest.mark.parametrize("content", [b"", b"no FITS at all" * 300, "foreign", "odd night"])
def test_what_is_no_master_of_ours_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = Store(tmp_path).master("rented", "dark", "mine")
    if content == "odd night":
        write_master(Store(tmp_path), "dark", "mine", AANIGHT="last night")
    elif isinstance(content, str):
        write_image(path, ImageFile(np.ones(SHAPE, np.float32), fits.Header()))
    else:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(BrokenFile, match=r"dark/mine\.fits is no master that was made here .*move"):
        read_master_header(path)
