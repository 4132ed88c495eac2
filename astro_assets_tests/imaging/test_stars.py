"""Finding and measuring stars, against drawn truth."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import convolve

from astro_assets.errors import Unusable
from astro_assets.imaging.bayer import luminance
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.stars import COLUMNS, find_stars, seeing
from astro_assets_tests.imaging.star_field import Field, draw, pair, recorded_fwhm, scatter

SEEDS = [1, 2, 3]


@lru_cache(maxsize=4)
def bright_and_faint(seed: int, **drawn: float) -> Field:
    x, y = scatter(150, seed=seed)
    flux_e = 10 ** np.random.default_rng(seed + 100).uniform(2.8, 5.3, 150)
    return draw(x, y, flux_e, seed=seed, **drawn)  # type: ignore[arg-type]


def matched(stars: pd.DataFrame, field: Field) -> pd.DataFrame:
    """Found stars with their truth beside them."""
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), field.x, field.y)
    table = stars.iloc[i].reset_index(drop=True)
    return table.assign(true_x=field.x[j], true_y=field.y[j], true_flux_e=field.flux_e[j])


@pytest.mark.parametrize("seed", SEEDS)
def test_positions(seed: int) -> None:
    field = bright_and_faint(seed)
    stars = matched(find_stars(field.image, field.mask), field)
    off = np.hypot(stars["x"] - stars["true_x"], stars["y"] - stars["true_y"])
    at_50 = stars["snr"].between(35, 70)
    assert at_50.sum() >= 8
    assert np.sqrt((off[at_50] ** 2).mean()) < 0.1
    assert np.sqrt((off[stars["snr"] > 100] ** 2).mean()) < 0.04


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fwhm_px", [2.2, 4.0])
def test_fluxes_and_their_errors(seed: int, fwhm_px: float) -> None:
    field = bright_and_faint(seed, fwhm_px=fwhm_px)
    stars = matched(find_stars(field.image, field.mask), field)
    clear = stars[stars["snr"] > 100]
    ratio = clear["flux_e"] / clear["true_flux_e"]
    assert len(clear) > 40
    assert np.sqrt(((ratio - 1) ** 2).mean()) < 0.02


@pytest.mark.parametrize("bayer", [False, True])
def test_errors_are_the_scatter(bayer: bool) -> None:
    """Some 400 stars of S/N 10 to 60: the sample's own scatter is 4 %."""
    pulls: list[float] = []
    for seed in range(1, 6):
        field = bright_and_faint(seed)
        image, mask = field.image, field.mask
        if bayer:
            image, mask = luminance(image, mask, "RGGB")
        stars = matched(find_stars(image, mask), field)
        sample = stars[stars["snr"].between(10, 60)]
        pulls += list((sample["flux_e"] - sample["true_flux_e"]) / sample["flux_err_e"])
    assert len(pulls) > 250
    assert np.std(pulls) == pytest.approx(1, abs=0.1)
    assert abs(np.mean(pulls)) < 0.3


@pytest.mark.parametrize(
    ("fwhm_px", "beta"),
    [(1.5, 3.5), (2.2, 3.5), (3.0, 3.5), (4.0, 2.5), (3.0, 10.0), (6.0, 3.5), (7.0, 3.5)],
)
def test_fwhm_whatever_the_profile(fwhm_px: float, beta: float) -> None:
    field = bright_and_faint(7, fwhm_px=fwhm_px, beta=beta)
    measured, elongation = seeing(find_stars(field.image, field.mask))
    # The pixel's own width is part of what is recorded.
    assert measured == pytest.approx(recorded_fwhm(fwhm_px, beta), rel=0.02)
    assert elongation < (1.05 if fwhm_px > 2 else 1.1)


@pytest.mark.parametrize("angle_deg", [-60.0, 0.0, 30.0])
def test_elongation_and_its_direction(angle_deg: float) -> None:
    field = bright_and_faint(8, elongation=2.0, angle_deg=angle_deg)
    stars = find_stars(field.image, field.mask)
    _, elongation = seeing(stars)
    clear = stars[stars["snr"] > 100]
    turned = (clear["angle_deg"] - angle_deg + 90) % 180 - 90
    assert abs(turned.median()) < 2
    major, minor = (recorded_fwhm(3 * stretch) for stretch in (np.sqrt(2), np.sqrt(0.5)))
    assert clear["fwhm_major_px"].median() == pytest.approx(major, rel=0.02)
    assert clear["fwhm_minor_px"].median() == pytest.approx(minor, rel=0.02)
    assert elongation == pytest.approx(major / minor, rel=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_complete_and_nothing_invented(seed: int) -> None:
    field = bright_and_faint(seed)
    stars = find_stars(field.image, field.mask)
    assert stars["flux_e"].is_monotonic_decreasing
    assert len(matched(stars, field)) == len(stars)
    expected_snr = field.flux_e / np.sqrt(field.flux_e + 225 * np.pi * 4.6**2)
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), field.x, field.y)
    assert len(np.setdiff1d(np.flatnonzero(expected_snr > 15), j)) == 0
    assert len(i) == len(set(j))


@pytest.mark.parametrize("smoothed", [False, True])
def test_noise_is_no_star(smoothed: bool) -> None:
    rng = np.random.default_rng(9)
    image = rng.normal(100, 10, (1000, 1000)).astype(np.float32)
    if smoothed:  # as debayering does
        image = convolve(image, np.outer([1, 2, 1], [1, 2, 1]) / 16)
    stars = find_stars(image, np.zeros(image.shape, np.uint8))
    assert len(stars) <= 1


def test_empty_field_has_the_columns() -> None:
    image = np.random.default_rng(10).normal(0, 1, (100, 100)).astype(np.float32)
    stars = find_stars(image, np.zeros(image.shape, np.uint8), threshold_sigma=8)
    assert list(stars.columns) == list(COLUMNS)
    assert len(stars) == 0
    assert stars["saturated"].dtype == bool
    assert np.isnan(seeing(stars)).all()


@pytest.mark.parametrize("told_by", ["mask", "level"])
def test_saturated_stars_are_known_and_kept(told_by: str) -> None:
    x, y = scatter(60, seed=11, apart_px=40)
    flux_e = np.where(np.arange(60) < 8, 2e6, 5e4)
    field = draw(x, y, flux_e, seed=11, saturation_e=60_000)
    mask = field.mask if told_by == "mask" else np.zeros_like(field.mask)
    stars = find_stars(field.image, mask, saturation_e=None if told_by == "mask" else 60_000)
    table = matched(stars, field)
    assert len(table) == 60
    np.testing.assert_array_equal(table["saturated"], table["true_flux_e"] > 1e6)
    off = np.hypot(table["x"] - table["true_x"], table["y"] - table["true_y"])
    assert off[table["saturated"]].max() < 0.3
    assert seeing(stars)[0] == pytest.approx(np.hypot(3, 0.68), rel=0.02)


@pytest.mark.parametrize("width_px", [1, 2])
def test_hot_pixels_and_their_clusters_are_no_stars(width_px: int) -> None:
    field = bright_and_faint(12)
    rng = np.random.default_rng(12)
    image = field.image.copy()
    for row, column in zip(rng.integers(0, 600, 100), rng.integers(0, 800, 100), strict=True):
        image[row : row + width_px, column : column + width_px] += rng.uniform(200, 20_000)
    stars = find_stars(image, field.mask)
    near = np.hypot(
        np.subtract.outer(stars["x"].to_numpy(), field.x),
        np.subtract.outer(stars["y"].to_numpy(), field.y),
    ).min(axis=1)
    assert (near > 4).sum() <= 3


def test_masked_and_missing_pixels_are_not_looked_at() -> None:
    field = bright_and_faint(13)
    image, mask = field.image.copy(), field.mask.copy()
    image[:, 400] = 60_000
    mask[:, 400] = MaskBit.BAD
    image[300:310, 100:110] = np.nan
    before = image.copy()
    stars = find_stars(image, mask)
    untouched = stars[(stars["x"] - 400).abs() > 6]
    assert np.isfinite(stars.to_numpy(dtype=float)).all()
    assert len(matched(untouched, field)) == len(untouched)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("seed", SEEDS)
def test_fluxes_beside_bad_pixels_and_borders_are_right_or_say_that_they_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = scatter(110, seed=seed)
    x[:20] = rng.uniform(-1, 4, 20)
    flux_e = 10 ** rng.uniform(3.8, 5, 110)
    field = draw(x, y, flux_e, seed=seed)
    image, mask = field.image.copy(), field.mask.copy()
    for star_x, star_y in zip(
        x[20:70].round().astype(int), y[20:70].round().astype(int), strict=True
    ):
        column = star_x + rng.integers(-3, 4)
        rows = slice(max(0, star_y - 6), star_y + 7)
        image[rows, column], mask[rows, column] = rng.choice([0, 30_000]), MaskBit.BAD
    stars = matched(find_stars(image, mask), field)
    apart = np.hypot(np.subtract.outer(stars["true_x"].to_numpy(), x),
                     np.subtract.outer(stars["true_y"].to_numpy(), y))  # fmt: skip
    stars = stars[np.sort(apart, axis=1)[:, 1] > 20]
    off = stars["flux_e"] - stars["true_flux_e"]
    cut = stars["missing"] > 0
    assert cut.sum() > 30
    assert (off / stars["flux_err_e"])[cut].std() < 1.2
    assert (off / stars["true_flux_e"])[stars["missing"].between(1e-9, 0.02)].abs().max() < 0.06
    # Nearly half of its light gone, a star's flux is still no worse than a fifth off.
    assert (off / stars["true_flux_e"])[stars["missing"] < 0.3].abs().max() < 0.25


def test_two_stars_that_touch_are_two() -> None:
    field = draw(np.array([100.0, 108.0]), np.array([100.0, 103.0]), np.array([4e4, 2e4]), seed=3)
    stars = matched(find_stars(field.image, field.mask), field)
    assert len(stars) == 2


@pytest.mark.parametrize("length_px", [9, 25])
def test_trailed_stars_are_one_each(length_px: int) -> None:
    x, y = scatter(40, seed=14, apart_px=60)
    field = draw(x, y, np.full(40, 2e5), seed=14)
    trail = np.eye(length_px, dtype=np.float32) / length_px
    noise = np.random.default_rng(14).normal(200, 15, field.image.shape)
    image = (convolve(field.image - 200, trail) + noise).astype(np.float32)
    stars = find_stars(image, field.mask)
    assert 38 <= len(stars) <= 42
    assert seeing(stars)[1] > 1.8


def test_astrophotography_swaps_x_and_y() -> None:
    """Its PSF fit reads rows for columns. The frame is not square, the stars far from x = y."""
    field = draw(np.array([700.0, 650.0, 60.0]), np.array([80.0, 300.0, 550.0]),
                 np.full(3, 1e5), seed=5, elongation=1.8, angle_deg=0.0)  # fmt: skip
    stars = matched(find_stars(field.image, field.mask), field)
    assert len(stars) == 3
    assert (stars["angle_deg"].abs() < 3).all()
    assert (stars["fwhm_major_px"] > 1.5 * stars["fwhm_minor_px"]).all()


def test_astrophotography_takes_bright_calibrated_stars_for_saturated() -> None:
    """It compares calibrated values with 0.8 · 65535. A flat divided into a corner lifts them."""
    x, y = scatter(30, seed=6, apart_px=40)
    field = draw(x, y, np.full(30, 1.2e6), seed=6)
    assert field.image.max() > 0.8 * 65535
    stars = find_stars(field.image, field.mask)
    assert not stars["saturated"].any()


def test_astrophotography_crashes_without_stars() -> None:
    noise = np.random.default_rng(7).normal(100, 3, (300, 400)).astype(np.float32)
    for image in (noise, np.zeros_like(noise), np.full_like(noise, 7)):
        stars = find_stars(image, np.zeros(image.shape, np.uint8))
        assert len(stars) == 0
        assert np.isnan(seeing(stars)).all()


def test_all_saturated_is_a_sentence() -> None:
    image = np.full((100, 100), 65535, np.float32)
    with pytest.raises(Unusable, match="No pixel of this frame is usable"):
        find_stars(image, np.full(image.shape, MaskBit.SATURATED, np.uint8))


def test_a_field_of_saturated_stars_only() -> None:
    x, y = scatter(25, seed=8, apart_px=50)
    field = draw(x, y, np.full(25, 3e6), seed=8, saturation_e=50_000)
    stars = find_stars(field.image, field.mask)
    assert stars["saturated"].all()
    assert np.isnan(seeing(stars)).all()
