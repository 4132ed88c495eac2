"""Where a telescope points, and where it stands."""

import pytest
from astropy.io import fits

from astro_assets.frame import frame_from_header
from astro_assets_tests.frame.headers import frame


@pytest.mark.parametrize(
    ("cards", "ra_deg"),
    [
        ([("RA", 12.5, "[h] hour angle of nothing"), ("DEC", 10.0, "")], 187.5),
        ([("RA", 12.5, "right ascension in hours"), ("DEC", 10.0, "")], 187.5),
        ([("RA", 12.5, "[deg] telescope"), ("DEC", 10.0, "")], 12.5),
        (
            [("RA", 12.5, ""), ("DEC", 10.0, ""), ("OBJCTRA", "12 30 20", ""),
             ("OBJCTDEC", "+10 01 00", "")],
            187.5,
        ),
        (
            [("RA", 12.5, ""), ("DEC", 10.0, ""), ("OBJCTRA", "00 50 00", ""),
             ("OBJCTDEC", "+10 01 00", "")],
            12.5,
        ),
        ([("RA", 0.0, ""), ("DEC", 10.0, ""), ("CRVAL1", 0.01, ""), ("CRVAL2", 10.0, "")], 0.0),
    ],
    ids=["unit", "comment", "degrees", "other pair", "other pair agrees", "zero"],
)  # fmt: skip
def test_right_ascension_in_hours_where_something_says_so(
    cards: list[tuple[str, object, str]], ra_deg: float
) -> None:
    seen = frame_from_header(fits.Header([("EXPTIME", 60.0), *cards]))
    assert seen.ra_deg == pytest.approx(ra_deg)
    assert seen.dec_deg == 10


@pytest.mark.parametrize(
    ("cards", "ra_deg", "dec_deg"),
    [
        ({"RA": 10.68, "DEC": 41.27}, 10.68, 41.27),
        ({"RA": "10.68", "DEC": "+41.27"}, 10.68, 41.27),
        ({"OBJCTRA": "00 42 44.3", "OBJCTDEC": "+41 16 09"}, 10.684583, 41.269167),
        ({"RA": "00:42:44.3", "DEC": "41:16:09"}, 10.684583, 41.269167),
        ({"RA": "0h42m44.3s", "DEC": "41d16m09s"}, 10.684583, 41.269167),
        ({"RA": "00:42.5", "DEC": "-00 30 00"}, 10.625, -0.5),
        ({"OBJCTRA": "12 30 00", "OBJCTDEC": "41°16'09\""}, 187.5, 41.269167),
        ({"RA": 360.0, "DEC": -90}, 0.0, -90.0),
        ({"MNTRA": "12 30 00", "MNTDEC": "-00 00 36"}, 187.5, -0.01),
    ],
)
def test_pointing_in_degrees_or_sexagesimal_hours(
    cards: dict[str, object], ra_deg: float, dec_deg: float
) -> None:
    seen = frame(**cards)
    assert seen.ra_deg == pytest.approx(ra_deg, abs=1e-6)
    assert seen.dec_deg == pytest.approx(dec_deg, abs=1e-6)


@pytest.mark.parametrize(
    "cards",
    [
        {"RA": 10.0},
        {"RA": 400.0, "DEC": 10.0},
        {"RA": 10.0, "DEC": 91.0},
        {"RA": "12:61:00", "DEC": "10:00:00"},
        {"RA": "25:00:00", "DEC": "10:00:00"},
        {"RA": "nan", "DEC": "nan"},
        {"RA": "north", "DEC": "up"},
    ],
)
def test_half_or_impossible_pointings_are_none(cards: dict[str, object]) -> None:
    seen = frame(**cards)
    assert (seen.ra_deg, seen.dec_deg) == (None, None)


def test_a_pair_that_is_unreadable_gives_way_to_the_next() -> None:
    seen = frame(RA="undefined", DEC="undefined", OBJCTRA="12 30 00", OBJCTDEC="+10 00 00")
    assert (seen.ra_deg, seen.dec_deg) == (pytest.approx(187.5), pytest.approx(10))


SIDING_SPRING = {"SITELAT": "-31.273", "SITELONG": "149.064", "SITEELEV": "1120"}


@pytest.mark.parametrize(
    "cards",
    [
        {"SITELAT": 32.9, "SITELONG": -105.5, "SITEELEV": 2225},
        {"SITELAT": "+32 54 00", "SITELONG": "-105 30 00", "SITEELEV": "2225"},
        {"SITELAT": "32:54:00 N", "SITELONG": "105:30:00 W", "ALT-OBS": 2225},
        {"LAT-OBS": 32.9, "LONG-OBS": 254.5, "ALT-OBS": 2225.0},
        {"OBSGEO-B": 32.9, "OBSGEO-L": -105.5, "OBSGEO-H": 2225},
        {"SITELAT": 0, "SITELONG": 0, "LATITUDE": "N32.9", "LONGITUD": "W105.5", "SITEELEV": 2225},
    ],
    ids=["plain", "sexagesimal", "sides", "0 to 360", "standard", "nowhere"],
)
def test_the_site_in_the_spellings_that_programs_use(cards: dict[str, object]) -> None:
    seen = frame_from_header({"EXPTIME": 1, **cards}, SIDING_SPRING)
    assert seen.place is not None
    assert seen.place.latitude_deg == pytest.approx(32.9)
    assert seen.place.longitude_deg == pytest.approx(-105.5)
    assert seen.place.elevation_m == 2225
    assert seen.doubts == ()


def test_a_site_is_never_mixed_from_two() -> None:
    assert frame({"SITELONG": "149"}, SITELAT=32.9).place is None
    place = frame(SIDING_SPRING, SITELAT=32.9, SITELONG="undefined").place
    assert place is not None
    assert (place.latitude_deg, place.longitude_deg) == (-31.273, 149.064)


def test_a_longitude_that_counts_west_is_turned_round_and_told() -> None:
    seen = frame_from_header(
        {"EXPTIME": 1, "SITELAT": -31.27, "SITELONG": -149.07}, SIDING_SPRING, "x.fit"
    )
    assert seen.place is not None
    assert seen.place.longitude_deg == pytest.approx(149.07)
    assert len(seen.doubts) == 1
    assert seen.doubts[0].startswith("x.fit says longitude -149.07°")
    header = fits.Header([("EXPTIME", 1), ("SITELAT", 32.9), ("SITELONG", 105.5, "west positive")])
    place = frame_from_header(header).place
    assert place is not None
    assert place.longitude_deg == -105.5
    far = frame(SIDING_SPRING, SITELAT=32.9, SITELONG=105.5)
    assert far.place is not None
    assert far.place.longitude_deg == 105.5
    assert far.doubts == ()


@pytest.mark.parametrize(
    "cards",
    [
        {"SITELAT": 91.0, "SITELONG": 10.0},
        {"SITELAT": "north", "SITELONG": "here"},
        {"SITELAT": 0.0, "SITELONG": 0.0},
        {"SITELAT": "N S 10", "SITELONG": 10.0},
    ],
)
def test_an_impossible_site_is_none(cards: dict[str, object]) -> None:
    assert frame(**cards).place is None
