"""Keys stay keys, whatever a name holds."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from astro_assets.frame import key_part, target_key


@pytest.mark.parametrize(
    ("key", "spellings"),
    [
        ("M31", ["M 31", "m31", "M_31", "Messier 31", "messier31", "M-31", " M  31 ", "M031"]),
        ("NGC7000", ["NGC 7000", "ngc7000", "NGC_7000", "Ngc-7000"]),
        ("IC1805", ["IC 1805", "ic1805"]),
        ("Sh2-155", ["Sh2-155", "SH2 155", "sh2_155", "Sh 2-155", "Sh-2 155"]),
        ("Abell31", ["Abell 31", "ABELL31"]),
        ("B33", ["B 33", "b33"]),
        ("CygnusLoop-x1-y1", ["CygnusLoop_x1_y1", "CygnusLoop x1 y1"]),
        ("Whale-Galaxy", ["Whale Galaxy", "Whale_Galaxy", "Whale  Galaxy"]),
        ("M31-core", ["M31 core"]),
        ("Sh2", ["Sh2"]),
        ("unnamed", ["", "  ", "_", "//", "..", "-"]),
    ],
)
def test_one_spelling_per_target(key: str, spellings: list[str]) -> None:
    assert {name: target_key(name) for name in spellings} == dict.fromkeys(spellings, key)


def test_different_targets_stay_apart_whatever_their_script() -> None:
    names = [
        "α Cen",
        "ω Cen",
        "Cen",
        "Туманность",
        "Андромеда",
        "天鹅座",
        "M 31",
        "M 310",
        "Sh2-15",
    ]
    assert len({target_key(name) for name in names}) == len(names)
    assert target_key("Galaxie d'Andromède") == "Galaxie-d-Andromede"


@given(st.text())
@example("..")
@example("_M31_")
@example("M,31")
@example("\uff3f")
@example("M" + "3" * 5000)
@example("²")
def test_any_name_is_a_usable_target_key(name: str) -> None:
    key = target_key(name)
    assert re.fullmatch(r"[0-9A-Za-z+-][0-9A-Za-z.+-]*", key)
    assert not key.endswith(".")
    assert target_key(key) == key


@given(st.text())
def test_any_text_is_a_usable_part_of_a_key(text: str) -> None:
    part = key_part(text)
    assert re.fullmatch(r"[0-9A-Za-z+_-][0-9A-Za-z.+_-]*", part)
    assert key_part(part) == part


def test_parts_of_keys_stay_readable() -> None:
    assert key_part("ZWO ASI294MC Pro") == "ZWO-ASI294MC-Pro"
    assert key_part("a/b|c,[d]") == "a-b-c-d"
    assert key_part("H-alpha 7nm") == "H-alpha-7nm"
