"""Rays are found, star cores are left alone, and astroscrappy is no better."""

import astroscrappy
import numpy as np
import pytest

from astro_assets.imaging.cosmic_rays import cosmic_rays
from astro_assets.imaging.mask import MaskBit

SHAPE = (400, 400)
SKY_E = 300.0
READ_NOISE_E = 6.0
SATURATION_E = 60000.0
NOISE_E = float(np.hypot(np.sqrt(SKY_E), READ_NOISE_E))


def moffat(x, y, fwhm_px, beta=3.5):
    """Pixel-integrated and of sum 1."""
    alpha = fwhm_px / 2 / np.sqrt(2 ** (1 / beta) - 1)
    steps = (np.arange(5) - 2) / 5
    total = sum(
        (1 + ((x + a) ** 2 + (y + b) ** 2) / alpha**2) ** -beta for a in steps for b in steps
    )
    return total / 25 * (beta - 1) / np.pi / alpha**2


def scene(seed, fwhm_px, bayer=False, n_stars=90, n_rays=180):
    """Image, electrons of the rays, and which pixels are a star's (5σ above the sky)."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    image = np.full(SHAPE, SKY_E)
    star = np.zeros(SHAPE, bool)
    for _ in range(n_stars):
        cx, cy = rng.uniform(8, SHAPE[1] - 8, 2)
        top, left = max(0, int(cy) - 25), max(0, int(cx) - 25)
        box = np.s_[top : int(cy) + 26, left : int(cx) + 26]
        light = 10 ** rng.uniform(3, 6.3) * moffat(x[box] - cx, y[box] - cy, fwhm_px)
        if bayer:
            light = light * np.where((x[box] % 2 == 0) & (y[box] % 2 == 0), 0.6, 1)
        image[box] += light
        star[box] |= light > 5 * NOISE_E
    rays = np.zeros(SHAPE)
    for _ in range(n_rays):
        cx, cy = rng.uniform(2, SHAPE[1] - 2, 2)
        length, angle = abs(rng.normal(0, 5)) + 1, rng.uniform(0, np.pi)
        for t in np.linspace(0, length, int(4 * length) + 1):
            u, v = int(cx + t * np.cos(angle)), int(cy + t * np.sin(angle))
            if 0 <= u < SHAPE[1] and 0 <= v < SHAPE[0]:
                rays[v, u] += 10 ** rng.uniform(2, 3.6) / 4
    image = rng.poisson(image) + rng.normal(0, READ_NOISE_E, SHAPE) + rays
    return np.minimum(image, SATURATION_E).astype(np.float32), rays, star


def search(image, fwhm_px, bayer=False, mask=None):
    if mask is None:
        mask = np.where(image >= SATURATION_E, np.uint8(MaskBit.SATURATED), np.uint8(0))
    return cosmic_rays(
        image,
        mask,
        read_noise_e=READ_NOISE_E,
        saturation_e=SATURATION_E,
        fwhm_px=fwhm_px,
        bayer=bayer,
    )


@pytest.mark.parametrize("bayer", [False, True])
@pytest.mark.parametrize("fwhm_px", [2.2, 2.6, 3.2, 4.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_rays_are_found_and_stars_kept(seed, fwhm_px, bayer):
    image, rays, star = scene(seed, fwhm_px, bayer)
    found = search(image, fwhm_px, bayer)
    strong = rays > 10 * NOISE_E
    clean = rays < NOISE_E
    assert found[strong].mean() >= 0.95
    assert found[star & clean].mean() <= 0.002
    assert found[~star & clean].mean() <= 0.001


def test_no_worse_than_astroscrappy_with_exact_medians():
    image, rays, star = scene(3, 2.5)
    found = search(image, 2.5)
    theirs, _ = astroscrappy.detect_cosmics(
        image, gain=1, readnoise=READ_NOISE_E, satlevel=SATURATION_E, sepmed=False
    )
    strong = rays > 10 * NOISE_E
    clean = rays < NOISE_E
    assert found[strong].mean() >= theirs[strong].mean() - 0.01
    assert np.count_nonzero(found & clean) <= np.count_nonzero(theirs & clean)
    assert np.count_nonzero(found & clean & star) <= np.count_nonzero(theirs & clean & star)


@pytest.mark.parametrize("bayer", [False, True])
def test_a_frame_without_rays(bayer):
    image, _, _ = scene(4, 3.0, bayer, n_rays=0)
    assert search(image, 3.0, bayer).mean() < 2e-5


def test_noise_above_the_model_is_no_ray():
    """A gain that nobody knew right must not turn the sky into rays."""
    image = np.random.default_rng(5).normal(1000, 120, SHAPE).astype(np.float32)
    assert search(image, 2.5).mean() < 1e-4


def test_known_pixels_are_left_out():
    image = np.random.default_rng(6).normal(300, 18, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    image[:, 100], mask[:, 100] = 30000, MaskBit.BAD
    image[50, 50], mask[50, 50] = 0, MaskBit.NO_DATA
    image[200:210, 200:210], mask[200:210, 200:210] = SATURATION_E, MaskBit.SATURATED
    image[300, 300] = 5000
    found = search(image, 2.5, mask=mask)
    assert found[300, 300]
    assert not found[mask > 0].any()
    assert found.sum() <= 6


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (33, 3)])
def test_tiny_frames(shape):
    image = np.full(shape, 300, np.float32)
    assert not cosmic_rays(
        image, np.zeros(shape, np.uint8), read_noise_e=5, saturation_e=None, bayer=min(shape) > 1
    ).any()
