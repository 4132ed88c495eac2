"""What was put in is found, and next to nothing else."""

import numpy as np
import pytest

from astro_assets.imaging.bad_lines import bad_columns
from astro_assets.imaging.bad_pixels import bad_pixel_map, dead_pixels, hot_pixels
from astro_assets.imaging.mask import MaskBit

SHAPE = (400, 520)


def dark_with_defects(seed):
    """A master dark with amplifier glow, hot pixels of 15σ and more, columns."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    dark = 300 + rng.normal(0, 2, SHAPE) + 200 * np.exp(-np.hypot(x, y) / 40)
    hot = rng.random(SHAPE) < 0.002
    dark[hot] += rng.uniform(30, 3000, hot.sum())
    columns = [17, 300, 301, 302, 450]
    dark[:, [300, 301, 302]] += 6
    dark[:, 17] -= 100
    dark[:, 450] += 1500
    dark[211, :] += 8
    return dark, hot, columns, 211


def flat_with_defects(seed, bayer):
    """Vignetting, dust rings, pixels of 0 to 60 % response and a weak column."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    flat = (1 - 0.5 * ((x - 260) ** 2 + (y - 200) ** 2) / 328**2) * rng.normal(1, 0.01, SHAPE)
    for cx, cy in rng.uniform(50, 350, (6, 2)):
        r = np.hypot(x - cx, y - cy)
        flat *= 1 - 0.15 * ((r > 8) & (r < 16))
    dead = rng.random(SHAPE) < 0.001
    flat[dead] *= rng.uniform(0, 0.6, dead.sum())
    flat[:, 400] *= 0.7
    if bayer:
        flat *= np.where((x % 2 == 0) & (y % 2 == 0), 0.4, 1)
    return flat, dead


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("bayer", [False, True])
def test_recall_and_false_pixels(seed, bayer):
    dark, hot, columns, row = dark_with_defects(seed)
    flat, dead = flat_with_defects(seed, bayer)
    found = bad_pixel_map(dark, flat, bayer=bayer)
    bad = found == MaskBit.BAD
    assert found.dtype == np.uint8
    assert bad[hot].mean() >= 0.99
    assert bad[dead].mean() >= 0.99
    assert bad[:, [*columns, 400]].all()
    assert bad[row].all()
    truth = hot | dead
    truth[:, [*columns, 400]] = True
    truth[row] = True
    assert bad[~truth].mean() <= 0.001


def test_glow_and_vignetting_alone_flag_nothing():
    rng = np.random.default_rng(4)
    y, x = np.indices(SHAPE)
    glow = 300 + rng.normal(0, 2, SHAPE) + 2000 * np.exp(-np.hypot(x, y) / 60)
    assert hot_pixels(glow).mean() < 1e-4
    flat = 1 - 0.6 * ((x - 260) ** 2 + (y - 200) ** 2) / 328**2
    assert not dead_pixels(flat).any()
    assert not bad_columns(flat, least_step=0.03).any()


def test_a_cluster_is_found_whole():
    dark = np.random.default_rng(5).normal(300, 2, SHAPE)
    dark[100:104, 100:104] += 500
    found = hot_pixels(dark)
    assert found[100:104, 100:104].all()
    assert found.sum() == 16


def test_pixels_without_a_value_are_bad():
    dark = np.random.default_rng(6).normal(300, 2, SHAPE)
    dark[10, 20] = np.nan
    dark[64:128, 64:128] = np.nan
    found = hot_pixels(dark)
    assert found[10, 20]
    assert found[64:128, 64:128].all()
    assert found.sum() == 1 + 64 * 64


@pytest.mark.parametrize("shape", [(20, 25), (33, 31), (65, 40)])
def test_sizes_that_are_no_multiple_of_a_tile(shape):
    dark = np.random.default_rng(7).normal(300, 2, shape)
    dark[3, 4] += 200
    found = hot_pixels(dark)
    assert found[3, 4]
    assert found.sum() <= 2


def test_refusals():
    with pytest.raises(ValueError, match="needs a master dark"):
        bad_pixel_map()
    with pytest.raises(ValueError, match="one camera"):
        bad_pixel_map(np.zeros((3, 4)), np.zeros((4, 3)))


@pytest.mark.parametrize("noise_adu", [0.4, 1.0, 3.0])
def test_a_single_dark_of_whole_numbers_shows_its_columns_and_no_row(noise_adu: float) -> None:
    rng = np.random.default_rng(11)
    dark = rng.normal(590.3, noise_adu, (500, 620))
    dark[:, [142, 303]] += 6 * noise_adu
    bad = bad_columns(np.rint(dark))
    assert np.flatnonzero(bad.all(axis=0)).tolist() == [142, 303]
    assert not bad.all(axis=1).any()
