"""Zero point, limiting magnitude, transparency."""

import numpy as np
import pandas as pd
import pytest

from astro_assets.imaging.photometry import (
    limiting_magnitude,
    sky_brightness,
    transparency,
    zero_point,
)
from astro_assets.imaging.profile import Profile
from astro_assets.imaging.stars import find_stars
from astro_assets_tests.imaging.star_field import draw, pair, scatter


def table(mag: np.ndarray, *, zero: float, exposure_s: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    flux_e = exposure_s * 10 ** (0.4 * (zero - mag + rng.normal(0, 0.05, len(mag))))
    return pd.DataFrame({"flux_e": flux_e, "snr": 100.0, "saturated": False, "missing": 0.0})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_zero_point_despite_wrong_stars(seed: int) -> None:
    mag = np.random.default_rng(seed).uniform(7, 12, 40)
    stars = table(mag, zero=20.5, exposure_s=30, seed=seed)
    stars.loc[:4, "flux_e"] *= 3
    stars.loc[5:8, "saturated"] = True
    stars.loc[5:8, "flux_e"] /= 10
    stars.loc[9:12, "snr"] = 5
    stars.loc[9:12, "flux_e"] *= 10
    found = zero_point(stars, pd.DataFrame({"star": np.arange(40), "mag": mag}), 30)
    assert found is not None
    assert found.mag == pytest.approx(20.5, abs=0.03)
    assert 0.005 < found.error < 0.03
    assert 24 <= found.n <= 27


def test_saturated_stars_do_not_count() -> None:
    mag = np.random.default_rng(7).uniform(7, 12, 40)
    stars = table(mag, zero=20.5, exposure_s=30, seed=7)
    stars.loc[:17, "saturated"] = True
    stars.loc[:17, "flux_e"] *= 0.9
    found = zero_point(stars, pd.DataFrame({"star": np.arange(40), "mag": mag}), 30)
    assert found is not None
    assert found.mag == pytest.approx(20.5, abs=0.03)


def test_too_few_stars_give_none() -> None:
    stars = table(np.array([8.0, 9.0]), zero=20, exposure_s=1, seed=4)
    assert zero_point(stars, pd.DataFrame({"star": [0, 1], "mag": [8.0, 9.0]}), 1) is None
    nothing = pd.DataFrame({"star": np.empty(0, int), "mag": np.empty(0)})
    assert zero_point(stars, nothing, 1) is None


def test_no_exposure_time_gives_none() -> None:
    mag = np.full(9, 8.0)
    stars = table(mag, zero=20, exposure_s=1, seed=5)
    assert zero_point(stars, pd.DataFrame({"star": np.arange(9), "mag": mag}), 0) is None


def test_star_at_the_limit_has_five_sigma() -> None:
    """A star of the limiting magnitude, drawn 60 times, is found about as often as not."""
    limit = limiting_magnitude(20, noise_e=15, fwhm_px=3, exposure_s=10)
    flux_e = 10 * 10 ** (0.4 * (20 - limit))
    x, y = scatter(60, seed=6, apart_px=40)
    shares = []
    for factor in (0.5, 2.0):
        field = draw(x, y, np.full(60, factor * flux_e), seed=6, beta=30, sky_e=200)
        stars = find_stars(field.image, field.mask)
        shares.append(len(pair(stars["x"].to_numpy(), stars["y"].to_numpy(), x, y)[0]) / 60)
    assert shares[0] < 0.2
    assert shares[1] > 0.8


def test_transparency() -> None:
    assert transparency(20.0, 20.0) == 1
    assert transparency(19.0, 20.0) == pytest.approx(0.398, abs=0.001)


def test_a_star_cut_by_a_bad_column_does_not_count() -> None:
    mag = np.random.default_rng(8).uniform(7, 12, 30)
    stars = table(mag, zero=20.5, exposure_s=30, seed=8)
    stars.loc[:13, "missing"] = 0.3
    stars.loc[:13, "flux_e"] *= 0.8
    found = zero_point(stars, pd.DataFrame({"star": np.arange(30), "mag": mag}), 30)
    assert found is not None
    assert found.mag == pytest.approx(20.5, abs=0.04)


def test_sky_brightness_is_that_of_a_square_arcsecond() -> None:
    # 400 e⁻ in 10 s on pixels of 2″: 10 e⁻ per second and square arcsecond.
    sky = sky_brightness(21.0, sky_e=400.0, exposure_s=10.0, scale_arcsec=2.0)
    assert sky == pytest.approx(21.0 - 2.5)


@pytest.mark.parametrize("sky_e", [0.0, -3.0, float("nan")])
def test_a_sky_that_was_taken_off_has_no_brightness(sky_e: float) -> None:
    assert np.isnan(sky_brightness(21.0, sky_e=sky_e, exposure_s=10.0, scale_arcsec=2.0))


@pytest.mark.parametrize("beta", [2.5, 3.5, 29.0])
def test_noise_area_is_one_over_the_sum_of_the_squared_profile(beta: float) -> None:
    alpha = 8 / (2 * np.sqrt(2 ** (1 / beta) - 1))
    y, x = np.mgrid[-150:151, -150:151]
    drawn = (1 + (x**2 + y**2) / alpha**2) ** -beta
    drawn /= drawn.sum()
    assert Profile(2.1, beta).noise_area_fwhm2 * 8**2 == pytest.approx(
        1 / (drawn**2).sum(), rel=0.01
    )
