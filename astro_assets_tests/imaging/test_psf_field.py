"""Tilt and curvature, against drawn ones."""

import numpy as np
import pytest

from astro_assets.imaging.psf_field import psf_field
from astro_assets.imaging.stars import find_stars
from astro_assets_tests.imaging.star_field import draw, recorded_fwhm, scatter

SHAPE = (600, 800)


def drawn(seed: int, slope: tuple[float, float], bowl: float, count: int = 110):  # type: ignore[no-untyped-def]
    x, y = scatter(count, seed=seed, shape=SHAPE, apart_px=28)
    u, v = (x - 399.5) / 500, (y - 299.5) / 500
    fwhm_px = 3 * (1 + slope[0] * u + slope[1] * v + bowl * (u**2 + v**2))
    field = draw(x, y, np.full(count, 5e4), seed=seed, shape=SHAPE, fwhm_px=fwhm_px)
    return find_stars(field.image, field.mask)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tilt_and_curvature_are_recovered(seed: int) -> None:
    found = psf_field(drawn(seed, (-0.15, 0.10), 0.25), SHAPE)
    middle, corner = recorded_fwhm(3), recorded_fwhm(3 * 1.25)
    assert found.middle_px == pytest.approx(middle, rel=0.02)
    assert found.curvature == pytest.approx((corner - middle) / middle, abs=0.015)
    # From corner to corner: 2 · (0.15 · 0.8 + 0.10 · 0.6), less what the pixel makes equal.
    assert found.tilt == pytest.approx(0.36 * (corner - middle) / (0.25 * middle), abs=0.02)
    assert found.tilt_deg == pytest.approx(np.degrees(np.arctan2(0.10, -0.15)), abs=4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_even_field_is_even_within_its_errors(seed: int) -> None:
    found = psf_field(drawn(seed, (0, 0), 0), SHAPE)
    assert abs(found.curvature) < max(4 * found.curvature_error, 0.005)
    assert found.tilt < max(5 * found.tilt_error, 0.01)
    assert found.tilt_error < 0.02


@pytest.mark.parametrize("kept", ["few", "one side", "none"])
def test_stars_that_cannot_tell_tell_nothing(kept: str) -> None:
    stars = drawn(4, (0.2, 0), 0)
    chosen = {"few": stars.iloc[:8], "one side": stars[stars["x"] > 420], "none": stars.iloc[:0]}
    assert np.isnan(psf_field(chosen[kept], SHAPE).tilt)
