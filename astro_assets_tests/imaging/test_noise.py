"""Read noise and gain against a truth, with their errors."""

import numpy as np
import pytest

from astro_assets.errors import NothingToDo
from astro_assets.imaging.noise import gain_e_per_adu, read_noise_adu


def counts(values):
    return np.rint(values).astype(np.uint16)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("truth", [0.8, 1.5, 8.0])
def test_read_noise(seed, truth):
    rng = np.random.default_rng(seed)
    pattern = rng.normal(300, 20, (300, 400))
    frames = [counts(pattern + rng.normal(0, truth, pattern.shape)) for _ in range(6)]
    value, error = read_noise_adu(frames)
    assert abs(value / truth - 1) < 0.006
    assert abs(value - truth) < 5 * error
    assert error < 0.01 * truth


def test_read_noise_with_one_pair_and_rays():
    rng = np.random.default_rng(4)
    frames = [rng.normal(300, 5, (400, 400)) for _ in range(2)]
    frames[0][rng.random((400, 400)) < 1e-3] += 5000
    value, error = read_noise_adu([counts(frame) for frame in frames])
    assert abs(value / 5 - 1) < 0.01
    assert 0.003 < error < 0.03


def flat_pair(rng, gain, level_e, shape=(500, 600), read_noise=5.0):
    y, x = np.indices(shape)
    light = 1 - 0.4 * ((x - 300) ** 2 + (y - 250) ** 2) / 390**2
    light = light * np.where((x % 2 == 0) & (y % 2 == 0), 0.5, 1.0)
    light[:, 40:43] *= 0.5
    hot = rng.random(shape) < 0.01
    light[rng.random(shape) < 1e-3] *= 0.1
    pair = []
    for k in (1.0, 1.1):
        electrons = rng.poisson(level_e * k * light)
        frame = 300 + electrons / gain + rng.normal(0, read_noise, shape)
        pair.append(counts(np.where(hot, 60000, frame)))
    return tuple(pair)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gain(seed):
    """Vignetting, a colour matrix, hot and dead pixels and levels that differ do not count."""
    rng = np.random.default_rng(seed)
    pairs = [flat_pair(rng, 1.7, 30000) for _ in range(3)]
    value, error = gain_e_per_adu(pairs, 300.0, 5.0)
    assert abs(value / 1.7 - 1) < 0.007
    assert abs(value - 1.7) < 4 * error


def test_gain_takes_the_read_noise_off():
    rng = np.random.default_rng(9)
    pair = flat_pair(rng, 1.0, 800, read_noise=20.0)
    assert gain_e_per_adu([pair], 300.0, 20.0)[0] == pytest.approx(1.0, rel=0.03)
    assert gain_e_per_adu([pair], 300.0, 0.0)[0] < 0.8


def test_refusals():
    bias = counts(np.random.default_rng(1).normal(300, 5, (100, 100)))
    with pytest.raises(NothingToDo, match="two bias frames"):
        read_noise_adu([bias])
    with pytest.raises(NothingToDo, match="two flat frames"):
        gain_e_per_adu([], 300.0)
    with pytest.raises(ValueError, match="no signal"):
        gain_e_per_adu([(bias, bias)], 400.0)


def test_pixels_without_a_number_do_not_count():
    rng = np.random.default_rng(11)
    frames = [rng.normal(300, 5, (200, 300)).astype(np.float32) for _ in range(3)]
    pair = tuple(frame.astype(np.float32) for frame in flat_pair(rng, 1.7, 30000))
    for frame in (frames[1], *pair):
        frame[rng.random(frame.shape) < 0.01] = np.nan
    assert abs(read_noise_adu(frames)[0] / 5 - 1) < 0.01
    value, error = gain_e_per_adu([pair], 300.0, 5.0)
    assert abs(value - 1.7) < 4 * error
