import numpy as np
import pytest

from astro_assets.imaging.psf_match import (
    Psf,
    alike,
    common_target,
    convolve,
    kernel,
    measure_psf,
    round_psf,
)
from astro_assets.imaging.stars import find_stars
from astro_assets_tests.imaging.star_field import draw, scatter


def turned(long_px: float, short_px: float, angle_deg: float, beta: float) -> Psf:
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    turn = np.array([[cos, -sin], [sin, cos]])
    matrix = turn @ np.diag([long_px**2 / 4, short_px**2 / 4]) @ turn.T
    return Psf(matrix[0, 0], matrix[1, 1], matrix[0, 1], beta)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_the_profile_of_drawn_stars_is_found(seed: int):
    x, y = scatter(40, seed=seed, shape=(420, 520))
    field = draw(
        x, y, np.geomspace(2e4, 2e5, 40), seed=seed, shape=(420, 520),
        fwhm_px=3.6, beta=3.0, elongation=1.25, angle_deg=30,
    )  # fmt: skip
    stars = find_stars(field.image, field.mask)
    psf = measure_psf(field.image, np.zeros(field.image.shape, bool), stars)
    assert psf is not None
    # The pixel's own width adds to the drawn profile's.
    assert psf.fwhm_px == pytest.approx(3.6, rel=0.04)
    assert psf.elongation == pytest.approx(1.25, abs=0.03)
    assert psf.beta == pytest.approx(3.0, rel=0.1)
    assert psf.xy > 0  # the long axis rises to the right


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (round_psf(2.6, 3.5), round_psf(3.8, 3.5)),
        (round_psf(2.8, 4.5), round_psf(3.1, 2.5)),
        (turned(3.0, 2.6, 20, 3.5), turned(4.4, 3.3, 70, 3.0)),
    ],
)
def test_the_kernel_turns_one_profile_into_the_other(source: Psf, target: Psf):
    side = 101
    made, _ = convolve(
        source.image(side).astype(np.float32), np.zeros((side, side), bool), kernel(source, target)
    )
    wanted = target.image(side)
    middle = np.s_[20:-20, 20:-20]
    assert np.abs(made[middle] - wanted[middle]).sum() < 0.01
    assert np.abs(made[middle] - wanted[middle]).max() < 0.005 * wanted.max()


def test_the_target_is_the_wider_one_or_round_and_wider_than_both():
    sharp, wide = round_psf(2.5, 3.5), round_psf(3.5, 3.0)
    assert common_target(sharp, wide) is wide
    assert common_target(wide, sharp) is wide
    one, other = turned(4.0, 2.6, 0, 3.5), turned(4.0, 2.6, 90, 3.0)
    both = common_target(one, other)
    assert both.elongation == pytest.approx(1)
    assert both.fwhm_px > 4.0
    assert alike(one, one)
    assert not alike(one, other)


def test_holes_are_passed_over_and_flux_is_kept():
    rng = np.random.default_rng(6)
    flat = (100 + rng.normal(0, 1, (120, 140))).astype(np.float32)
    hidden = np.zeros(flat.shape, bool)
    hidden[50:90, 60] = True
    flat[hidden] = np.nan
    hidden[:, 100:] = True
    made, share = convolve(flat, hidden, kernel(round_psf(2.5, 3.5), round_psf(4, 3.5)))
    assert np.abs(made[20:100, 20:95] - 100).max() < 3
    assert np.isnan(made[60, 120])
    assert share[60, 120] == pytest.approx(0, abs=1e-3)


def test_too_few_stars_tell_no_profile():
    field = draw(np.array([100.0]), np.array([90.0]), np.array([5e4]), seed=1, shape=(200, 220))
    stars = find_stars(field.image, field.mask)
    assert measure_psf(field.image, np.zeros(field.image.shape, bool), stars) is None
