"""Median and variance of the difference of two frames against the plain figures."""

import math

import numpy as np
import pytest

from astro_assets.imaging.differences import median_of_difference, variance_of_difference

SHAPES = [(1, 1), (1, 2), (7, 30), (40, 61), (128, 300)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_median_of_counts(shape):
    rng = np.random.default_rng(shape[1])
    a, b = (rng.integers(0, 2**16, shape).astype(np.uint16) for _ in range(2))
    assert median_of_difference(a, b) == np.median(a.astype(int) - b.astype(int))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_median_of_real_numbers(shape):
    rng = np.random.default_rng(shape[1])
    a, b = (rng.normal(300, 5, shape).astype(np.float32) for _ in range(2))
    a[rng.random(shape) < 0.1] = np.nan
    b[rng.random(shape) < 0.1] = np.inf
    a[0, 0] = b[0, 0] = 1
    off = (a.astype(float) - b)[np.isfinite(a) & np.isfinite(b)]
    assert median_of_difference(a, b) == pytest.approx(np.median(off), rel=1e-6)


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_the_variance_is_that_of_the_noise(kind):
    """Whatever the pattern that both have, and the few pixels that stand apart."""
    rng = np.random.default_rng(5)
    pattern = rng.normal(900, 200, (400, 500))
    a, b = (np.rint(pattern + rng.normal(0, 6, pattern.shape)).astype(kind) for _ in range(2))
    a[rng.random(a.shape) < 0.002] += 5000
    assert variance_of_difference(a, b) == pytest.approx(2 * (36 + 1 / 12), rel=0.02)


def test_counts_and_the_same_as_real_numbers_agree():
    rng = np.random.default_rng(6)
    a, b = (rng.poisson(500, (90, 210)).astype(np.uint16) for _ in range(2))
    as_real = variance_of_difference(a.astype(np.float32), b.astype(np.float32))
    assert variance_of_difference(a, b) == pytest.approx(as_real, rel=1e-6)


def test_nothing_in_common_gives_no_number():
    a, b = np.full((3, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    assert math.isnan(median_of_difference(a, b))
    assert math.isnan(variance_of_difference(a, b))
