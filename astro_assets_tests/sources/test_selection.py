"""The wish list: what is wanted, what is not, and that what nobody knows is not lost."""

import datetime as dt

import pytest

from astro_assets.frame import FrameKind
from astro_assets.settings.sources import Selection
from astro_assets.sources.protocol import NO_NIGHT, Placement
from astro_assets.sources.selection import wants
from astro_assets_tests.sources.conftest import Night

NIGHT = dt.date(2026, 11, 20)
DAY = dt.timedelta(days=1)
LIGHT = Placement(FrameKind.LIGHT, NIGHT, "Messier 31", "ZWO ASI294MC")
DARK = Placement(FrameKind.DARK, NIGHT, None, "ZWO ASI294MC", "300s")
FLAT = Placement(FrameKind.FLAT, NIGHT, None, "ZWO ASI294MC", "Red")
UNDATED = Placement(FrameKind.LIGHT, NO_NIGHT, "M 31", "T20")


@pytest.mark.parametrize(
    ("selection", "placement", "colour", "wanted"),
    [
        (Selection(), LIGHT, "Red", True),
        (Selection(targets=("m31",)), LIGHT, "Red", True),
        (Selection(targets=("M 33", "M_31")), LIGHT, "Red", True),
        (Selection(targets=("NGC 31",)), LIGHT, "Red", False),
        (Selection(targets=("M 33",)), DARK, "", True),
        (Selection(instruments=("zwo asi294mc",)), LIGHT, "", True),
        (Selection(instruments=("T20",)), LIGHT, "", False),
        (Selection(instruments=("T20",)), DARK, "", False),
        (Selection(filters=("red", "Ha")), LIGHT, "Red", True),
        (Selection(filters=("Ha",)), LIGHT, "Red", False),
        (Selection(filters=("Ha",)), LIGHT, "", True),
        (Selection(filters=("Ha",)), FLAT, "Red", False),
        (Selection(filters=("Ha",)), DARK, "Red", True),
        (Selection(kinds=(FrameKind.LIGHT,)), LIGHT, "", True),
        (Selection(kinds=(FrameKind.LIGHT,)), DARK, "", False),
        (Selection(first_night=NIGHT, last_night=NIGHT), LIGHT, "", True),
        (Selection(first_night=NIGHT + DAY), LIGHT, "", False),
        (Selection(last_night=NIGHT - DAY), LIGHT, "", False),
        (Selection(first_night=NIGHT - DAY), LIGHT, "", True),
        (Selection(first_night=NIGHT), UNDATED, "", True),
        (Selection(targets=("M31",), filters=("Red",), kinds=(FrameKind.DARK,)), LIGHT, "", False),
    ],
)
def test_wishes(selection: Selection, placement: Placement, colour: str, wanted: bool) -> None:
    assert wants(selection, placement, {"FILTER": colour} if colour else {}) is wanted


@pytest.mark.parametrize(
    ("source", "wish", "keys"),
    [
        ("itelescope", 'filters = ["Blue"]', []),
        ("itelescope", 'filters = ["RED"]', ["2026-11-20_NGC7000_T20"]),
        ("itelescope", 'targets = ["NGC7000"]', ["2026-11-20_NGC7000_T20"]),
        ("pi", 'kinds = ["dark"]', ["2026-11-20_dark_ZWO-ASI294MC_10s_gain120"]),
        ("pi", "last_night = 2026-11-19", []),
    ],
)
def test_a_look_shows_what_is_wished_for(
    night: Night, source: str, wish: str, keys: list[str]
) -> None:
    text = night.file.read_text()
    table = f'name = "{source}"'
    assert table in text
    night.file.write_text(text.replace(table, f"{table}\nselect = {{ {wish} }}"))
    assert [batch.key for batch in night.with_more_settings("").look(source)] == keys
