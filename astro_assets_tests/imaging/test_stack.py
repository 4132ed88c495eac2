from pathlib import Path

import numpy as np
import pytest
import sep

from astro_assets.errors import NothingToDo
from astro_assets.imaging.coverage import well_covered
from astro_assets.imaging.grid import common_grid
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.planes import Held
from astro_assets.imaging.stack import Layer, Stacked, stack
from astro_assets.imaging.warp import warp
from astro_assets_tests.imaging._sky import spread_stars, star_field, tan

SHAPE = (400, 500)


def layer(image: np.ndarray, background_e: float = 0.0, noise_e: float = 1.0, **more) -> Layer:
    planes = Held(image.astype(np.float32), np.ones(image.shape, np.float32))
    return Layer(planes, background_e, noise_e, **more)


def noisy(rng: np.random.Generator, level: float, noise: float) -> np.ndarray:
    return rng.normal(level, noise, SHAPE)


@pytest.mark.parametrize("n", [3, 5, 8, 20])
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_near_that_of_the_ideal_weighted_mean(n: int, seed: int):
    rng = np.random.default_rng([n, seed])
    noise = rng.uniform(8, 14, n)
    transparency = rng.uniform(0.7, 1.1, n)
    layers = [
        layer(noisy(rng, 100, s), 100, s, scale=1 / t)
        for s, t in zip(noise, transparency, strict=True)
    ]
    ideal = np.sum((noise / transparency) ** -2.0) ** -0.5
    result = stack(layers)
    assert result.image.std() < 1.05 * ideal
    assert 1 / np.sqrt(np.median(result.weight)) == pytest.approx(ideal, rel=0.03)


def test_layers_come_to_one_background_and_one_flux_scale():
    rng = np.random.default_rng(3)
    x, y = spread_stars(rng, SHAPE, 60)
    stars = star_field(SHAPE, x, y, np.full(x.size, 2e5))
    levels, transparency = [300.0, 900.0, 350.0, 500.0, 310.0], [1.0, 0.6, 0.9, 1.1, 1.0]
    layers = [
        layer(noisy(rng, level, 10) + t * stars, level, 10, scale=1 / t)
        for level, t in zip(levels, transparency, strict=True)
    ]
    result = stack(layers)
    assert np.median(result.image) == pytest.approx(result.background_e, abs=0.5)
    clean = result.image - np.float32(result.background_e)
    measured = sep.sum_circle(clean, x, y, 7.0)[0]
    assert np.sqrt(np.mean((measured / 2e5 - 1) ** 2)) < 0.005


def trail(shape: tuple[int, int], offset: float, amplitude: float) -> np.ndarray:
    """A satellite of 3 px width across the whole frame."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    across = (y - 0.6 * x - offset) / np.hypot(1, 0.6)
    return amplitude * np.exp(-0.5 * (across / 1.3) ** 2)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("amplitude", [80.0, 400.0, 20_000.0])
def test_a_satellite_trail_is_gone(n: int, amplitude: float):
    rng = np.random.default_rng([n, 4])
    images = [noisy(rng, 200, 10) for _ in range(n)]
    streak = trail(SHAPE, 60, amplitude)
    images[n // 2] += streak
    result = stack([layer(image, 200, 10) for image in images])
    where = streak > 5
    sigma = result.image[~where].std()
    left = result.image[where] - 200
    assert left.max() < 5 * sigma
    # Nor does its wing, below the clip of any one pixel, stay as a line for the eye.
    assert left.mean() < 0.5 * sigma
    assert result.rejected[n // 2] > 0.5 * np.count_nonzero(streak > 40)
    assert result.rejected[0] < 0.02 * images[0].size


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [3, 4])
def test_under_a_trail_few_layers_are_not_judged_by_the_brightest_of_the_others(n: int, seed: int):
    rng = np.random.default_rng([n, seed])
    images = [noisy(rng, 200, 10) for _ in range(n)]
    streak = trail(SHAPE, 60, 20_000.0)
    images[n // 2] += streak
    result = stack([layer(image, 200, 10) for image in images])
    assert result.image[streak > 5].max() - 200 < 5 * result.image[streak <= 5].std()


def test_cosmic_rays_are_gone_also_beside_stars():
    rng = np.random.default_rng(6)
    x, y = spread_stars(rng, SHAPE)
    truth = star_field(SHAPE, x, y, rng.uniform(2e3, 1e5, x.size))
    images = [rng.poisson(truth + 100) + rng.normal(0, 5, SHAPE) for _ in range(6)]
    hits = np.zeros(SHAPE, bool)
    for image in images:
        ray = rng.random(SHAPE) < 5e-4
        image[ray] += rng.uniform(500, 20_000, ray.sum())
        hits |= ray
    noise = np.sqrt(100 + 25)
    result = stack([layer(image, 100, noise) for image in images])
    sigma = np.sqrt((truth + 100 + 25) / 6)
    deviation = ((result.image - 100 - truth) / sigma)[hits & (truth < 300)]
    assert deviation.max() < 5


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_star_cores_outlive_a_night_of_changing_seeing(seed: int):
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    flux = 10 ** rng.uniform(3.7, 5.5, x.size)
    fwhm = rng.uniform(2.5, 3.8, 8)
    images = [
        rng.poisson(star_field(SHAPE, x, y, flux, size) + 150) + rng.normal(0, 5, SHAPE)
        for size in fwhm
    ]
    result = stack([layer(image, 150, np.sqrt(175)) for image in images])
    measured = sep.sum_circle(result.image - np.float32(150), x, y, 9.0)[0]
    error = np.sqrt(np.pi * 81 * 175 / 8 + flux / 8)
    bright = flux / error > 100
    assert bright.sum() > 20
    assert np.sqrt(np.mean((measured / flux - 1)[bright] ** 2)) < 0.01
    assert np.median((measured / flux)[bright]) == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_layers_give_the_plain_weighted_mean(n: int):
    rng = np.random.default_rng(10)
    images, noise = [noisy(rng, 50, 4) for _ in range(n)], [4.0, 8.0][:n]
    images[0][10, 10] = 1e5
    result = stack([layer(i, 50, s) for i, s in zip(images, noise, strict=True)])
    expected = np.average(images, axis=0, weights=np.array(noise) ** -2.0)
    assert result.image == pytest.approx(expected, rel=1e-5)
    assert result.rejected == (0,) * n


def test_pixels_without_data_and_saturated_ones_are_told():
    rng = np.random.default_rng(11)
    layers = []
    for index in range(4):
        weight = np.ones(SHAPE, np.float32)
        weight[:, :10] = 0
        weight[:50, 10:20] = index == 0
        mask = np.zeros(SHAPE, np.uint8)
        mask[100:103, 100:103] = MaskBit.SATURATED
        if index == 2:
            mask[200, 200] = MaskBit.SATURATED
        image = np.where(weight > 0, noisy(rng, 70, 3), 0).astype(np.float32)
        layers.append(Layer.held(image, weight, 70, 3, 1.0, mask))
    result = stack(layers)
    assert np.isnan(result.image[:, :10]).all()
    assert (result.mask[:, :10] == MaskBit.NO_DATA).all()
    assert (result.weight[:, :10] == 0).all()
    assert np.isfinite(result.image[:, 10:]).all()
    assert (result.count[:50, 10:20] == 1).all()
    assert np.count_nonzero(result.mask == MaskBit.SATURATED) == 9


def test_a_shallow_part_of_a_layer_is_not_taken_for_outliers():
    rng = np.random.default_rng(15)
    weight = np.ones(SHAPE, np.float32)
    weight[:, 250:] = 0.1
    layers = []
    for _ in range(6):
        image = rng.normal(80, 4 / np.sqrt(weight)).astype(np.float32)
        layers.append(Layer.held(image, weight, 80, 4))
    result = stack(layers)
    assert sum(result.rejected) < 0.001 * 6 * weight.size
    assert result.image[:, 250:].std() < 1.02 * 4 / np.sqrt(0.1 * 6)


def test_layers_may_lie_in_files(tmp_path: Path):
    rng = np.random.default_rng(12)
    images = np.stack([noisy(rng, 50, 4) for _ in range(5)]).astype(np.float32)
    np.save(tmp_path / "layers.npy", images)
    files = np.load(tmp_path / "layers.npy", mmap_mode="r")
    ones = np.ones(SHAPE, np.float32)
    in_memory = stack([Layer.held(image, ones, 50, 4) for image in images])
    in_files = stack([Layer.held(image, ones, 50, 4) for image in files])
    np.testing.assert_array_equal(in_files.image, in_memory.image)


def test_nothing_and_impossible_layers_are_refused():
    with pytest.raises(NothingToDo):
        stack([])
    with pytest.raises(ValueError, match="above 0"):
        stack([layer(np.ones(SHAPE), noise_e=0.0)])


def rotated_session(seed: int) -> tuple[Stacked, np.ndarray]:
    """Frames with dithers, field rotation and bad pixels, warped and stacked, and their truth."""
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    flux = 10 ** rng.uniform(4.2, 5.3, x.size)
    home = tan(SHAPE)
    ra, dec = home.all_pix2world(x, y, 0)
    wcss = [
        tan(SHAPE, ra_deg=192.7 + a, dec_deg=41.1 + b, angle_deg=c)
        for a, b, c in rng.normal(0, (0.004, 0.003, 1.0), (7, 3))
    ]
    grid = common_grid(wcss, [SHAPE] * 7)
    layers = []
    for wcs in wcss:
        px, py = wcs.all_world2pix(ra, dec, 0)
        image = rng.poisson(star_field(SHAPE, px, py, flux) + 150) + rng.normal(0, 5, SHAPE)
        bad = rng.random(SHAPE) < 2e-3
        image[bad] = 50_000
        mask = np.where(bad, MaskBit.BAD, 0).astype(np.uint8)
        out = warp(image.astype(np.float32), mask, wcs, grid)
        layers.append(Layer.held(out.image, out.weight, 150, np.sqrt(175), 1.0, out.mask))
    gx, gy = grid.wcs.all_world2pix(ra, dec, 0)
    return stack(layers), np.c_[gx, gy, flux]


@pytest.mark.parametrize("seed", [13, 14])
def test_warped_and_stacked_stars_have_their_flux_and_place(seed: int):
    result, truth = rotated_session(seed)
    x, y, flux = truth.T
    rows, columns = well_covered(result.weight)
    inside = (x > columns.start + 12) & (x < columns.stop - 12)
    inside &= (y > rows.start + 12) & (y < rows.stop - 12)
    x, y, flux = x[inside], y[inside], flux[inside]
    clean = np.nan_to_num(result.image - np.float32(result.background_e))
    measured = sep.sum_circle(clean, x, y, 8.0)[0]
    error = np.sqrt(np.pi * 64 * 175 / 7 + flux / 7)
    bright = flux / error > 100
    assert bright.sum() > 20
    assert np.sqrt(np.mean((measured / flux - 1)[bright] ** 2)) < 0.012
    cx, cy, _ = sep.winpos(clean, x, y, 1.3)
    assert np.sqrt(np.mean(np.hypot(cx - x, cy - y)[bright] ** 2)) < 0.05


def test_maps_tell_what_went_in_and_what_was_left_out():
    rng = np.random.default_rng(20)
    layers, shown = [], np.zeros(SHAPE[1], int)
    for index in range(6):
        image, weight = noisy(rng, 70, 3), np.ones(SHAPE, np.float32)
        weight[:, : 10 * index] = 0
        image[50:53, 200:203] += 500 * (index == 1)
        image[150:153, 300:303] -= 500 * (index == 4)
        shown += weight[0] > 0
        layers.append(Layer.held(image.astype(np.float32), weight, 70, 3, exposure_s=10.0 + index))
    result = stack(layers)
    assert (result.high[50:53, 200:203] == 1).all()
    assert (result.low[150:153, 300:303] == 1).all()
    assert (result.exposure_s[50:53, 200:203] == sum(10 + i for i in range(6)) - 11).all()
    assert (result.exposure_s[150:153, 300:303] == sum(10 + i for i in range(6)) - 14).all()
    np.testing.assert_array_equal((result.count + result.low + result.high)[0], shown)
    clean = (result.low + result.high) == 0
    assert clean.mean() > 0.99
    assert (result.exposure_s[:, :10][clean[:, :10]] == 10).all()
    assert sum(result.rejected) == result.low.sum() + result.high.sum()


@pytest.mark.parametrize("n", [3, 8])
def test_a_trail_where_only_two_layers_overlap_leaves_no_hole(n: int):
    """Nobody can tell which of two is right, and none is no answer."""
    rng = np.random.default_rng([n, 21])
    layers = []
    for index in range(n):
        image, weight = noisy(rng, 100, 5), np.ones(SHAPE, np.float32)
        if index > 1:
            weight[:200] = 0
        if index == 0:
            image += trail(SHAPE, 60, 5000.0)
        layers.append(Layer.held(image.astype(np.float32), weight, 100, 5))
    result = stack(layers)
    assert np.isfinite(result.image).all()
    assert (result.count[:196] == 2).all()
    assert (result.count[204:] >= n - 2).all()


def test_tiles_are_judged_by_the_layers_that_show_them():
    """Twelve layers of the left and three of the right: the right's trail goes all the same."""
    rng = np.random.default_rng(22)
    layers = []
    for index in range(15):
        image, weight = noisy(rng, 100, 5), np.zeros(SHAPE, np.float32)
        weight[:, 200:] = index % 5 == 4
        weight[:, :260] = 1 - weight[0, -1]
        streak = trail(SHAPE, -150, 400.0)
        if index == 9:
            image += streak
        layers.append(Layer.held(image.astype(np.float32), weight, 100, 5))
    result = stack(layers)
    where = (streak > 5) & (np.arange(SHAPE[1]) > 270)
    assert where.sum() > 500
    assert (result.image[where] - 100).max() < 5 * 5 / np.sqrt(2)


@pytest.mark.parametrize("seed", range(5))
def test_trails_are_found_and_little_else(seed: int):
    """On the sky: recall by height over the noise of one frame; false alarms everywhere."""
    rng = np.random.default_rng([seed, 23])
    x, y = spread_stars(rng, SHAPE)
    flux = 10 ** rng.uniform(3.5, 5.0, x.size)
    sigma = np.sqrt(175)
    streaks = [np.zeros(SHAPE)] * 10
    layers = []
    for index in range(10):
        truth = star_field(SHAPE, x, y, flux, rng.uniform(2.8, 3.3)) + 150
        if index in (2, 7):
            streaks[index] = trail(SHAPE, rng.uniform(-100, 250), rng.uniform(8, 60) * sigma)
        image = rng.poisson(truth + streaks[index]) + rng.normal(0, 5, SHAPE)
        layers.append(layer(image, 150, sigma))
    high = stack(layers).high
    brightest = np.max(streaks, axis=0)
    clean, sky = brightest < 0.1, star_field(SHAPE, x, y, flux, 3.3) < sigma
    assert (high[(brightest > 3 * sigma) & sky] > 0).mean() > 0.99
    assert (high[(brightest > 5 * sigma) & sky] > 0).mean() > 0.999
    assert high[clean].sum() / (10 * clean.sum()) < 0.002


@pytest.mark.parametrize("seed", range(3))
def test_layers_of_more_worth_count_more_and_the_weight_stays_true(seed: int):
    rng = np.random.default_rng([seed, 30])
    worth, noise = np.array([0.4, 1.0, 2.5, 1.2, 0.7]), rng.uniform(5, 9, 5)
    levels = np.array([100.0, 90.0, 120.0, 80.0, 105.0])
    layers = [
        layer(noisy(rng, level, s), level, s, worth=w)
        for level, s, w in zip(levels, noise, worth, strict=True)
    ]
    result = stack(layers)
    weight = worth * noise**-2
    expected = np.sqrt(np.sum((weight * noise) ** 2)) / weight.sum()
    assert result.image.std() == pytest.approx(expected, rel=0.03)
    assert 1 / np.sqrt(np.median(result.weight)) == pytest.approx(expected, rel=0.01)
