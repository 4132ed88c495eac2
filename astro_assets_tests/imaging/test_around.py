"""Outliers and deviations, row by row, against whole planes of level and spread."""

import numpy as np
import pytest

from astro_assets.imaging.around import above, around_dark, around_flat, in_sigma, outliers
from astro_assets.imaging.tiles import surroundings

SHAPES = [(1, 9), (5, 3), (31, 70), (64, 64), (100, 149), (161, 300)]


def image(shape, whole=False):
    rng = np.random.default_rng(shape[0])
    y, x = np.indices(shape)
    values = rng.normal(300 + 0.3 * x + 0.1 * y, 0.1 if whole else 3)
    values[rng.random(shape) < 0.02] += 400
    return (np.rint(values - 0.3 * x - 0.1 * y) if whole else values).astype(np.float32)


def noise_around(values):
    """Level and spread, which of whole numbers may be 0 and then is that of the percentiles."""
    level, spread = surroundings(values)
    if (spread > 0).all():
        return level, spread
    low, high = np.percentile(values - level, (2.3, 97.7))
    return level, np.where(spread > 0, spread, (high - low) / 4)


def noise_between(values):
    """Spread from pixel to pixel."""
    return surroundings(np.diff(values, axis=1, append=values[:, -2:-1]))[1] / np.sqrt(2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [False, True])
def test_deviations_in_sigma(shape, whole):
    values = image(shape, whole)
    level, spread = noise_around(values)
    expected = np.clip((values - level) / np.maximum(spread, 1e-6), -4, 4)
    found = in_sigma(values, around_dark(values), 4.0)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_no_number_is_an_outlier_and_no_deviation(shape):
    values = image(shape)
    values[0, 0] = np.nan
    around = around_dark(values)
    assert outliers(values, around, 6.0)[0, 0]
    assert in_sigma(values, around, 4.0)[0, 0] == 0
    assert not above(values, around, 6.0)[0, 0]


@pytest.mark.parametrize("shape", SHAPES[2:])
def test_outliers_by_their_surroundings_and_by_the_square_around(shape):
    values = image(shape)
    level, spread = surroundings(values)[0], noise_between(values)
    limit = np.maximum(6 * spread, 0.25 * np.abs(level))
    padded = np.pad(values, 3, mode="reflect")
    square = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    near = np.median(square, axis=(2, 3))
    expected = (np.abs(values - level) > limit) & (np.abs(values - near) > limit)
    found = outliers(values, around_flat(values), 6.0, 0.25)
    np.testing.assert_array_equal(found, expected)
    assert found.any()


def test_a_stretch_without_numbers_is_level_zero_and_spoils_nothing_beside_it():
    values = image((320, 400))
    level, spread = surroundings(values)
    values[64:224, 64:224] = np.nan
    holed_level, holed_spread = surroundings(values)
    inside = np.s_[128:160, 128:160]  # farther than the tiles around one vouch for it
    assert (holed_level[inside] == 0).all()
    assert np.isfinite(holed_level).all()
    assert np.isfinite(holed_spread).all()
    beside = np.s_[:, 288:]
    np.testing.assert_array_equal(holed_level[beside], level[beside])
    np.testing.assert_allclose(holed_spread[beside], spread[beside], rtol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (31, 1), (1, 97), (40, 45)])
def test_an_image_without_any_number(shape):
    level, spread = surroundings(np.full(shape, np.nan, np.float32))
    assert (level == 0).all()
    assert (spread == 0).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_does_not_count_in_the_level(odd):
    values = image((128, 160))
    level, spread = surroundings(values)
    values[np.random.default_rng(1).random(values.shape) < 0.4] = odd
    some_level, some_spread = surroundings(values)
    # Medians of 600 values that scatter by 4 with the slope: four times what these do.
    np.testing.assert_allclose(some_level, level, atol=4 * 1.25 * 4 / np.sqrt(600))
    np.testing.assert_allclose(some_spread, spread, rtol=0.2)
