"""What is known of a camera."""

import pytest

from astro_assets_tests.frame.headers import frame


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("RGGB", "RGGB"),
        ("gbrg", "GBRG"),
        (" BGGR ", "BGGR"),
        ("mono", None),
        ("", None),
        (None, None),
    ],
)
def test_bayer_patterns(text: object, pattern: str | None) -> None:
    assert frame(BAYERPAT=text).bayer_pattern == pattern


@pytest.mark.parametrize(
    ("cards", "scale"),
    [
        ({"XPIXSZ": 2.0, "FOCALLEN": 249.5}, 1.6534),
        ({"XPIXSZ": "9.0", "FOCALLEN": "2280 "}, 0.8142),
        ({"SCALE": 1.68, "XPIXSZ": 2.0, "FOCALLEN": 249.5}, 1.68),
        ({"SCALE": 0, "XPIXSZ": 2.0, "FOCALLEN": 249.5}, 1.6534),
        ({"XPIXSZ": 2.0}, None),
        ({"XPIXSZ": 2.0, "FOCALLEN": 0}, None),
        ({"XPIXSZ": -2.0, "FOCALLEN": 500}, None),
        ({}, None),
    ],
)
def test_pixel_scale(cards: dict[str, object], scale: float | None) -> None:
    assert frame(**cards).pixel_scale_arcsec == (scale and pytest.approx(scale, abs=1e-4))


@pytest.mark.parametrize(
    ("cards", "binning"),
    [
        ({}, 1),
        ({"XBINNING": 2}, 2),
        ({"XBINNING": "3"}, 3),
        ({"XBINNING": 0}, 1),
        ({"XBINNING": "2x2"}, 2),
        ({"BINNING": "1x1"}, 1),
        ({"BINNING": "2x2"}, 2),
        ({"CCDSUM": "2 2"}, 2),
    ],
)
def test_binning(cards: dict[str, object], binning: int) -> None:
    assert frame(**cards).binning == binning


def test_cameras_differ_by_all_that_a_master_depends_on() -> None:
    base = {"INSTRUME": "ZWO ASI294MC", "GAIN": 120, "OFFSET": 30}
    assert frame(**base).camera == "ZWO-ASI294MC_bin1_gain120_offset30"
    others = ({"INSTRUME": "T20"}, {"XBINNING": 2}, {"GAIN": 0}, {"OFFSET": 10}, {"GAIN": None})
    assert len({frame(**{**base, **other}).camera for other in ({}, *others)}) == 6
    assert frame().camera == "camera_bin1"
