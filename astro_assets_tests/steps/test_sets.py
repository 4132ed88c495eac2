"""Which frames of a calibration set go together, and how the others are told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from astro_assets.frame import FrameKind, frame_from_header
from astro_assets.steps.inputs import RawFrame
from astro_assets.steps.sets import Input, grouped
from astro_assets.steps.setup import setup_of

CARDS: dict[str, Any] = {
    "INSTRUME": "Cam",
    "XBINNING": 1,
    "GAIN": 100,
    "OFFSET": 8,
    "CCD-TEMP": -10.0,
    "EXPTIME": 60.0,
    "READOUTM": "Fast",
    "BAYERPAT": "RGGB",
    "FILTER": "Red",
    "ROTATANG": 10.0,
}


def frame(number: int, kind: str = "Dark", shape: tuple[int, int] = (4, 6), **cards: Any) -> Input:
    header = fits.Header(
        CARDS
        | {"IMAGETYP": f"{kind} Frame"}
        | {name.replace("_", "-"): value for name, value in cards.items()}
    )
    raw = RawFrame(f"f{number}", Path(f"f{number}.fits"), f"sha{number}", {})
    known = frame_from_header(header)
    return Input(raw, header, known, setup_of(known, shape), np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"INSTRUME": "Other"}, "camera Other is not camera Cam"),
        ({"XBINNING": 2}, "binning 2 is not binning 1"),
        ({"GAIN": 0}, "gain 0 is not gain 100"),
        ({"OFFSET": 30}, "offset 30 is not offset 8"),
        ({"READOUTM": "Slow"}, "read mode Slow is not read mode Fast"),
        ({"CCD_TEMP": 5.0}, "5 °C is not -10 °C"),
        ({"EXPTIME": 61.0}, "61 s is not 60 s"),
        ({"BAYERPAT": "GRBG"}, "colour matrix GRBG is not colour matrix RGGB"),
        ({"CALSTAT": "B"}, "CALSTAT 'B' is not CALSTAT ''"),
        ({"shape": (6, 4)}, "4 x 6 px is not 6 x 4 px"),
    ],
)
def test_a_dark_that_does_not_belong_is_refused_by_name(odd: dict[str, Any], reason: str) -> None:
    inputs = [frame(n) for n in range(4)] + [frame(9, **odd)]
    groups, refused = grouped(inputs, FrameKind.DARK)
    assert [len(group.inputs) for group in groups] == [4]
    assert refused == [f"f9: {reason}"]


@pytest.mark.parametrize("odd", [{"FILTER": "Blue"}, {"ROTATANG": 95.0}])
def test_a_flat_of_another_filter_or_angle_is_refused(odd: dict[str, Any]) -> None:
    flats = [frame(n, "Flat", EXPTIME=1.0 + n) for n in range(4)]  # twilight: each its own exposure
    groups, refused = grouped([*flats, frame(9, "Flat", **odd)], FrameKind.FLAT)
    assert [len(group.inputs) for group in groups] == [4]
    assert len(refused) == 1
    assert refused[0].startswith("f9: ")


def test_a_drift_within_the_tolerance_stays_one_set_and_a_warm_frame_is_refused() -> None:
    temperatures = [-10.4, -10.0, -9.8, -9.0, -8.5, -6.0]
    inputs = [frame(n, CCD_TEMP=t, EXPTIME=60 + n / 1000) for n, t in enumerate(temperatures)]
    groups, refused = grouped(inputs, FrameKind.DARK)
    assert [len(group.inputs) for group in groups] == [5]
    assert len(refused) == 1
    assert "f5: -6 °C is not -9.8 °C" in refused[0] or "f5: -6 °C is not -9" in refused[0]


def test_three_that_differ_alike_become_a_master_of_their_own() -> None:
    inputs = [frame(n) for n in range(5)] + [frame(10 + n, CCD_TEMP=-20.0) for n in range(3)]
    groups, refused = grouped(inputs, FrameKind.DARK)
    main, colder = groups
    assert (len(main.inputs), main.suffix) == (5, "")
    assert len(colder.inputs) == 3
    assert colder.suffix.startswith("20-C")
    assert refused == []
    warmer = [frame(n) for n in range(5)] + [frame(10 + n, CCD_TEMP=20.0) for n in range(3)]
    assert grouped(warmer, FrameKind.DARK)[0][1].suffix != colder.suffix


def test_a_frame_that_tells_no_temperature_goes_with_the_others() -> None:
    groups, refused = grouped([frame(0), frame(1), frame(2, CCD_TEMP=None)], FrameKind.DARK)
    assert ([len(g.inputs) for g in groups], refused) == ([3], [])


def test_nothing_gives_nothing() -> None:
    assert grouped([], FrameKind.BIAS) == ([], [])


def test_the_order_of_the_frames_changes_nothing() -> None:
    inputs = [frame(n, CCD_TEMP=-10.0 if n % 2 else -20.0) for n in range(7)]
    one, _ = grouped(inputs, FrameKind.DARK)
    other, _ = grouped(inputs[::-1], FrameKind.DARK)
    names = [sorted(i.raw.name for i in g.inputs) for g in one]
    assert names == [sorted(i.raw.name for i in g.inputs) for g in other]
    assert [g.suffix for g in one] == [g.suffix for g in other]
    assert replace(one[0], inputs=()).suffix == ""
