"""A list of columns, rows and rectangles as a mask, and a mask as such a list."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astro_assets.imaging.bad_list import BadList, as_list, as_mask

SHAPE = (40, 60)


def test_numbers_count_from_1_and_ends_are_included() -> None:
    mask, outside = as_mask(BadList((1, 60), (40,), ((2, 4, 10, 11),)), SHAPE)
    expected = np.zeros(SHAPE, bool)
    expected[:, [0, 59]] = expected[39] = True
    expected[1:4, 9:11] = True
    np.testing.assert_array_equal(mask, expected)
    assert outside == ()


@pytest.mark.parametrize(
    ("listed", "told", "bad"),
    [
        (BadList(columns=(0, 61, 5)), 2, 40),
        (BadList(rows=(41, -3, 7)), 2, 60),
        (BadList(rectangles=((39, 45, 59, 70),)), 1, 4),
        (BadList(rectangles=((-3, 2, -3, 2),)), 1, 4),
        (BadList(rectangles=((50, 60, 70, 80), (-9, -5, 1, 2))), 2, 0),
        (BadList(rectangles=((5, 3, 1, 2),)), 1, 0),
    ],
)
def test_what_is_out_of_range_is_told_and_the_rest_is_used(
    listed: BadList, told: int, bad: int
) -> None:
    """AstroPhotography takes what is out of range for other pixels without a word."""
    mask, outside = as_mask(listed, SHAPE)
    assert (len(outside), int(mask.sum())) == (told, bad)


def test_a_detectors_flaws_are_few_entries() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[:, 7] = mask[12] = True
    mask[5:30, 20:23] = mask[33:35, 30:50] = mask[2, 50] = True
    listed = as_list(mask)
    assert (listed.columns, listed.rows) == ((8,), (13,))
    assert set(listed.rectangles) >= {(34, 35, 31, 50), (3, 3, 51, 51)}
    assert len(listed.rectangles) == 4  # the strip is cut by the row
    np.testing.assert_array_equal(as_mask(listed, SHAPE)[0], mask)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(1, 60))
    ),
    st.integers(0, 2**32 - 1),
)
def test_any_mask_comes_back(boxes: list[tuple[int, int, int, int]], seed: int) -> None:
    mask = np.random.default_rng(seed).random(SHAPE) < 0.02
    for a, b, c, d in boxes[:5]:
        mask[min(a, b) - 1 : max(a, b), min(c, d) - 1 : max(c, d)] = True
    back, outside = as_mask(as_list(mask), SHAPE)
    np.testing.assert_array_equal(back, mask)
    assert outside == ()
