"""The frame's common profile and the stars' growth."""

import numpy as np
import pytest
from scipy.integrate import quad

from astro_assets.imaging.moments import adaptive_moments
from astro_assets.imaging.profile import Profile, _residuals, common_profile, growth
from astro_assets.imaging.stars import find_stars
from astro_assets_tests.imaging.star_field import draw, pair, recorded_fwhm, scatter


@pytest.mark.parametrize("beta", [2.5, 3.5])
def test_profile_of_drawn_stars(beta: float) -> None:
    x, y = scatter(60, seed=3)
    field = draw(x, y, np.full(60, 1e5), seed=3, fwhm_px=4.0, beta=beta)
    signal = field.image - np.float32(200)
    shapes = adaptive_moments(signal, x, y, np.full(60, 1.7))
    profile = common_profile(signal, shapes, np.arange(60))
    fwhm_px = np.median(profile.fwhm_px(shapes.sigma_px))
    assert fwhm_px == pytest.approx(recorded_fwhm(4.0, beta), rel=0.02)
    assert profile.beta == pytest.approx(beta, rel=0.12)


def test_share_within() -> None:
    fwhm = 2 * np.sqrt(2 ** (1 / 3.5) - 1)

    def light(to: float) -> float:
        return float(quad(lambda radius: radius * (1 + radius**2) ** -3.5, 0, to)[0])

    within = light(1.25 * fwhm) / light(np.inf)
    assert Profile(2.4, 3.5).share_within(1.25) == pytest.approx(within, abs=1e-6)


def test_growth_hears_those_that_know() -> None:
    """Ten good stars against thirty whose large apertures hold noise, or a nebula."""
    rng = np.random.default_rng(4)
    inner = np.concatenate([np.full(10, 1e5), np.full(30, 2e3)])
    error = np.concatenate([np.full(10, 300.0), np.full(30, 400.0)])
    outer = 1.1 * inner + rng.normal(0, error) + np.where(inner < 1e4, 300, 0)
    assert growth(inner, outer, error) == pytest.approx(1.1, abs=0.003)
    assert growth(inner[:2], outer[:2], error[:2]) == 1.05


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_scale_of_fluxes(seed: int) -> None:
    """All fluxes of a frame share it: it must not wander from frame to frame."""
    x, y = scatter(110, seed=seed)
    flux_e = np.concatenate([np.full(10, 2e5), np.full(100, 3.5e3)])
    field = draw(x, y, flux_e, seed=seed)
    stars = find_stars(field.image, field.mask)
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), x, y)
    bright = field.flux_e[j] > 1e5
    ratio = stars["flux_e"].to_numpy()[i][bright] / field.flux_e[j][bright]
    assert bright.sum() == 10
    assert np.median(ratio) == pytest.approx(1, abs=0.005)


def test_the_slopes_of_the_fit_are_those_of_its_residuals() -> None:
    """By differences; the second star drowns in noise, the third has no light to be scaled to."""
    rng = np.random.default_rng(3)
    star = np.repeat(np.arange(3), 40)
    dx, dy = rng.uniform(-5, 5, (2, 120))
    value = 800 * (1 + (dx**2 + dy**2) / 6) ** -3.0 + rng.normal(0, 5, 120)
    value[star == 2] = -1e-9
    ellipses = np.array([[0.5, 0.6, 0.1], [0.9, 0.7, 0.0], [1.0, 1.0, 0.0]])
    samples = star, dx, dy, value, ellipses, np.array([5.0, 900.0, 0.0])
    at = np.array([2.1, 3.2])
    _, slopes = _residuals(*at, *samples)
    for p, step in enumerate(1e-6 * np.eye(2)):
        rise = _residuals(*(at + step), *samples)[0] - _residuals(*(at - step), *samples)[0]
        np.testing.assert_allclose(slopes[:, p], rise / 2e-6, rtol=1e-5, atol=1e-7)
