"""Each line of the table of rules: what is refused, what is told, and in which words."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from astro_assets.steps.master_files import MasterFile
from astro_assets.steps.matching import Masters, Matched
from astro_assets.steps.rules import RULES
from astro_assets.steps.setup import Setup, setup_of
from astro_assets_tests.steps.test_matching import BAD, BIAS, DARK, FLAT, NIGHT, SHAPE, light

SETUP = Setup(
    camera="T20_bin1_gain100",
    shape=SHAPE,
    exposure_s=300.0,
    temperature_c=-10.0,
    filter="Red",
    bayer_pattern="RGGB",
    read_mode="Fast",
    rotator_deg=12.0,
)
ALL = {"bias": BIAS, "dark": DARK, "flat": FLAT, "bad_pixels": BAD}


def found(*masters: MasterFile, setup: Setup = SETUP, night: date = NIGHT) -> Matched:
    return Masters(masters).match(setup, night)


def told(kind: str, **fields: Any) -> tuple[MasterFile | None, str, str]:
    """What became of a master with these properties: taken or not, refusals, warnings."""
    changed = {name: replace(m, **fields) if name == kind else m for name, m in ALL.items()}
    matched = found(*changed.values())
    return getattr(matched, kind), "; ".join(matched.refused), "; ".join(matched.warnings)


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("bias", {"camera": "T20_bin2_gain100"}, "binning 2 is not binning 1"),
        ("dark", {"camera": "T20_bin1_gain0"}, "gain 0 is not gain 100"),
        ("dark", {"camera": "T20_bin1"}, "the master tells no gain, where the other has gain 100"),
        ("dark", {"camera": "T20_bin1_gain100_offset8"}, "the frame tells no offset"),
        ("flat", {"camera": "T20_bin1_gain0"}, "gain 0 is not gain 100"),
        ("flat", {"shape": (8, 9)}, "9 x 8 px is not 5 x 4 px"),
        ("dark", {"temperature_c": -20.0}, "-20 °C is not -10 °C"),
        ("dark", {"exposure_s": 60.0}, "60 s is shorter than 300 s"),
        ("dark", {"read_mode": "Slow"}, "read mode Slow is not read mode Fast"),
        ("flat", {"filter": "Blue"}, "filter Blue is not filter Red"),
        ("flat", {"filter": None}, "the master tells no filter"),
        ("dark", {"bayer_pattern": "GRBG"}, "colour matrix GBRG is not colour matrix BGGR"),
    ],
)
def test_a_refusal_says_in_what_the_master_differs(
    kind: str, fields: dict[str, Any], reason: str
) -> None:
    taken, refused, _ = told(kind, **fields)
    assert taken is None
    assert f"master {kind} {kind}_a does not serve: " in refused
    assert reason in refused


@pytest.mark.parametrize(
    ("kind", "fields", "warning"),
    [
        ("dark", {"temperature_c": None}, "the master tells no temperature"),
        ("dark", {"exposure_s": 600.0}, "of 600 s is scaled to 300 s"),
        ("dark", {"night": NIGHT - timedelta(days=400)}, "is 400 days away"),
        ("flat", {"night": NIGHT + timedelta(days=61)}, "is 61 days away"),
        ("flat", {"rotator_deg": 20.0}, "rotator at 20° is not rotator at 12°"),
        ("flat", {"read_mode": "Slow"}, "read mode Slow is not read mode Fast"),
        ("bias", {"temperature_c": 5.0}, "5 °C is not -10 °C"),
    ],
)
def test_what_is_not_quite_right_serves_and_is_told(
    kind: str, fields: dict[str, Any], warning: str
) -> None:
    taken, _, warnings = told(kind, **fields)
    assert taken is not None
    assert f"master {kind} {kind}_a: {warning}" in warnings


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("flat", {"camera": "T20_bin1"}),
        ("dark", {"bayer_pattern": "BGGR"}),
        ("dark", {"bayer_pattern": None}),
        ("dark", {"read_mode": "Fast"}),
        ("dark", {"temperature_c": -11.9}),
        ("flat", {"night": NIGHT - timedelta(days=60)}),
        ("flat", {"rotator_deg": 13.5}),
        ("bad_pixels", {"temperature_c": 20.0}),
    ],
)
def test_what_is_right_is_taken_without_a_word(kind: str, fields: dict[str, Any]) -> None:
    taken, refused, warnings = told(kind, **fields)
    assert taken is not None
    assert (refused, warnings) == ("", "")


def test_of_two_that_serve_the_one_without_a_warning_goes_first() -> None:
    turned = replace(FLAT, rotator_deg=90.0, path=Path("turned.fits"))
    older = replace(FLAT, rotator_deg=12.0, night=NIGHT - timedelta(days=30))
    assert found(BIAS, turned, older).flat is older


def test_refusals_name_the_three_that_come_nearest() -> None:
    warm = [
        replace(DARK, temperature_c=float(t), path=Path(f"{t}.fits"), digest=str(t))
        for t in range(5)
    ]
    other = replace(DARK, camera="T20_bin2_gain0", path=Path("other.fits"))
    matched = found(BIAS, *warm, other)
    assert [s.split()[2] for s in matched.refused[:3]] == ["0", "1", "2"]
    assert matched.refused[3] == "3 more master darks of this camera do not serve"


def test_another_camera_is_no_refusal_worth_a_word() -> None:
    assert found(replace(DARK, camera="T30_bin1_gain100")).refused == ()


# What the provider has corrected


def test_the_bias_is_not_asked_for_where_the_frame_has_lost_it() -> None:
    done = replace(SETUP, corrected="B")
    matched = found(BIAS, DARK, FLAT, setup=done)
    assert (matched.bias, matched.dark, matched.flat) == (None, DARK, FLAT)
    keeps = replace(DARK, bias_subtracted=False)
    matched = found(BIAS, keeps, FLAT, setup=done)
    assert (matched.bias, matched.dark) == (None, None)
    assert "still holds its bias, which the frame has lost already" in matched.refused[0]


def test_only_the_flat_is_asked_for_where_the_dark_is_done() -> None:
    matched = found(BIAS, DARK, FLAT, setup=replace(SETUP, corrected="BD"))
    assert (matched.bias, matched.dark, matched.flat) == (None, None, FLAT)
    assert matched.missing == ()


def test_nothing_is_done_under_a_flat_that_was_divided_out() -> None:
    matched = found(BIAS, DARK, FLAT, setup=replace(SETUP, corrected="F"))
    assert (matched.bias, matched.dark, matched.flat) == (None, None, None)


# Figures of the detector


def test_the_read_noise_is_the_nearest_bias_s_also_when_the_dark_brings_its_own() -> None:
    noisy = replace(BIAS, read_noise_adu=5.0, read_noise_error_adu=0.01)
    dark = replace(DARK, bias_subtracted=False)
    matched = found(noisy, dark)
    assert matched.bias is None
    assert matched.read_noise_from is noisy
    assert found(replace(noisy, camera="T20_bin2_gain100"), dark).read_noise_from is None
    bound = replace(dark, read_noise_adu=6.0)
    assert found(noisy, bound).read_noise_from is noisy
    assert found(bound).read_noise_from is bound


def test_a_measured_gain_goes_before_a_stated_one_and_is_not_needed_where_one_is_known() -> None:
    stated = replace(DARK, gain_e_per_adu=1.0)
    measured = replace(FLAT, filter="Blue", gain_e_per_adu=1.4, gain_error=0.01)
    matched = found(stated, measured)
    assert matched.gain_from is measured
    assert found(stated, measured, setup=replace(SETUP, gain_known=True)).gain_from is None


def test_the_digests_change_with_what_is_used_and_with_nothing_else() -> None:
    before = found(BIAS, DARK).digests
    other = replace(DARK, temperature_c=-20.0, path=Path("x.fits"), digest="x")
    assert found(BIAS, DARK, other, replace(FLAT, filter="Blue")).digests == before
    assert found(BIAS, replace(DARK, digest="new")).digests != before
    noisy = replace(BIAS, read_noise_adu=3.0, read_noise_error_adu=0.1)
    assert found(noisy, DARK).digests != before


def test_a_setup_is_read_back_as_it_was_written() -> None:
    setup = setup_of(light(READOUTM="Fast", ROTATANG=12.34, CALSTAT="BD"), SHAPE)
    assert (setup.read_mode, setup.rotator_deg, setup.corrected) == ("Fast", 12.3, "BD")
    assert Setup.from_json(setup.as_json()) == setup


def test_every_line_of_the_table_is_about_a_property_that_both_sides_have() -> None:
    for rule in RULES:
        for kind in rule.masters:
            thing = ALL.get(kind, BIAS)
            assert rule.shown.format((1, 2) if rule.prop == "shape" else 1)
            for side in (thing, SETUP):
                assert rule.prop in ("instrument", "binning", "gain", "offset", "bayer_matrix") or (
                    hasattr(side, rule.prop)
                )
