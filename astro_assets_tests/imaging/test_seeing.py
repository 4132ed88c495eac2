"""The quick seeing is right, and the search for rays that leans on it finds them."""

import numpy as np
import pytest

from astro_assets.imaging.cosmic_rays import cosmic_rays
from astro_assets.imaging.mask import MaskBit
from astro_assets.imaging.seeing import quick_fwhm_px
from astro_assets.imaging.tiles import usual
from astro_assets_tests.imaging.ray_scene import (
    READ_NOISE_E,
    SATURATION_E,
    RayScene,
    ray_scene,
)


def found_in(scene: RayScene, *, bayer: bool) -> np.ndarray:
    saturated = scene.image >= SATURATION_E
    return cosmic_rays(
        scene.image,
        np.where(saturated, np.uint8(MaskBit.SATURATED), np.uint8(0)),
        read_noise_e=READ_NOISE_E,
        saturation_e=SATURATION_E,
        bayer=bayer,
    )


def seen_in(scene: RayScene, *, bayer: bool) -> float | None:
    """With every pixel of the frame on the list of those that may be bright."""
    hidden = (scene.image >= SATURATION_E).astype(np.uint8)
    everywhere = np.arange(scene.image.size)
    sky = usual(scene.image, 2 if bayer else 1)
    return quick_fwhm_px(scene.image, sky, READ_NOISE_E, hidden, everywhere, bayer=bayer)


@pytest.mark.parametrize("bayer", [False, True])
@pytest.mark.parametrize("fwhm_px", [1.5, 2.5, 3.5, 5.0])
@pytest.mark.parametrize("n_rays", [0, 180])
def test_seeing_of_a_frame_with_and_without_rays(fwhm_px: float, bayer: bool, n_rays: int) -> None:
    scene = ray_scene(1, fwhm_px, bayer=bayer, n_rays=n_rays)
    assert seen_in(scene, bayer=bayer) == pytest.approx(fwhm_px, rel=0.12)


def test_rays_alone_tell_no_seeing() -> None:
    scene = ray_scene(2, 2.5, n_stars=0)
    assert seen_in(scene, bayer=False) is None
    assert found_in(scene, bayer=False)[scene.strong].mean() >= 0.95


@pytest.mark.parametrize("bayer", [False, True])
@pytest.mark.parametrize("fwhm_px", [1.5, 2.0, 3.5, 5.0])
def test_rays_are_found_and_stars_kept_whatever_the_seeing(fwhm_px: float, bayer: bool) -> None:
    touched = stars = 0
    for seed in (1, 2):
        scene = ray_scene(seed, fwhm_px, bayer=bayer)
        found = found_in(scene, bayer=bayer)
        assert found[scene.strong].mean() >= 0.95
        touched += int((found & scene.star & scene.clean).sum())
        stars += int((scene.star & scene.clean).sum())
    assert touched <= 0.002 * stars


@pytest.mark.parametrize("bayer", [False, True])
def test_no_rays_is_no_crash(bayer: bool) -> None:
    """AstroPhotography divides by zero when a frame has no rays."""
    scene = ray_scene(3, 3.0, bayer=bayer, n_rays=0)
    # One in 160 000 is above 4.5 sigma by chance, and takes a neighbour or two along.
    assert found_in(scene, bayer=bayer).mean() < 8e-5
    dark = ray_scene(3, 3.0, n_stars=0, n_rays=0)
    assert found_in(dark, bayer=bayer).mean() < 8e-5
