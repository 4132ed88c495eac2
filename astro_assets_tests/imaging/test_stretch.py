import numpy as np
import pytest

from astro_assets.imaging.stretch import SKY_GREY, autostretch, to_uint8, tone_of
from astro_assets_tests.imaging._sky import spread_stars, star_field

SHAPE = (300, 400)


def picture(seed: int, colour: tuple[float, float, float] = (1.3, 1.0, 0.7)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = spread_stars(rng, SHAPE)
    stars = star_field(SHAPE, x, y, 10 ** rng.uniform(3, 6, x.size))
    noise = rng.normal(0, 5, (3, *SHAPE))
    return (noise + np.array(colour)[:, None, None] * stars).astype(np.float32)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e5])
def test_the_sky_is_dark_grey_whatever_the_units(factor: float):
    out = autostretch(picture(1) * np.float32(factor))
    assert out.dtype == np.uint16
    for plane in out:
        assert np.median(plane) / 65535 == pytest.approx(SKY_GREY, abs=0.03)


def test_faint_and_bright_both_show_and_only_the_brightest_reach_white():
    rgb = picture(2)
    out = autostretch(rgb)
    grey = out.mean(axis=0)
    signal = rgb.mean(axis=0)
    faint = (signal > 25) & (signal < 50)
    assert np.median(grey[faint]) > 1.8 * np.median(grey)
    assert np.count_nonzero(out.max(axis=0) == 65535) < 200
    assert out.max() == 65535


def test_brighter_is_never_darker():
    ramp = np.linspace(-20, 50_000, 40_000, dtype=np.float32).reshape(200, 200)
    out = autostretch(np.stack([ramp] * 3))
    assert (np.diff(out[0].ravel().astype(int)) >= 0).all()


def test_a_colour_stays_what_it_is_however_bright():
    rng = np.random.default_rng(3)
    rgb = rng.normal(0, 1, (3, *SHAPE)).astype(np.float32)
    colour = np.array([2.0, 1.0, 0.5])
    for column, level in enumerate((1e2, 1e3, 1e4, 1e5)):
        rgb[:, 100:120, 50 * column : 50 * column + 20] = (colour * level)[:, None, None]
    out = autostretch(rgb).astype(float)
    for column in range(4):
        r, g, b = out[:, 110, 50 * column + 10]
        assert r / g == pytest.approx(2, rel=0.06)
        assert b / g == pytest.approx(0.5, rel=0.06)


def test_blank_pixels_are_black_and_a_blank_picture_is_too():
    rgb = picture(4)
    rgb[1, :30] = np.nan
    assert (autostretch(rgb)[:, :30] == 0).all()
    assert (autostretch(np.full((3, 9, 9), np.nan, np.float32)) == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 1000), (129, 2)])
def test_flat_pictures_of_any_size_go_through(shape: tuple[int, int]):
    out = autostretch(np.full((3, *shape), 7, np.float32))
    assert out.shape == (3, *shape)


def test_eight_bits_are_rounded():
    assert to_uint8(np.array([0, 128, 129, 257, 65535], np.uint16)).tolist() == [0, 0, 1, 1, 255]


def noisy(seed: int) -> np.ndarray:
    """Sky with three noises, a blue one the worst, and a faint red nebula."""
    rng = np.random.default_rng(seed)
    rgb = rng.normal(0, 1, (3, *SHAPE)) * np.array([3.0, 2.0, 9.0])[:, None, None]
    rgb[0, 100:200, 100:250] += 6
    rgb[2, 100:200, 100:250] += 2
    return rgb.astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_has_no_colour_and_faint_nebulosity_keeps_its_own(seed: int):
    out = autostretch(noisy(seed)).astype(float)
    sky = out[:, :80]
    color, grey = (sky[0] - sky[2]).std(), sky.mean(axis=0).std()
    assert color < 0.5 * grey
    inside = np.median(out[:, 115:185, 115:235], axis=(1, 2)) - np.median(sky, axis=(1, 2))
    assert inside[0] > 2 * inside[2] > 0
    assert inside[2] > 0.5 * inside[0] / 3


def test_the_noisiest_channel_does_not_hide_what_is_faint():
    rng = np.random.default_rng(4)
    rgb = rng.normal(0, 1, (3, *SHAPE)) * np.array([2.0, 2.0, 20.0])[:, None, None]
    rgb[:, 100:200, 100:250] += 4
    out = autostretch(rgb.astype(np.float32)).astype(float).mean(axis=0)
    contrast = np.median(out[110:190, 110:240]) - np.median(out[:80])
    assert contrast > 1.5 * out[:80].std()


def test_a_bright_star_does_not_colour_the_sky_around_it():
    rgb = noisy(5)
    x, y = np.array([50.0]), np.array([250.0])
    rgb[0] += star_field(SHAPE, x, y, np.array([3e6])).astype(np.float32)
    out = autostretch(rgb).astype(float)
    v, u = np.mgrid[: SHAPE[0], : SHAPE[1]]
    around = (np.hypot(u - 50, v - 250) > 11) & (np.hypot(u - 50, v - 250) < 16)
    excess = np.median(out[0][around] - out[2][around]) - np.median((out[0] - out[2])[:80])
    assert abs(excess) < 0.01 * 65535


def test_a_saturated_core_is_white():
    rgb = noisy(6)
    rgb[:, 240:260, 40:60] = 50_000
    out = autostretch(rgb)
    assert (np.ptp(out[:, 245:255, 45:55], axis=0) <= 1).all()
    assert out[0, 250, 50] > 0.95 * 65535


@pytest.mark.parametrize("shape", [(9, 8), (200, 301), (700, 1001)])
def test_levels_are_those_of_sorted_values(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    plane = (rng.normal(50, 5, shape) + rng.pareto(1.5, shape)).astype(np.float32)
    plane[0, 0] = np.nan
    tone = tone_of(np.stack([plane] * 3))
    kept = np.sort(plane[np.isfinite(plane)]).astype(np.float64)
    brightest = kept[-20] if kept.size > 20 else kept[-1]
    for _ in range(10):
        sky = np.median(kept)
        sigma = 1.4826 * (sky - np.median(kept[kept <= sky]))
        inside = kept[np.abs(kept - sky) <= 3 * sigma]
        if inside.size == kept.size or inside.size < 100:
            break
        kept = inside
    assert tone.sky_e == pytest.approx(sky, rel=1e-5)
    assert tone.sigma_e == pytest.approx(sigma, rel=1e-3)
    assert tone.white_e == pytest.approx(max(brightest, sky + 20 * sigma), rel=1e-4)
