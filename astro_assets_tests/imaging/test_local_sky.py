"""The sky in a ring around a star, and fluxes on a nebula whose edge the mesh cannot follow."""

import numpy as np
import pytest

from astro_assets.imaging.local_sky import local_sky
from astro_assets.imaging.stars import find_stars
from astro_assets_tests.imaging.star_field import draw, pair


def ring(signal: np.ndarray, hidden: np.ndarray | None = None) -> tuple[float, float]:
    hidden = np.zeros(signal.shape, bool) if hidden is None else hidden
    found = local_sky(
        signal.astype(np.float32), hidden, np.array([30.0]), np.array([30.0]), 10.0, 16.0
    )
    return float(found.level[0]), float(found.error[0])


def test_level_and_error_are_those_of_the_ring_alone() -> None:
    signal = np.random.default_rng(1).normal(7, 3, (61, 61))
    y, x = np.mgrid[:61, :61]
    radius = np.hypot(x - 30, y - 30)
    signal[radius < 10] = 1e4
    signal[radius > 16] = -1e4
    inside = (radius >= 10) & (radius <= 16)
    level, error = ring(signal)
    # The clip at 3 sigma takes next to nothing of a Gaussian.
    assert level == pytest.approx(signal[inside].mean(), abs=0.05)
    assert error == pytest.approx(3 / np.sqrt(inside.sum()), rel=0.1)


def test_other_stars_and_hidden_pixels_in_the_ring_do_not_count() -> None:
    signal = np.random.default_rng(2).normal(7, 3, (61, 61))
    hidden = np.zeros(signal.shape, bool)
    signal[40:46, 28:34] = 500
    signal[14:24, 20:40], hidden[14:24, 20:40] = 9.5, True
    assert ring(signal, hidden)[0] == pytest.approx(7, abs=0.5)


def test_too_few_pixels_tell_nothing() -> None:
    signal = np.full((61, 61), 5.0)
    assert ring(signal, np.ones(signal.shape, bool)) == (0.0, 0.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fluxes_on_a_nebula(seed: int) -> None:
    """Filaments half as bright as the sky and some 80 px wide: the mesh's boxes cut them off."""
    rng = np.random.default_rng(seed)
    x, y = (
        side.ravel() for side in np.meshgrid(np.arange(40.0, 480, 44), np.arange(40.0, 480, 44))
    )
    x, y = x + rng.uniform(-4, 4, x.size), y + rng.uniform(-4, 4, y.size)
    flux_e = 10 ** rng.uniform(4.3, 5.3, x.size)
    field = draw(x, y, flux_e, shape=(512, 512), seed=seed)
    rows, columns = np.mgrid[:512, :512]
    nebula = 100 * np.exp(3 * (np.sin(rows / 30 + seed) * np.sin(columns / 34) - 1))
    stars = find_stars((field.image + nebula).astype(np.float32), field.mask)
    i, j = pair(stars["x"].to_numpy(), stars["y"].to_numpy(), field.x, field.y)
    clear = stars["snr"].to_numpy()[i] > 100
    ratio = (stars["flux_e"].to_numpy()[i] / field.flux_e[j])[clear]
    assert clear.sum() > 40
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < 0.012
