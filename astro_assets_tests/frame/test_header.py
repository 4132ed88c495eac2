"""One vocabulary out of every header: what is said, by which spelling, and what is missing."""

import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from astropy.io import fits
from hypothesis import example, given
from hypothesis import strategies as st

from astro_assets.errors import AstroAssetsError, MissingHeader
from astro_assets.frame import frame_from_header
from astro_assets_tests.frame.headers import frame


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (300, 300.0),
        (0.5, 0.5),
        ("1/50", 0.02),
        (" 1 / 50 ", 0.02),
        ("1/50s", 0.02),
        ("120000 ms", 120.0),
        ("10.0s", 10.0),
        ("30 sec", 30.0),
        ("3e2", 300.0),
        (0, 0.0),
    ],
)
def test_exposure_in_the_spellings_that_sources_use(text: object, seconds: float) -> None:
    assert frame_from_header({"EXPOSURE": text}).exposure_s == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "  ", "undefined", "1/0", "auto", "-5", "1e400", "inf", "nan", 1e300, True, "--", "."],
)
def test_an_exposure_that_is_none_is_missing_and_the_file_is_named(text: object) -> None:
    with pytest.raises(MissingHeader, match=r"M31-001\.fits has no exposure time.*EXPTIME"):
        frame_from_header({"EXPTIME": text}, where="M31-001.fits")


@pytest.mark.parametrize("kind", ["Light Frame", "Dark Frame"])
def test_lights_and_darks_need_an_exposure(kind: str) -> None:
    with pytest.raises(MissingHeader):
        frame_from_header({"IMAGETYP": kind})


@pytest.mark.parametrize("kind", ["Bias Frame", "Flat Field"])
def test_bias_and_flat_do_without_an_exposure(kind: str) -> None:
    assert frame_from_header({"IMAGETYP": kind}).exposure_s is None


def test_a_bad_exposure_gives_way_to_a_good_one() -> None:
    assert frame_from_header({"EXPTIME": -1, "EXPOSURE": "1/50"}).exposure_s == 0.02
    assert frame_from_header({"EXPTIME": "undefined"}, {"EXPTIME": "300"}).exposure_s == 300


# Header first, then facts


def test_facts_fill_blanks_and_never_overrule() -> None:
    facts = {
        "EXPTIME": "300",
        "FILTER": "Ha",
        "OBJECT": "M 31",
        "GAIN": "5",
        "DATE-OBS": "2026-11-20",
    }
    seen = frame(
        facts, EXPTIME=60, FILTER="undefined", OBJECT="  ", GAIN="", DATE_OBS="2026-11-21T01:02:03"
    )
    assert seen.exposure_s == 60
    assert seen.filter == "Ha"
    assert seen.target == "M 31"
    assert seen.gain_setting == 5
    assert seen.start_utc == datetime(2026, 11, 21, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "nothing", ["", " ", "undefined", "UNDEFINED", "Unknown", "None", "n/a", None]
)
def test_what_says_nothing_is_nothing(nothing: object) -> None:
    seen = frame(OBJECT=nothing, FILTER=nothing, INSTRUME=nothing, CCD_TEMP=nothing)
    assert (seen.target, seen.filter, seen.instrument, seen.sensor_temperature_c) == (None,) * 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1e999", "-inf", "nan", True])
def test_what_is_no_finite_number_is_nothing(value: object) -> None:
    seen = frame({"GAIN": "100"}, GAIN=value, CCD_TEMP=value, EGAIN=value, XBINNING=value)
    assert (seen.gain_setting, seen.sensor_temperature_c, seen.binning) == (100, None, 1)
    assert seen.gain_e_per_adu is None


def test_zero_is_a_value() -> None:
    seen = frame({"GAIN": "100", "CCD-TEMP": "-10"}, GAIN=0, OFFSET=0, CCD_TEMP=0)
    assert (seen.gain_setting, seen.offset_setting, seen.sensor_temperature_c) == (0, 0, 0)


def test_cards_that_break_the_standard_say_nothing() -> None:
    cards = "EXPTIME = 1.0.0", "EXPOSURE= 30.0", "OBJECT  =", "FILTER  = 'Ha"
    header = fits.Header.fromstring("".join(card.ljust(80) for card in (*cards, "END")))
    seen = frame_from_header(header, {"OBJECT": "M 31"})
    assert seen.exposure_s == 30
    assert seen.target == "M 31"


def test_who_and_with_what() -> None:
    seen = frame({"OBSERVER": "somebody", "TELESCOP": "T31"}, OBSERVER="", TELESCOP="undefined")
    assert (seen.observer, seen.telescope) == ("somebody", "T31")


def test_a_header_loads_no_astropy_until_one_is_read() -> None:
    code = "import sys, astro_assets.frame; sys.exit('astropy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


HEADER_NAMES = (
    "IMAGETYP", "EXPTIME", "EXPOSURE", "OBJECT", "DATE-OBS", "TIME-OBS", "FILTER",
    "INSTRUME", "XBINNING", "BINNING", "GAIN", "OFFSET", "CCD-TEMP", "BAYERPAT", "RA",
    "DEC", "OBJCTRA", "OBJCTDEC", "SCALE", "XPIXSZ", "FOCALLEN", "EGAIN", "PEDESTAL",
    "CALSTAT", "SITELAT", "SITELONG", "SITEELEV", "JD", "MJD-OBS", "DATE-END", "TIMESYS",
)  # fmt: skip
NEARLY_RIGHT = st.from_regex(r"\A[-+]?[0-9:hmsd°'\" ./eE]{0,14}\Z")
HEADER_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**18), 10**18), st.floats(), st.text(), NEARLY_RIGHT
)


@given(
    st.dictionaries(st.sampled_from(HEADER_NAMES), HEADER_VALUES),
    st.dictionaries(st.sampled_from(HEADER_NAMES), st.text(max_size=20)),
)
@example({"EXPTIME": 1, "RA": "12:60:00", "DEC": "1:60:60"}, {})
@example({"EXPTIME": 1e5, "DATE-OBS": "2999-12-31T23:59:59"}, {})
def test_no_header_raises_anything_but_our_own(
    header: dict[str, object], facts: dict[str, str]
) -> None:
    try:
        seen = frame_from_header(header, facts)
    except AstroAssetsError:
        return
    assert seen.binning >= 1
    assert seen.middle_utc is None or seen.middle_utc.tzinfo is UTC
    assert re.fullmatch(r"[0-9A-Za-z.+_-]+", seen.camera)
    assert seen.ra_deg is None or 0 <= seen.ra_deg < 360
    assert seen.pixel_scale_arcsec is None or seen.pixel_scale_arcsec > 0
