import numpy as np
import pytest

from astro_assets.imaging.color import compose
from astro_assets.imaging.white_balance import KnownColors, star_colors
from astro_assets_tests.imaging.star_spectra import RESPONSE, ColorField, color_field


def known(field: ColorField, **change: np.ndarray) -> KnownColors:
    told = {"x": field.x, "y": field.y, "color_mag": field.bv_mag} | change
    return KnownColors(**told, index="B-V", catalogue="Tycho-2")


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_stars_have_the_colours_that_their_light_has(seed: int):
    field = color_field(seed)
    result = compose(field.images, known=known(field))
    assert result.balance.white == "G2V star"
    red, _, blue = result.balance.factors
    assert red * RESPONSE["R"] == pytest.approx(1, abs=0.02)
    assert blue * RESPONSE["B"] == pytest.approx(1, abs=0.02)
    measured = star_colors(result.rgb, np.zeros(result.rgb.shape[1:], bool))
    nearest = np.hypot(
        np.subtract.outer(measured.x, field.x), np.subtract.outer(measured.y, field.y)
    ).argmin(axis=1)
    off = measured.flux_e[[0, 2]] / measured.flux_e[1] / field.ratio[:, nearest] - 1
    assert len(measured.x) > 30
    assert np.abs(np.median(off, axis=1)).max() < 0.02
    assert result.balance.error < 0.02


def test_the_average_star_is_white_where_no_catalogue_tells_colours_and_the_reason_is_kept():
    field = color_field(6)
    result = compose(field.images, why_not="no index file tells the colours of the stars here")
    assert result.balance.white == "average star"
    assert "no index file" in result.balance.source
    measured = star_colors(result.rgb, np.zeros(result.rgb.shape[1:], bool)).flux_e
    assert np.median(measured[0] / measured[1]) == pytest.approx(1, abs=0.02)


def test_a_catalogue_that_does_not_fit_is_not_believed():
    field = color_field(7)
    rng = np.random.default_rng(7)
    wrong = compose(field.images, known=known(field, color_mag=rng.uniform(-0.2, 1.8, 60)))
    few = compose(field.images, known=known(field, color_mag=np.full(60, np.nan)))
    alike = compose(field.images, known=known(field, color_mag=np.full(60, 0.7)))
    for result, reason in (
        (wrong, "do not follow"),
        (few, "only 0 stars have a colour"),
        (alike, "say nothing"),
    ):
        assert result.balance.white == "average star"
        assert reason in result.balance.source


def test_wrong_catalogue_colours_of_some_stars_do_no_harm():
    field = color_field(8)
    color_mag = field.bv_mag.copy()
    color_mag[::7] += 1.0
    right, disturbed = (
        compose(field.images, known=known(field, color_mag=c)).balance.factors
        for c in (field.bv_mag, color_mag)
    )
    assert disturbed == pytest.approx(right, rel=0.02)


def test_an_empty_field_is_not_balanced_and_says_so():
    rng = np.random.default_rng(9)
    images = {n: rng.normal(100, 5, (200, 220)).astype(np.float32) for n in "RGB"}
    result = compose(images)
    assert result.balance.white == "not balanced"
    assert "only 0 stars" in result.balance.source


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_star_rims_have_their_stars_colour_whatever_the_seeing(seed: int):
    field = color_field(seed, fwhm_px=(3.4, 2.6, 3.2))
    result = compose(field.images, known=known(field))
    assert "G" in result.softened
    rgb = result.rgb
    v, u = np.mgrid[: rgb.shape[1], : rgb.shape[2]]
    core, rim = np.zeros(3), np.zeros(3)
    for x, y in zip(field.x, field.y, strict=True):
        distance = np.hypot(u - x, v - y)
        core += rgb[:, distance < 1.5].sum(axis=1)
        rim += rgb[:, (distance > 3) & (distance < 6)].sum(axis=1)
    share = rim / core
    assert share[1] / share[[0, 2]].mean() == pytest.approx(1, abs=0.06)
