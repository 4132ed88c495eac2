"""A faster wrong answer fails its row: each judgement on a right result and on wrong ones."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from astro_assets_tests.bench import judge
from astro_assets_tests.bench.compared import Compared
from astro_assets_tests.bench.figures import Depth, Field, depth

SHAPE = (200, 240)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def noise(rng: np.random.Generator, sigma: float) -> NDArray[np.float64]:
    return rng.normal(0.0, sigma, SHAPE)


GOOD = np.ones(SHAPE, bool)


def test_a_master_that_is_off_or_noisier_than_the_peers_is_wrong(rng: np.random.Generator) -> None:
    truth = 1000 + noise(rng, 5)
    peers = truth + noise(rng, 2)
    assert judge.master(truth + noise(rng, 2), peers, truth, GOOD).holds
    assert not judge.master(truth + noise(rng, 2) + 0.7, peers, truth, GOOD).holds
    # Half of the frames left out: faster, and noisier.
    assert not judge.master(truth + noise(rng, 2 * 2**0.5), peers, truth, GOOD).holds


def test_a_light_that_lost_some_of_its_light_is_wrong(rng: np.random.Generator) -> None:
    truth = 500 + noise(rng, 3)
    right = truth + noise(rng, 20)
    assert judge.calibrated(right, None, truth, GOOD).holds
    assert not judge.calibrated(0.9 * right, None, truth, GOOD).holds
    assert not judge.calibrated(truth + noise(rng, 25), right, truth, GOOD).holds


def test_cosmic_rays_that_were_missed_or_made_up_are_wrong(rng: np.random.Generator) -> None:
    hit = rng.random(SHAPE) < 0.002
    assert judge.rays(hit, hit, hit).holds
    assert not judge.rays(np.zeros(SHAPE, bool), hit, hit).holds
    assert not judge.rays(hit | (rng.random(SHAPE) < 0.01), hit, hit).holds


def test_stars_that_were_missed_or_are_too_wide_are_wrong(rng: np.random.Generator) -> None:
    truth = Field(rng.uniform(0, 200, (80, 2)), 3.0)
    assert judge.stars(truth, [], truth).holds
    assert not judge.stars(replace(truth, positions=truth.positions[:60]), [], truth).holds
    assert not judge.stars(replace(truth, fwhm_px=3.3), [], truth).holds


def test_a_solution_that_is_off_is_wrong() -> None:
    assert judge.solution(0.1, 0.2).holds
    assert not judge.solution(0.4, None).holds
    assert not judge.solution(0.25, 0.1).holds


PLACES = np.random.default_rng(3).permutation(
    np.stack(np.meshgrid(np.linspace(45, 855, 10), np.linspace(45, 855, 10)), -1).reshape(-1, 2)
)


def sky(rng: np.random.Generator, frames: int, width_px: float) -> NDArray[np.float64]:
    """Stars of one field in a stack of so many frames."""
    ny, nx = 900, 900
    y, x = np.mgrid[:ny, :nx]
    image = rng.normal(0.0, 10 / frames**0.5, (ny, nx))
    for (at_x, at_y), peak in zip(PLACES, np.geomspace(3000, 300, len(PLACES)), strict=True):
        box = np.s_[int(at_y) - 15 : int(at_y) + 16, int(at_x) - 15 : int(at_x) + 16]
        r2 = (x[box] - at_x) ** 2 + (y[box] - at_y) ** 2
        image[box] += peak * (1.5 / width_px) ** 2 * np.exp(-r2 / (2 * width_px**2))
    return image


def test_a_stack_of_half_the_frames_or_a_blurred_one_is_wrong(rng: np.random.Generator) -> None:
    peer = depth(sky(rng, 20, 1.5), PLACES)
    assert judge.stack(depth(sky(rng, 20, 1.5), PLACES), [peer]).holds
    assert not judge.stack(depth(sky(rng, 10, 1.5), PLACES), [peer]).holds
    assert not judge.stack(depth(sky(rng, 20, 2.0), PLACES), [peer]).holds
    with pytest.raises(ValueError, match="not where"):
        depth(sky(rng, 20, 1.5), PLACES + 7)
    assert not judge.stack(Depth(0.0, 3.0), []).holds


def test_a_picture_with_a_green_sky_or_none_is_wrong() -> None:
    shown = np.full((50, 60, 3), 40, np.uint8)
    shown[20:25, 30:35] = 255
    assert judge.picture(shown).holds
    green = shown.copy()
    green[..., 1] += 15
    assert not judge.picture(green).holds
    assert not judge.picture(np.zeros((50, 60, 3), np.uint8)).holds


def test_a_fast_wrong_answer_reaches_nothing() -> None:
    fast = Compared("stack", "Siril", "wall_s", 0.25, 1.0, 10.0, right=True, theirs_cost=None)
    assert fast.reached
    assert replace(fast, right=False).reached is False
    assert replace(fast, ours=5.0).reached is False
    assert replace(fast, theirs=None).reached is None
