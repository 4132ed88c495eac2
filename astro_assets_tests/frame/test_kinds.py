"""The kinds of frames, as programs call them."""

import pytest

from astro_assets.frame import FrameKind, kind_from_text
from astro_assets_tests.frame.headers import frame


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Light Frame", FrameKind.LIGHT),
        ("LIGHT", FrameKind.LIGHT),
        ("object", FrameKind.LIGHT),
        ("Bias Frame", FrameKind.BIAS),
        ("offset", FrameKind.BIAS),
        ("zero", FrameKind.BIAS),
        ("Dark Frame", FrameKind.DARK),
        ("DarkFlat", FrameKind.DARK),
        ("Flat Dark", FrameKind.DARK),
        ("Flat Field", FrameKind.FLAT),
        ("Twilight", FrameKind.FLAT),
        ("SKY FLAT", FrameKind.FLAT),
        ("focus", FrameKind.OTHER),
    ],
)
def test_kinds_as_programs_call_them(text: str, kind: FrameKind) -> None:
    assert kind_from_text(text) is kind
    assert frame(IMAGETYP=text).kind is kind


def test_a_frame_of_which_nobody_says_the_kind_is_a_light() -> None:
    assert frame().kind is FrameKind.LIGHT
